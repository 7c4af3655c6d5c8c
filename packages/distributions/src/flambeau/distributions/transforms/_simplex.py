"""Transforms to the simplex: probabilities that sum to 1."""

from collections.abc import Sequence

import flambeau as fb
from flambeau import Size, Tensor

from .. import constraints
from ._base import Parameterless


class SoftmaxTransform(Parameterless):
    """Transform ``y = softmax(x)`` along the last dimension. ``log(y)`` is the inverse. The transform is not bijective.

    >>> SoftmaxTransform()(fb.tensor([-1.0, 0.5]))
    tensor([0.1824, 0.8176])
    """

    domain = constraints.real_vector
    codomain = constraints.simplex

    def _call(self, x: Tensor) -> Tensor:
        return x.softmax(-1)

    def _inverse(self, y: Tensor) -> Tensor:
        return y.log()

    def forward_shape(self, shape: Sequence[int]) -> Sequence[int]:
        if len(shape) < 1:
            raise ValueError("Too few dimensions on input: expected at least 1, got shape []")
        return shape

    inverse_shape = forward_shape


class StickBreakingTransform(Parameterless):
    """Transform from ``K - 1`` numbers to ``K`` probabilities.

    Each probability is the fraction ``sigmoid(x - log(left))`` of the probability that remains, where ``left`` is the
    number of later probabilities. The term ``log(left)`` makes ``x = 0`` map to the centre of the simplex.

    Source: Stan's reference manual, "Unit simplex".

    >>> StickBreakingTransform()(fb.tensor([-1.0, 0.5]))
    tensor([0.1554, 0.5258, 0.3189])
    """

    domain = constraints.real_vector
    codomain = constraints.simplex
    bijective = True

    def _call(self, x: Tensor) -> Tensor:
        fraction = (x - _log_remaining_counts(x)).sigmoid()
        eps, tiny = fb.finfo(x.dtype).eps, fb.finfo(x.dtype).tiny
        fraction = fraction.clamp(tiny, 1 - eps)
        rest = (1 - fraction).cumprod(-1)
        one = fb.ones_like(x[..., :1])
        return fb.cat([fraction, one], -1) * fb.cat([one, rest], -1)

    def _inverse(self, y: Tensor) -> Tensor:
        pieces = y[..., :-1]
        rest = (1 - pieces.cumsum(-1)).clamp(min=fb.finfo(y.dtype).tiny)
        return pieces.log() - rest.log() + _log_remaining_counts(pieces)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        x = x - _log_remaining_counts(x)
        return (y[..., :-1].log() - fb.softplus(x)).sum(-1)

    def forward_shape(self, shape: Sequence[int]) -> Sequence[int]:
        if len(shape) < 1:
            raise ValueError("Too few dimensions on input: expected at least 1, got shape []")
        return Size((*shape[:-1], shape[-1] + 1))

    def inverse_shape(self, shape: Sequence[int]) -> Sequence[int]:
        if len(shape) < 1:
            raise ValueError("Too few dimensions on input: expected at least 1, got shape []")
        return Size((*shape[:-1], shape[-1] - 1))


def _log_remaining_counts(x: Tensor) -> Tensor:
    return fb.arange(x.shape[-1], 0, -1, dtype=x.dtype, device=x.device).log()
