"""Names of Tensor's methods in Python 2, which PyTorch's Tensor still has. Programs refer to ``Tensor.__rdiv__``."""

from flambeau import Tensor

_CURRENT_NAMES = {
    "__div__": "__truediv__",
    "__rdiv__": "__rtruediv__",
    "__idiv__": "__itruediv__",
    "__long__": "__int__",
    "__nonzero__": "__bool__",
}


def start() -> None:
    """Add the former names to Tensor."""
    for former, current in _CURRENT_NAMES.items():
        setattr(Tensor, former, getattr(Tensor, current))


def undo() -> None:
    """Remove the former names from Tensor."""
    for former in _CURRENT_NAMES:
        delattr(Tensor, former)
