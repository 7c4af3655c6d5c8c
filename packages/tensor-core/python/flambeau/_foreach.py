"""``_foreach_`` functions, which optimizers of other packages use to process lists of tensors in one call.

Each function calls an operator once per tensor. Other arguments are lists with one value per tensor, or one value for
all. The in-place forms, with a trailing underscore, return the given list.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import flambeau
from flambeau._core import Tensor

_OPERATORS = (
    *("abs", "acos", "asin", "atan", "ceil", "cos", "cosh", "erf", "erfc", "exp", "expm1", "floor", "frac", "lgamma"),
    *("log", "log10", "log1p", "log2", "neg", "reciprocal", "round", "rsqrt", "sigmoid", "sign", "sin", "sinh", "sqrt"),
    *("tan", "tanh", "trunc", "add", "sub", "mul", "div", "pow", "lerp", "clamp_min", "clamp_max"),
)
_BOUNDS = {"maximum": "clamp_min", "minimum": "clamp_max"}  # operators that also accept numbers
# Keywords for the operands after the first list, in the order of the operator's parameters.
_KEYWORDS = {"lerp": ("tensors1", "weight", "weights"), "mm": ("mat2",)}
_DEFAULT_KEYWORDS = ("other", "scalar", "scalars")


def _one_per_tensor(tensors: Sequence[Tensor], operands: Any) -> Sequence[Any]:
    """Return one value per tensor: the elements of a list of this length, or copies of a single value."""
    if not isinstance(operands, (list, tuple)):
        return [operands] * len(tensors)
    if len(operands) != len(tensors):
        raise RuntimeError(f"Tensor lists must have the same number of tensors, got {len(tensors)} and {len(operands)}")
    return operands


def _call(operator: Callable[..., Any], tensors: Sequence[Tensor], *operands: Any, **options: Any) -> tuple[Any, ...]:
    if len(tensors) == 0:  # a subclass of list may not be convertible to bool
        raise RuntimeError("Tensor list must have at least one tensor.")
    rows = zip(tensors, *(_one_per_tensor(tensors, other) for other in operands), strict=True)
    return tuple(operator(*row, **options) for row in rows)


def _form(name: str, *, in_place: bool = False) -> Callable[..., tuple[Any, ...]]:
    """Return the foreach form of the tensor method ``name``. Its operands can be keyword arguments, as in PyTorch."""
    operator = getattr(Tensor, f"{name}_" if in_place else name)
    keywords = _KEYWORDS.get(name, _DEFAULT_KEYWORDS)

    def function(self: Sequence[Tensor], *operands: Any, **options: Any) -> tuple[Any, ...]:
        named = [options.pop(keyword) for keyword in keywords if keyword in options]
        return _call(operator, self, *operands, *named, **options)

    return function


def _pow(self: Any, exponent: Any) -> tuple[Tensor, ...]:
    if isinstance(self, (list, tuple)):
        return _call(Tensor.pow, self, exponent)
    return _call(lambda each: flambeau.pow(self, each), exponent)


def _pointwise_form(operator: Callable[..., Any]) -> Callable[..., tuple[Any, ...]]:
    """Return the foreach form of ``addcmul`` or ``addcdiv``. Its factor is a number, a list of numbers or a vector."""

    def values(
        self: Sequence[Tensor], tensor1: Any, tensor2: Any, value: Any = 1, *, scalars: Any = None
    ) -> tuple[Any, ...]:
        given = value if scalars is None else scalars
        given = given.tolist() if isinstance(given, Tensor) else given
        return _call(lambda t, a, b, v: operator(t, a, b, value=v), self, tensor1, tensor2, given)

    return values


def _in_place(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that calls ``function`` and returns the list of tensors."""

    @functools.wraps(function)
    def change(self: Sequence[Tensor], *operands: Any, **options: Any) -> Sequence[Tensor]:
        function(self, *operands, **options)
        return self

    return change


def _norm(self: Sequence[Tensor], ord: Any = 2, dtype: Any = None) -> tuple[Tensor, ...]:
    return _call(lambda each: flambeau.linalg.vector_norm(each, ord, dtype=dtype), self)


def _copy_(self: Sequence[Tensor], src: Sequence[Tensor], non_blocking: bool = False) -> tuple[Any, ...]:
    return _call(lambda to, source: to.copy_(source, non_blocking), self, src)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: _form(name) for name in (*_OPERATORS, "mm", "max", "clone")},
    **{name: _form(of) for name, of in _BOUNDS.items()},
    **{name: _pointwise_form(getattr(Tensor, name)) for name in ("addcmul", "addcdiv")},
    **{f"{name}_": _pointwise_form(getattr(Tensor, f"{name}_")) for name in ("addcmul", "addcdiv")},
    **{f"{name}_": _form(name, in_place=True) for name in (*_OPERATORS, "zero")},
    **{f"{name}_": _form(of, in_place=True) for name, of in _BOUNDS.items()},
    "pow": _pow,
    "norm": _norm,
    "copy_": _copy_,
}


@functools.cache
def function_named(name: str) -> Callable[..., Any] | None:
    """Return the function ``_foreach_...`` of this name, or None if it does not exist."""
    short = name.removeprefix("_foreach_")
    function = FUNCTIONS.get(short)
    if function is None:
        return None
    function_of_lists = _in_place(function) if short.endswith("_") else functools.partial(function)
    function_of_lists.__name__, function_of_lists.__module__ = name, "flambeau"
    return function_of_lists
