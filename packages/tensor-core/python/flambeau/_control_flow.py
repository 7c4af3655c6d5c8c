"""Control flow and arithmetic that PyTorch keeps apart for its compilers; here Python's own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from flambeau import overrides
from flambeau._core import Tensor, int64, tensor
from flambeau._core import bool as bool_

T = TypeVar("T")


class _Symbol:
    def __init__(self, *args: Any) -> None:
        raise NotImplementedError(f"flambeau.{type(self).__name__}: there are no numbers without a value")


class SymInt(_Symbol):
    """An int that a compiler does not know yet. There is none: programs ask by ``isinstance``."""


class SymFloat(_Symbol):
    """A float that a compiler does not know yet. There is none: programs ask by ``isinstance``."""


class SymBool(_Symbol):
    """A bool that a compiler does not know yet. There is none: programs ask by ``isinstance``."""


def _assert(condition: Any, message: str) -> Any:
    """AssertionError with that message where the condition, which may be a tensor, does not hold."""
    if type(condition) is not bool and overrides.has_torch_function_unary(condition):
        return overrides.handle_torch_function(_assert, (condition,), condition, message)
    if not condition:
        raise AssertionError(message)
    return None


def _assert_async(input: Tensor, assert_msg: str = "Expected Tensor with single nonzero value, but got zero") -> None:
    """RuntimeError with that message where a tensor of one element is zero."""
    if not input:
        raise RuntimeError(assert_msg)


def _shape_as_tensor(self: Tensor) -> Tensor:
    """The sizes of a tensor, as int64."""
    return tensor(list(self.shape), dtype=int64)


Message = Callable[[], object] | None


def _check_with(error: type[Exception], condition: Any, message: Message) -> None:
    """Raises the error, with what ``message()`` gives, where the condition, a bool, does not hold."""
    if not isinstance(condition, bool):
        raise TypeError(f"cond must be a bool, but got {type(condition)}")
    if condition:
        return
    if message is None:
        raise error("Expected cond to be True, but got False.")
    if not callable(message):
        raise TypeError("message must be a callable")
    raise error(str(message()))


def _check(cond: Any, message: Message = None) -> None:
    """RuntimeError with what ``message()`` gives where the condition, a bool, does not hold.

    >>> import flambeau
    >>> flambeau._check(1 + 1 == 2, lambda: "arithmetic has changed")
    """
    _check_with(RuntimeError, cond, message)


def _check_index(cond: Any, message: Message = None) -> None:
    """`_check` with an IndexError."""
    _check_with(IndexError, cond, message)


def _check_value(cond: Any, message: Message = None) -> None:
    """`_check` with a ValueError."""
    _check_with(ValueError, cond, message)


def _check_type(cond: Any, message: Message = None) -> None:
    """`_check` with a TypeError."""
    _check_with(TypeError, cond, message)


def _check_not_implemented(cond: Any, message: Message = None) -> None:
    """`_check` with a NotImplementedError."""
    _check_with(NotImplementedError, cond, message)


def _check_tensor_all(cond: Any, message: Message = None) -> None:
    """`_check` of every element of a boolean tensor."""
    if not isinstance(cond, Tensor):
        raise TypeError(f"cond must be a tensor, but got {type(cond)}")
    if cond.dtype != bool_:
        raise TypeError(f"cond tensor must have dtype {bool_}, but got {cond.dtype}")
    _check(bool(cond.all().item()), message)


def _check_is_size(i: Any, message: Message = None, *, max: int | None = None) -> None:
    """`_check` that a number can be a size: not negative, and at most ``max``."""
    _check(bool(i >= 0), message)
    if max is not None:
        _check(bool(i <= max), message)


def cond(pred: Any, true_fn: Callable[..., T], false_fn: Callable[..., T], operands: Sequence[Any] = ()) -> T:
    """``true_fn(*operands)`` or ``false_fn(*operands)``.

    Raises: RuntimeError for a condition that is no bool and no boolean tensor of one element.

    >>> import flambeau
    >>> flambeau.cond(flambeau.tensor(True), lambda x: x + 1, lambda x: x - 1, (flambeau.tensor(1),))
    tensor(2)
    """
    if not isinstance(pred, (bool, Tensor)) or (isinstance(pred, Tensor) and pred.numel() != 1):
        raise RuntimeError(f"Expected pred to be bool or tensor of one element, but got {pred}.")
    return true_fn(*operands) if pred else false_fn(*operands)


def while_loop(
    cond_fn: Callable[..., Any], body_fn: Callable[..., Any], carried_inputs: Sequence[Any]
) -> tuple[Any, ...]:
    """Replaces the inputs by ``body_fn(*inputs)`` as long as ``cond_fn(*inputs)`` is true."""
    carried = tuple(carried_inputs)
    while cond_fn(*carried):
        carried = tuple(body_fn(*carried))
    return carried


def sym_int(a: Any) -> int:
    """``int(a)``."""
    return int(a)


def sym_float(a: Any) -> float:
    """``float(a)``."""
    return float(a)


def sym_not(a: Any) -> bool:
    """``not a``."""
    return not a


def sym_max(a: Any, b: Any) -> Any:
    """The larger one, a float where one of them is."""
    return float(max(a, b)) if isinstance(a, float) or isinstance(b, float) else max(a, b)


def sym_min(a: Any, b: Any) -> Any:
    """The smaller one, a float where one of them is."""
    return float(min(a, b)) if isinstance(a, float) or isinstance(b, float) else min(a, b)


def sym_sum(args: Sequence[Any]) -> Any:
    """The sum."""
    return sum(args)


def sym_sqrt(a: Any) -> float:
    """The square root."""
    return math.sqrt(a)


def sym_ite(b: bool, t: Any, f: Any) -> Any:
    """``t if b else f``."""
    return t if b else f
