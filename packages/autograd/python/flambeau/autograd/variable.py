"""``Variable``, the older name of ``Tensor``."""

import warnings
from collections.abc import Callable
from typing import Any

from flambeau import Tensor
from flambeau.autograd import _engine


class _AnyTensor(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor)


class _ExecutionEngine:
    """The autograd engine, under PyTorch's name."""

    @staticmethod
    def queue_callback(callback: Callable[[], object]) -> None:
        """Call ``callback()`` at the end of the current backward pass. Hooks of tensors and modules use this function.

        Raises: RuntimeError outside a backward pass.
        """
        _engine.call_at_end(callback)


class Variable(metaclass=_AnyTensor):
    """Old name of Tensor: ``Variable(data, requires_grad=False)`` returns a tensor that shares the storage of ``data``.

    >>> import flambeau
    >>> flambeau.autograd.Variable(flambeau.ones(2), requires_grad=True)
    tensor([1., 1.], requires_grad=True)
    """

    _execution_engine = _ExecutionEngine

    def __new__(cls, data: Tensor, requires_grad: bool = False, volatile: bool | None = None) -> Any:
        if not isinstance(data, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(data).__name__}")
        if volatile:
            warnings.warn("volatile has no effect; use `with flambeau.no_grad():` instead", UserWarning, stacklevel=2)
        return data.detach().requires_grad_(requires_grad)
