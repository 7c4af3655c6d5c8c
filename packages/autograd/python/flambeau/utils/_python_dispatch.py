"""Modes and classes that intercept operators below autograd, under PyTorch's names. Note [Dispatch].

>>> import flambeau
>>> class Logging(TorchDispatchMode):
...     def __torch_dispatch__(self, func, types, args=(), kwargs=None):
...         print(func)
...         return func(*args, **(kwargs or {}))
>>> with Logging():
...     y = flambeau.ones(1, 2) @ flambeau.ones(3, 2).T
aten.ones.default
aten.ones.default
aten.t.default
aten.mm.default
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any, Self

from flambeau import (
    Tensor,
    _core,
    _dispatch as _dispatch,  # registers the handler
)

__all__ = [
    "BaseTorchDispatchMode",
    "TorchDispatchMode",
    "is_traceable_wrapper_subclass",
    "return_and_correct_aliasing",
    "transform_subclass",
]


class TorchDispatchMode:
    """Context manager whose ``__torch_dispatch__`` handles every operator that this thread calls.

    The mode is below autograd: the method receives an overload of ``ops.aten``, and arguments that match its schema.
    The enclosing modes handle the operators that the method calls.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        """Handle ``func(*args, **kwargs)``. Without the mode, the classes ``types`` would handle the call."""
        raise NotImplementedError(f"{type(self).__name__} has to define __torch_dispatch__")

    def __enter__(self) -> Self:
        if isinstance(inspect.getattr_static(self, "__torch_dispatch__"), classmethod):
            raise RuntimeError(
                "Defining your mode's `__torch_dispatch__` as a classmethod is not supported, please make it a plain "
                "method"
            )
        _core._push_dispatch_mode(self)
        return self

    def __exit__(self, *_: object) -> None:
        _core._pop_dispatch_mode()

    @classmethod
    def push(cls, *args: Any, **kwargs: Any) -> Self:
        """Create a mode for a ``with`` statement. The arguments are passed to the class."""
        return cls(*args, **kwargs)

    @classmethod
    def is_infra_mode(cls) -> bool:
        """Return False, because modes that programs define are not part of the dispatcher."""
        return False

    @staticmethod
    def ignore_compile_internals() -> bool:
        """Return False, because flambeau has no such internals."""
        return False


class BaseTorchDispatchMode(TorchDispatchMode):
    """A mode that runs every call unchanged."""

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


def _get_current_dispatch_mode() -> TorchDispatchMode | None:
    """Return the innermost mode of this thread, or None."""
    modes = _core._dispatch_modes()
    return modes[-1] if modes else None


def _get_current_dispatch_mode_stack() -> list[TorchDispatchMode]:
    """Return the modes of this thread, outermost first."""
    modes: list[TorchDispatchMode] = _core._dispatch_modes()
    return modes


def is_in_torch_dispatch_mode(include_infra_modes: bool = True) -> bool:
    """Return True if a mode is entered in this thread."""
    return bool(_core._dispatch_modes())


@contextlib.contextmanager
def _pop_mode_temporarily(key: Any = None) -> Iterator[TorchDispatchMode]:
    """Deactivate the innermost mode during a ``with`` block, and yield it."""
    mode = _core._pop_dispatch_mode()
    try:
        yield mode
    finally:
        _core._push_dispatch_mode(mode)


@contextlib.contextmanager
def _disable_current_modes() -> Iterator[list[TorchDispatchMode]]:
    """Deactivate all modes during a ``with`` block, and yield them, outermost first."""
    modes = [_core._pop_dispatch_mode() for _ in _core._dispatch_modes()][::-1]
    try:
        yield modes
    finally:
        for mode in modes:
            _core._push_dispatch_mode(mode)


def _push_mode(mode: TorchDispatchMode) -> None:
    _core._push_dispatch_mode(mode)


def _pop_mode(key: Any = None) -> TorchDispatchMode:
    mode: TorchDispatchMode = _core._pop_dispatch_mode()
    return mode


def is_traceable_wrapper_subclass(t: object) -> bool:
    """Return True if ``t`` is a tensor of a subclass with ``__tensor_flatten__`` and ``__tensor_unflatten__``."""
    return (
        isinstance(t, Tensor)
        and type(t) is not Tensor
        and callable(getattr(t, "__tensor_flatten__", None))
        and callable(getattr(t, "__tensor_unflatten__", None))
    )


def is_traceable_wrapper_subclass_type(t: type) -> bool:
    """Return True if a class is a subclass of Tensor with ``__tensor_flatten__``."""
    return issubclass(t, Tensor) and t is not Tensor and hasattr(t, "__tensor_flatten__")


def transform_subclass(
    t: Any, callback: Callable[[str, Tensor], Tensor], outer_size: Any = None, outer_stride: Any = None
) -> Any:
    """Return a copy of the wrapper ``t`` in which ``callback(name, inner)`` replaces each inner tensor.

    ``outer_size`` and ``outer_stride`` are the size and strides of the copy (default: the size and strides of ``t``).
    """
    size = t.size() if outer_size is None else outer_size
    stride = t.stride() if outer_stride is None else outer_stride
    names, context = t.__tensor_flatten__()
    inner = {name: callback(name, getattr(t, name)) for name in names}
    rebuilt = type(t).__tensor_unflatten__(inner, context, size, stride)
    if rebuilt.shape != size:
        raise RuntimeError(
            f"Expected return value from {type(t)}__tensor_unflatten__() to have shape equal to {size}, but got: "
            f"{rebuilt.shape}"
        )
    return rebuilt


def return_and_correct_aliasing(func: Any, args: Any, kwargs: Any, out: Any) -> Any:
    """Return the value that ``__torch_dispatch__`` of a wrapper class must return for the result ``out`` of ``func``.

    If the operator changes an argument and returns it, the value is the argument itself. Other results are returned
    unchanged, because the inner tensors of a view already share memory with the inner tensors of its base.
    """
    schema = func._schema
    if not schema.is_mutable:
        return out
    named = dict(zip((argument.name for argument in schema.arguments), args, strict=False)) | dict(kwargs or {})
    written = [named[each.name] for each in schema.arguments if each.is_write and each.name in named]
    if len(schema.returns) == 0:
        return out
    if len(schema.returns) == 1:
        return written[0] if written else out
    results = iter(written)
    return tuple(
        next(results, None) if each.alias_info is not None else got
        for each, got in zip(schema.returns, out, strict=True)
    )


def autograd_would_have_decomposed(func: Any, flat_args: Any) -> bool:
    """Return False, because composite operators are decomposed before a mode or a class receives them."""
    return False


def _detect_infra_mode(key: Any) -> None:
    """Return None, because modes are not part of the dispatcher."""
