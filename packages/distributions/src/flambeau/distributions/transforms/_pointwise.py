"""Elementwise transforms."""

import math
from collections.abc import Sequence
from typing import Any

import flambeau as fb
from flambeau import Tensor

from .. import constraints
from ..utils import _sum_rightmost, broadcast_all
from ._base import Parameterless, Transform


class ExpTransform(Parameterless):
    """Transform ``y = exp(x)``.

    >>> ExpTransform()(fb.tensor([-1.0, 0.5]))
    tensor([0.3679, 1.6487])
    """

    domain = constraints.real
    codomain = constraints.positive
    bijective = True
    sign = 1

    def _call(self, x: Tensor) -> Tensor:
        return x.exp()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.log()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return x


class SigmoidTransform(Parameterless):
    """Transform ``y = 1 / (1 + exp(-x))``, clamped to the open interval (0, 1).

    >>> SigmoidTransform()(fb.tensor([-1.0, 0.5]))
    tensor([0.2689, 0.6225])
    """

    domain = constraints.real
    codomain = constraints.unit_interval
    bijective = True
    sign = 1

    def _call(self, x: Tensor) -> Tensor:
        return _clipped_sigmoid(x)

    def _inverse(self, y: Tensor) -> Tensor:
        y = _inside_unit_interval(y)
        return y.log() - (-y).log1p()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -fb.softplus(-x) - fb.softplus(x)


def _clipped_sigmoid(x: Tensor) -> Tensor:
    """Return the logistic function of ``x``, clamped to the open interval (0, 1)."""
    return _inside_unit_interval(x.sigmoid())


def _inside_unit_interval(y: Tensor) -> Tensor:
    finfo = fb.finfo(y.dtype)
    return y.clamp(finfo.tiny, 1 - finfo.eps)


class SoftplusTransform(Parameterless):
    """Transform ``y = log(1 + exp(x))``.

    >>> SoftplusTransform()(fb.tensor([-1.0, 0.5]))
    tensor([0.3133, 0.9741])
    """

    domain = constraints.real
    codomain = constraints.positive
    bijective = True
    sign = 1

    def _call(self, x: Tensor) -> Tensor:
        return fb.softplus(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return y + (-(-y).expm1()).log()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -fb.softplus(-x)


class TanhTransform(Parameterless):
    """Transform ``y = tanh(x)``.

    The inverse of a result that is rounded to 1 or -1 is infinite. Use ``cache_size=1`` to invert results exactly.

    >>> TanhTransform()(fb.tensor([-1.0, 0.5]))
    tensor([-0.7616,  0.4621])
    """

    domain = constraints.real
    codomain = constraints.interval(-1.0, 1.0)
    bijective = True
    sign = 1

    def _call(self, x: Tensor) -> Tensor:
        return x.tanh()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.atanh()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return 2 * (math.log(2.0) - x - fb.softplus(-2 * x))  # log(1 - tanh(x)**2) without cancellation


class AbsTransform(Parameterless):
    """Transform ``y = |x|``. The inverse returns the nonnegative ``x``.

    >>> AbsTransform()(fb.tensor([-1.0, 0.5]))
    tensor([1.0000, 0.5000])
    """

    domain = constraints.real
    codomain = constraints.positive

    def _call(self, x: Tensor) -> Tensor:
        return x.abs()

    def _inverse(self, y: Tensor) -> Tensor:
        return y


class PowerTransform(Transform):
    """Transform ``y = x**exponent`` of positive numbers.

    Args:
        exponent: a tensor or a number, not 0; broadcasts with ``x``.

    >>> PowerTransform(fb.tensor(2.0))(fb.tensor([1.0, 3.0]))
    tensor([1., 9.])
    """

    domain = constraints.positive
    codomain = constraints.positive
    bijective = True
    __hash__ = None

    def __init__(self, exponent: Tensor | float, cache_size: int = 0) -> None:
        super().__init__(cache_size=cache_size)
        (self.exponent,) = broadcast_all(exponent)

    def with_cache(self, cache_size: int = 1) -> Transform:
        return self if self._cache_size == cache_size else PowerTransform(self.exponent, cache_size=cache_size)

    @property
    def sign(self) -> Tensor:
        return self.exponent.sign()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PowerTransform) and _equal_parameters(self.exponent, other.exponent)

    def _call(self, x: Tensor) -> Tensor:
        return x.pow(self.exponent)

    def _inverse(self, y: Tensor) -> Tensor:
        return y.pow(1 / self.exponent)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return (self.exponent * y / x).abs().log()

    def forward_shape(self, shape: Sequence[int]) -> Sequence[int]:
        return fb.broadcast_shapes(shape, self.exponent.shape)

    inverse_shape = forward_shape


class AffineTransform(Transform):
    """Transform ``y = loc + scale * x``.

    Args:
        loc, scale: tensors or numbers that broadcast with ``x``.
        event_dim: number of dimensions of an event: 0 for numbers, 1 for vectors.

    >>> AffineTransform(loc=1.0, scale=2.0)(fb.tensor([-1.0, 0.5]))
    tensor([-1.,  2.])
    """

    bijective = True
    __hash__ = None

    def __init__(self, loc: Tensor | float, scale: Tensor | float, event_dim: int = 0, cache_size: int = 0) -> None:
        super().__init__(cache_size=cache_size)
        self.loc = loc
        self.scale = scale
        self._event_dim = event_dim

    @property
    def event_dim(self) -> int:
        return self._event_dim

    @constraints.dependent_property(is_discrete=False)
    def domain(self) -> constraints.Constraint:
        return constraints.independent(constraints.real, self._event_dim) if self._event_dim else constraints.real

    codomain = domain

    def with_cache(self, cache_size: int = 1) -> Transform:
        if self._cache_size == cache_size:
            return self
        return AffineTransform(self.loc, self.scale, self._event_dim, cache_size=cache_size)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, AffineTransform)
            and _equal_parameters(self.loc, other.loc)
            and _equal_parameters(self.scale, other.scale)
        )

    @property
    def sign(self) -> Tensor | int:
        if isinstance(self.scale, Tensor):
            return self.scale.sign()
        return (self.scale > 0) - (self.scale < 0)

    def _call(self, x: Tensor) -> Tensor:
        return self.loc + self.scale * x

    def _inverse(self, y: Tensor) -> Tensor:
        return (y - self.loc) / self.scale

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        if isinstance(self.scale, Tensor):
            result = self.scale.abs().log().expand(fb.broadcast_shapes(x.shape, self.scale.shape))
        else:
            result = fb.full_like(x, math.log(abs(self.scale)))
        return _sum_rightmost(result, self._event_dim)

    def forward_shape(self, shape: Sequence[int]) -> Sequence[int]:
        parameters = (getattr(parameter, "shape", ()) for parameter in (self.loc, self.scale))
        return fb.broadcast_shapes(shape, *parameters)

    inverse_shape = forward_shape


def _equal_parameters(a: Any, b: Any) -> bool:
    """Return True if two parameters, numbers or tensors, have the same values."""
    if isinstance(a, Tensor) and isinstance(b, Tensor) and a.shape != b.shape:
        return False
    equal = a == b
    return bool(equal.all()) if isinstance(equal, Tensor) else bool(equal)
