"""Casts of autocast, which a trace records as calls of ``to``.

Note [Autocast in traces]
In a region of autocast, an operator casts its arguments before it runs (Note [Autocast] in tensor-core). A trace casts
the arguments first, so that the casts become calls of the program, and then handles the call with autocast disabled. A
program therefore runs without autocast.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from flambeau import Tensor, _core

from ._structure import leaves

_DEVICES = ("cpu", "cuda")
_POLICIES = _core._autocast_policies


@contextmanager
def without_autocast() -> Iterator[None]:
    """Disable autocast in this context."""
    former = [_core._set_autocast_enabled(device, False) for device in _DEVICES]
    try:
        yield
    finally:
        for device, enabled in zip(_DEVICES, former, strict=True):
            _core._set_autocast_enabled(device, enabled)


class ArgumentCasts:
    """Casts of the arguments of calls in CPU autocast regions.

    Args:
        mode: the context manager that records operators.
    """

    def __init__(self, mode: AbstractContextManager[Any]) -> None:
        self._mode = mode
        self._cached: dict[Any, tuple[Tensor, int, Tensor]] = {}  # parameter, its version, and its cast

    def clear(self) -> None:
        """Forget the casts of parameters, at the end of the outermost region."""
        self._cached.clear()

    def cast(
        self, policy: int, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments of a call after the casts that a policy of `_core._autocast_policy` requires."""
        dtype = _core.float32 if policy == _POLICIES["float32"] else _core._autocast_dtype("cpu")
        if policy == _POLICIES["widest"]:
            eligible = [tensor for tensor in leaves([args, kwargs], Tensor) if _is_eligible(tensor)]
            dtype = dtype if all(tensor.dtype is dtype for tensor in eligible) else _core.float32
        args = tuple(self._cast_argument(argument, dtype) for argument in args)
        return args, {name: self._cast_argument(argument, dtype) for name, argument in kwargs.items()}

    def _cast_argument(self, argument: Any, dtype: Any) -> Any:
        if isinstance(argument, Tensor):
            return self._cast_tensor(argument, dtype)
        if type(argument) in (tuple, list) and any(isinstance(item, Tensor) for item in argument):
            return type(argument)(self._cast_argument(item, dtype) for item in argument)
        return argument

    def _cast_tensor(self, tensor: Tensor, dtype: Any) -> Tensor:
        if not _is_eligible(tensor) or tensor.dtype is dtype:
            return tensor
        is_cached = (
            tensor.is_leaf and tensor.requires_grad and tensor.dtype is _core.float32 and not tensor.is_inference()
        )
        if not (is_cached and _core._is_autocast_caching() and dtype is _core._autocast_dtype("cpu")):
            return self._recorded_cast(tensor, dtype)
        key = id(tensor), _core.is_grad_enabled()
        _, version, result = self._cached.get(key, (None, None, tensor))
        if version != tensor._version:
            result = self._recorded_cast(tensor, dtype)
            self._cached[key] = tensor, tensor._version, result
        return result

    def _recorded_cast(self, tensor: Tensor, dtype: Any) -> Tensor:
        with self._mode:
            return tensor.to(dtype)


def _is_eligible(tensor: Tensor) -> bool:
    return tensor.dtype.is_floating_point and tensor.dtype is not _core.float64
