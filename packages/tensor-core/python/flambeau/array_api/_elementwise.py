"""Elementwise functions."""

import builtins
from collections.abc import Callable
from typing import Any

import flambeau
from flambeau import Tensor
from flambeau.array_api._promotion import KINDS, Scalar, broadcast, implemented_by, operands


def _unary(name: str, operator: Callable[[Tensor], Tensor], summary: str = "") -> Callable[[Tensor], Tensor]:
    @implemented_by(operator, name, summary=summary)
    def function(x: Tensor, /) -> Tensor:
        return operator(x)

    return function


def _binary(name: str, operator: Callable[[Tensor, Tensor], Tensor], summary: str = "") -> Callable[[Any, Any], Tensor]:
    @implemented_by(operator, name, summary=summary)
    def function(x1: Tensor | Scalar, x2: Tensor | Scalar, /) -> Tensor:
        return operator(*operands(name, x1, x2))

    return function


abs = _unary("abs", flambeau.abs)
acos = _unary("acos", flambeau.acos)
acosh = _unary("acosh", flambeau.acosh)
asin = _unary("asin", flambeau.asin)
asinh = _unary("asinh", flambeau.asinh)
atan = _unary("atan", flambeau.atan)
atanh = _unary("atanh", flambeau.atanh)
bitwise_invert = _unary("bitwise_invert", flambeau.bitwise_not)
ceil = _unary("ceil", flambeau.ceil)
cos = _unary("cos", flambeau.cos)
cosh = _unary("cosh", flambeau.cosh)
exp = _unary("exp", flambeau.exp)
expm1 = _unary("expm1", flambeau.expm1)
floor = _unary("floor", flambeau.floor)
isfinite = _unary("isfinite", flambeau.isfinite)
isinf = _unary("isinf", flambeau.isinf)
isnan = _unary("isnan", flambeau.isnan)
log = _unary("log", flambeau.log)
log10 = _unary("log10", flambeau.log10)
log1p = _unary("log1p", flambeau.log1p)
log2 = _unary("log2", flambeau.log2)
logical_not = _unary("logical_not", flambeau.logical_not)
negative = _unary("negative", flambeau.neg)
positive = _unary("positive", flambeau.positive, "Return the array.")
reciprocal = _unary("reciprocal", flambeau.reciprocal)
signbit = _unary("signbit", flambeau.signbit)
sin = _unary("sin", flambeau.sin)
sinh = _unary("sinh", flambeau.sinh)
sqrt = _unary("sqrt", flambeau.sqrt)
square = _unary("square", flambeau.square, "Return x * x.")
tan = _unary("tan", flambeau.tan)
tanh = _unary("tanh", flambeau.tanh)
trunc = _unary("trunc", flambeau.trunc)

add = _binary("add", flambeau.add, "Return x1 + x2.")
atan2 = _binary("atan2", flambeau.atan2)
bitwise_and = _binary("bitwise_and", flambeau.bitwise_and)
bitwise_left_shift = _binary("bitwise_left_shift", flambeau.bitwise_left_shift)
bitwise_or = _binary("bitwise_or", flambeau.bitwise_or)
bitwise_right_shift = _binary("bitwise_right_shift", flambeau.bitwise_right_shift)
bitwise_xor = _binary("bitwise_xor", flambeau.bitwise_xor)
copysign = _binary("copysign", flambeau.copysign)
divide = _binary("divide", flambeau.div, "Return x1 / x2.")
equal = _binary("equal", flambeau.eq)
greater = _binary("greater", flambeau.gt)
greater_equal = _binary("greater_equal", flambeau.ge)
hypot = _binary("hypot", flambeau.hypot)
less = _binary("less", flambeau.lt)
less_equal = _binary("less_equal", flambeau.le)
logaddexp = _binary("logaddexp", flambeau.logaddexp)
logical_and = _binary("logical_and", flambeau.logical_and)
logical_or = _binary("logical_or", flambeau.logical_or)
logical_xor = _binary("logical_xor", flambeau.logical_xor)
maximum = _binary("maximum", flambeau.maximum)
minimum = _binary("minimum", flambeau.minimum)
multiply = _binary("multiply", flambeau.mul)
nextafter = _binary("nextafter", flambeau.nextafter)
not_equal = _binary("not_equal", flambeau.ne)
pow = _binary("pow", flambeau.pow, "Return x1**x2.")
subtract = _binary("subtract", flambeau.sub, "Return x1 - x2.")


def clip(x: Tensor, /, min: Tensor | Scalar | None = None, max: Tensor | Scalar | None = None) -> Tensor:
    """Limit the elements to [min, max], in the dtype of ``x``.

    >>> fb.array_api.clip(fb.tensor([-3, 0, 3]), -1, 2)
    tensor([-1,  0,  2])
    """
    shapes = [x.shape, *(bound.shape for bound in (min, max) if isinstance(bound, Tensor))]
    result = x.expand(broadcast(*shapes))
    if min is not None:
        result = flambeau.maximum(*operands("clip", result, _representable(min, x.dtype)))
    if max is not None:
        result = flambeau.minimum(*operands("clip", result, _representable(max, x.dtype)))
    return result.to(x.dtype, copy=min is None and max is None)


def _representable(bound: Tensor | Scalar, dtype: Any) -> Tensor | Scalar:
    """Clamp a bound to the range of an integer dtype. Other bounds are returned unchanged."""
    if not isinstance(bound, int) or dtype not in KINDS["integral"]:
        return bound
    limits = flambeau.iinfo(dtype)
    nearest: int = builtins.min(builtins.max(bound, limits.min), limits.max)
    return nearest


def conj(x: Tensor, /) -> Tensor:
    """Return the complex conjugate. A real array is returned unchanged.

    >>> fb.array_api.conj(fb.tensor([1 + 2j]))
    tensor([1.-2.j])
    """
    return x.conj() if x.dtype.is_complex else x


def imag(x: Tensor, /) -> Tensor:
    """Return the imaginary part, which is zero for a real array.

    >>> fb.array_api.imag(fb.tensor([1 + 2j])), fb.array_api.imag(fb.tensor([5.0]))
    (tensor([2.]), tensor([0.]))
    """
    return x.imag if x.dtype.is_complex else flambeau.zeros_like(x)


def real(x: Tensor, /) -> Tensor:
    """Return the real part. A real array is returned unchanged.

    >>> fb.array_api.real(fb.tensor([1 + 2j]))
    tensor([1.])
    """
    return x.real if x.dtype.is_complex else x


def round(x: Tensor, /) -> Tensor:
    """Round to the nearest integer, with ties to even. For complex numbers, round both parts.

    >>> fb.array_api.round(fb.tensor([0.5, 1.5, -2.7]))
    tensor([ 0.,  2., -3.])
    """
    return flambeau.complex(x.real.round(), x.imag.round()) if x.dtype.is_complex else x.round()


def sign(x: Tensor, /) -> Tensor:
    """Return -1, 0 or 1 for real numbers, and x / abs(x) or 0 for complex numbers. The sign of NaN is NaN.

    >>> fb.array_api.sign(fb.tensor([-2.5, 0.0, float("nan")]))
    tensor([-1.,  0., nan])
    """
    return flambeau.where(x.isnan(), x, x.sgn()) if x.dtype.is_floating_point else x.sgn()


def floor_divide(x1: Tensor | Scalar, x2: Tensor | Scalar, /) -> Tensor:
    """Compute floor(x1 / x2). For infinite operands and zero divisors, use the IEEE 754 quotient.

    >>> fb.array_api.floor_divide(fb.tensor([-7, 7]), 2)
    tensor([-4,  3])
    """
    x1, x2 = operands("floor_divide", x1, x2)
    result = flambeau.floor_divide(x1, x2)
    if not x1.dtype.is_floating_point:
        return result
    special = x1.isinf() | x2.isinf() | (x2 == 0) | (x1 == 0)
    return flambeau.where(special, (x1 / x2).floor(), result)


def remainder(x1: Tensor | Scalar, x2: Tensor | Scalar, /) -> Tensor:
    """Compute x1 - floor(x1 / x2) * x2 exactly. The result has the sign of x2, even if it is 0.

    >>> fb.array_api.remainder(fb.tensor([-7, 7]), 3)
    tensor([2, 1])
    """
    x1, x2 = operands("remainder", x1, x2)
    result = flambeau.remainder(x1, x2)
    if not x1.dtype.is_floating_point:
        return result
    opposite = (x1 < 0) != (x2 < 0)
    beyond = flambeau.where(opposite & (x1 != 0), x2, x1)
    result = flambeau.where(x1.isfinite() & x2.isinf(), beyond, result)
    return flambeau.where(result == 0, flambeau.copysign(result, x2), result)
