"""Control flow and scalar functions that PyTorch provides for its compilers. Here they use plain Python."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from flambeau import overrides
from flambeau._core import Tensor, bool as bool_, int64, tensor

T = TypeVar("T")


class _Symbol:
    def __init__(self, *args: Any) -> None:
        raise NotImplementedError(f"flambeau.{type(self).__name__}: symbolic numbers are not supported")


class SymInt(_Symbol):
    """Symbolic int of a compiler. It has no instances; programs use it with ``isinstance``.

    >>> isinstance(fb.ones(2).shape[0], (int, fb.SymInt))
    True
    """


class SymFloat(_Symbol):
    """Symbolic float of a compiler, without instances. See `SymInt`."""


class SymBool(_Symbol):
    """Symbolic bool of a compiler, without instances. See `SymInt`."""


def _assert(condition: Any, message: str) -> Any:
    """Raise AssertionError with a message if a condition, which may be a tensor, is false."""
    if type(condition) is not bool and overrides.has_torch_function_unary(condition):
        return overrides.handle_torch_function(_assert, (condition,), condition, message)
    if not condition:
        raise AssertionError(message)
    return None


def _assert_async(input: Tensor, assert_msg: str = "Expected Tensor with single nonzero value, but got zero") -> None:
    """Raise RuntimeError with a message if a one-element tensor is zero."""
    if not input:
        raise RuntimeError(assert_msg)


def _shape_as_tensor(self: Tensor) -> Tensor:
    """Return the shape of a tensor as an int64 tensor."""
    return tensor(list(self.shape), dtype=int64)


Message = Callable[[], object] | None


def _check_with(error_type: type[Exception], cond: Any, message: Message = None) -> None:
    """Raise an error with the text of ``message()`` if a condition, which must be a bool, is false."""
    if not isinstance(cond, bool):
        raise TypeError(f"cond must be a bool, but got {type(cond)}")
    if cond:
        return
    if message is None:
        raise error_type("Expected cond to be True, but got False.")
    if not callable(message):
        raise TypeError("message must be a callable")
    raise error_type(str(message()))


def _check(cond: Any, message: Message = None) -> None:
    """Raise RuntimeError with the text of ``message()`` if a condition, which must be a bool, is false.

    >>> import flambeau
    >>> flambeau._check(1 + 1 == 2, lambda: "arithmetic has changed")
    """
    _check_with(RuntimeError, cond, message)


def _check_index(cond: Any, message: Message = None) -> None:
    """Raise IndexError if a condition is false. See `_check`."""
    _check_with(IndexError, cond, message)


def _check_value(cond: Any, message: Message = None) -> None:
    """Raise ValueError if a condition is false. See `_check`."""
    _check_with(ValueError, cond, message)


def _check_type(cond: Any, message: Message = None) -> None:
    """Raise TypeError if a condition is false. See `_check`."""
    _check_with(TypeError, cond, message)


def _check_not_implemented(cond: Any, message: Message = None) -> None:
    """Raise NotImplementedError if a condition is false. See `_check`."""
    _check_with(NotImplementedError, cond, message)


def _check_tensor_all(cond: Any, message: Message = None) -> None:
    """Raise RuntimeError if an element of a bool tensor is false. See `_check`."""
    _check_tensor_all_with(RuntimeError, cond, message)


def _check_tensor_all_with(error_type: type[Exception], cond: Any, message: Message = None) -> None:
    """Raise an error if an element of a bool tensor is false. See `_check_with`."""
    if not isinstance(cond, Tensor):
        raise TypeError(f"cond must be a tensor, but got {type(cond)}")
    if cond.dtype != bool_:
        raise TypeError(f"cond tensor must have dtype {bool_}, but got {cond.dtype}")
    _check_with(error_type, bool(cond.all().item()), message)


def _check_is_size(i: Any, message: Message = None, *, max: int | None = None) -> None:
    """Raise RuntimeError unless a number is a valid size: not negative, and at most ``max``. See `_check`."""
    _check(bool(i >= 0), message)
    if max is not None:
        _check(bool(i <= max), message)


def cond(pred: Any, true_fn: Callable[..., T], false_fn: Callable[..., T], operands: Sequence[Any] = ()) -> T:
    """Return ``true_fn(*operands)`` if ``pred`` is true, and ``false_fn(*operands)`` otherwise.

    Raises: RuntimeError if ``pred`` is neither a number nor a one-element tensor.

    >>> import flambeau
    >>> flambeau.cond(flambeau.tensor(True), lambda x: x + 1, lambda x: x - 1, (flambeau.tensor(1),))
    tensor(2)
    """
    if not isinstance(pred, (bool, int, float, Tensor)):
        raise RuntimeError(f"Expected pred to be bool or tensor, but got {pred}.")
    if isinstance(pred, Tensor) and pred.numel() != 1:
        raise RuntimeError(f"Expected pred to be bool or single-element tensor, but got {pred}.")
    return true_fn(*operands) if pred else false_fn(*operands)


def while_loop(
    cond_fn: Callable[..., Any], body_fn: Callable[..., Any], carried_inputs: Sequence[Any]
) -> tuple[Any, ...]:
    """Replace the inputs by ``body_fn(*inputs)`` while ``cond_fn(*inputs)`` is true, and return them.

    Args:
        cond_fn: function that returns a bool or a one-element tensor.
        body_fn: function that returns a tuple or list of the next inputs.
        carried_inputs: a tuple or list of the first inputs.
    Returns: a tuple.

    >>> fb.while_loop(lambda x: x.sum() < 100, lambda x: (x * 2,), (fb.tensor([1, 2]),))
    (tensor([ 64, 128]),)
    """
    carried = tuple(carried_inputs)
    while cond_fn(*carried):
        carried = tuple(body_fn(*carried))
    return carried


def sym_int(a: Any) -> int:
    """Return ``int(a)``, which rounds toward zero.

    >>> fb.sym_int(-2.7)
    -2
    """
    return int(a)


def sym_float(a: Any) -> float:
    """Return ``float(a)``.

    >>> fb.sym_float(3)
    3.0
    """
    return float(a)


def sym_not(a: Any) -> bool:
    """Return ``not a``.

    >>> fb.sym_not(fb.ones(2).ndim > 1)
    True
    """
    return not a


def sym_max(a: Any, b: Any) -> Any:
    """Return the larger number, as a float if one of them is a float.

    >>> fb.sym_max(2, 1.5)
    2.0
    """
    return float(max(a, b)) if isinstance(a, float) or isinstance(b, float) else max(a, b)


def sym_min(a: Any, b: Any) -> Any:
    """Return the smaller number, as a float if one of them is a float.

    >>> fb.sym_min(2, 2.5)
    2.0
    """
    return float(min(a, b)) if isinstance(a, float) or isinstance(b, float) else min(a, b)


def sym_sum(args: Sequence[Any]) -> Any:
    """Return the sum of a sequence of numbers.

    >>> fb.sym_sum(fb.ones(2, 3).shape)
    5
    """
    return sum(args)


def sym_sqrt(a: Any) -> float:
    """Return the square root.

    >>> fb.sym_sqrt(16)
    4.0
    """
    return math.sqrt(a)


def sym_ite(b: bool, t: Any, f: Any) -> Any:
    """Return ``t if b else f``.

    >>> fb.sym_ite(fb.ones(2).ndim == 1, "vector", "other")
    'vector'
    """
    return t if b else f
