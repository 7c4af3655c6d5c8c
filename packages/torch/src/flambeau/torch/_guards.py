"""Functions of ``torch._guards``, PyTorch's private module, for fake tensors."""

from typing import Any

from flambeau import _core
from flambeau._subclasses.fake_tensor import FakeTensorMode, maybe_get_fake_mode
from flambeau.utils import _pytree

__all__ = ["active_fake_mode", "detect_fake_mode"]


def active_fake_mode() -> FakeTensorMode | None:
    """Return the innermost `FakeTensorMode` that is entered in this thread, or None."""
    modes = [mode for mode in _core._dispatch_modes() if isinstance(mode, FakeTensorMode)]
    return modes[-1] if modes else None


def detect_fake_mode(inputs: Any = None) -> FakeTensorMode | None:
    """Return the `FakeTensorMode` of the fake tensors in ``inputs``, or the active mode if ``inputs`` has none."""
    modes = (maybe_get_fake_mode(leaf) for leaf in _pytree.tree_leaves(inputs))
    return next((mode for mode in modes if mode is not None), active_fake_mode())
