"""Unary functions that map 0 to 0, and are therefore computed on the values only."""

from __future__ import annotations

from typing import Any

import flambeau
from flambeau._core import Tensor
from flambeau.sparse._coo import CooTensor
from flambeau.sparse._tensor import SparseTensor, implements, in_place

# Linear functions, for which entries with equal indices need not be merged first.
_LINEAR = ("neg", "negative", "positive", "conj", "conj_physical", "resolve_conj", "resolve_neg")

_KEEP_ZERO = (
    *("abs", "absolute", "sqrt", "square", "sign", "sgn", "relu", "relu6", "threshold", "floor", "ceil", "round"),
    *("trunc", "fix", "frac", "expm1", "log1p", "sin", "tan", "sinh", "tanh", "asin", "arcsin", "atan", "arctan"),
    *("asinh", "arcsinh", "atanh", "arctanh", "erf", "erfinv", "isnan", "isinf", "isposinf", "isneginf", "signbit"),
    *("nan_to_num", "deg2rad", "rad2deg", "angle", "real", "imag", "leaky_relu", "silu", "gelu", "elu", "dropout"),
)

# Maps aliases to the names that error messages use.
_OTHER_NAMES = {
    "absolute": "abs",
    "arcsin": "asin",
    "arcsinh": "asinh",
    "arctan": "atan",
    "arctanh": "atanh",
    "fix": "trunc",
}


def merged(tensor: Any) -> SparseTensor:
    """Return a COO tensor with unique indices (coalesced). Compressed tensors are returned unchanged."""
    return tensor.coalesce() if isinstance(tensor, CooTensor) else tensor


def _function_named(name: str) -> Any:
    return getattr(flambeau._core, name, None) or getattr(Tensor, name, None)


def _register(name: str, linear: bool) -> None:
    """Implement a pointwise operator for sparse tensors by applying it to the values."""
    function = _function_named(name)
    if function is None:
        return

    @implements(name)
    def of_values(tensor: SparseTensor, *args: Any, **kwargs: Any) -> SparseTensor:
        tensor = tensor if linear else merged(tensor)
        return tensor._like(function(tensor._val, *args, **kwargs))

    if linear:
        return

    @implements(f"{name}_")
    def of_values_in_place(tensor: SparseTensor, *args: Any, **kwargs: Any) -> SparseTensor:
        if isinstance(tensor, CooTensor) and not tensor._coal:
            raise RuntimeError(f"{_OTHER_NAMES.get(name, name)}_ requires coalesced input")
        return in_place(f"{name}_", of_values, tensor, *args, **kwargs)


for _name in _LINEAR:
    _register(_name, True)
for _name in _KEEP_ZERO:
    _register(_name, False)


@implements("pow", "__pow__")
def pow(input: Any, exponent: Any) -> SparseTensor:
    """Return ``input**exponent`` for a nonzero number ``exponent``."""
    if isinstance(exponent, Tensor):
        if not isinstance(input, SparseTensor) or isinstance(exponent, SparseTensor) or exponent.ndim:
            raise NotImplementedError("pow: the exponent of a sparse tensor must be a number")
        exponent = exponent.item()
    if not isinstance(input, SparseTensor):
        raise NotImplementedError("pow: the exponent must be a number, not a sparse tensor")
    if exponent == 0:
        raise RuntimeError("pow: cannot raise to zeroth power on sparse tensor; it would make the result tensor dense")
    tensor = merged(input)
    return tensor._like(tensor._val**exponent)


@implements("float_power")
def float_power(input: Any, exponent: Any) -> SparseTensor:
    """Return ``input**exponent`` in double precision."""
    wide = flambeau.complex128 if input.is_complex() else flambeau.float64
    return pow(input._like(input._val.to(wide)), exponent)


@implements(".real")
def real(tensor: SparseTensor) -> SparseTensor:
    """Return the real parts, which share memory with a complex tensor. Return a real tensor unchanged."""
    return tensor._like(tensor._val.real) if tensor.is_complex() else tensor


@implements(".imag")
def imag(tensor: SparseTensor) -> SparseTensor:
    """Return the imaginary parts, which share memory with the tensor.

    Raises: RuntimeError if the tensor is real.
    """
    return tensor._like(tensor._val.imag)
