"""Distributions of transformed samples."""

from typing import Any

from flambeau import Size, Tensor, no_grad

from . import constraints
from .distribution import Distribution, Shape
from .independent import Independent
from .transforms import ComposeTransform, Transform
from .utils import _sum_rightmost

__all__ = ["TransformedDistribution"]


class TransformedDistribution(Distribution):
    """Distribution of ``y = f(x)``: ``log p(y) = log p_base(f^-1(y)) - log |det df/dx|``.

    Args:
        base_distribution: distribution of ``x``. If the transforms require it, the distribution is expanded, and batch
            dimensions become event dimensions.
        transforms: ``f``, a transform or a list of transforms that are applied in order.
    Support: the codomain of the last transform. Gradient: through ``rsample``, if the base distribution defines it.

    >>> from flambeau.distributions import AffineTransform, Normal, SigmoidTransform
    >>> logistic = TransformedDistribution(Normal(0.0, 1.0), [AffineTransform(0.0, 2.0), SigmoidTransform()])
    >>> logistic.log_prob(fb.tensor(0.5))
    tensor(-0.2258)
    """

    arg_constraints: dict[str, constraints.Constraint] = {}

    base_dist: Any

    def __init__(
        self,
        base_distribution: Distribution,
        transforms: Transform | list[Transform],
        validate_args: bool | None = None,
    ) -> None:
        self.transforms = _as_list(transforms)
        transform = ComposeTransform(self.transforms)
        domain, codomain = transform.domain.event_dim, transform.codomain.event_dim
        base_shape = base_distribution.batch_shape + base_distribution.event_shape
        base_event_dim = len(base_distribution.event_shape)
        if len(base_shape) < domain:
            raise ValueError(
                f"base_distribution needs to have shape with size at least {domain}, but got {base_shape}."
            )
        shape = Size(transform.forward_shape(base_shape))
        expanded = Size(transform.inverse_shape(shape))
        if expanded != base_shape:
            base_distribution = base_distribution.expand(expanded[: len(expanded) - base_event_dim])
        if domain > base_event_dim:
            base_distribution = Independent(base_distribution, domain - base_event_dim)
        self.base_dist = base_distribution
        cut = len(shape) - max(codomain, base_event_dim + codomain - domain)
        super().__init__(shape[:cut], shape[cut:], validate_args=validate_args)

    def expand(self, batch_shape: Shape, _instance: Any = None) -> "TransformedDistribution":
        new: TransformedDistribution = self._get_checked_instance(TransformedDistribution, _instance)
        batch_shape = Size(batch_shape)
        shape: Any = batch_shape + self._event_shape
        for transform in reversed(self.transforms):
            shape = transform.inverse_shape(shape)
        new.transforms = self.transforms
        new.base_dist = self.base_dist.expand(shape[: len(shape) - len(self.base_dist.event_shape)])
        Distribution.__init__(new, batch_shape, self._event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @constraints.dependent_property(is_discrete=False)
    def support(self) -> constraints.Constraint:
        if not self.transforms:
            return self.base_dist.support
        support = self.transforms[-1].codomain
        missing = len(self._event_shape) - support.event_dim
        return constraints.independent(support, missing) if missing > 0 else support

    @property
    def has_rsample(self) -> bool:
        return self.base_dist.has_rsample

    def sample(self, sample_shape: Shape = Size()) -> Tensor:
        with no_grad():
            return self._apply_transforms(self.base_dist.sample(sample_shape))

    def rsample(self, sample_shape: Shape = Size()) -> Tensor:
        return self._apply_transforms(self.base_dist.rsample(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        event_dim = len(self._event_shape)
        log_prob: Any = 0.0
        for transform in reversed(self.transforms):
            x = transform.inv(value)
            event_dim += transform.domain.event_dim - transform.codomain.event_dim
            term = transform.log_abs_det_jacobian(x, value)
            log_prob = log_prob - _sum_rightmost(term, event_dim - transform.domain.event_dim)
            value = x
        base = _sum_rightmost(self.base_dist.log_prob(value), event_dim - len(self.base_dist.event_shape))
        return log_prob + base

    def cdf(self, value: Tensor) -> Tensor:
        """Return the probability that a sample is at most ``value``, for monotone transforms."""
        for transform in reversed(self.transforms):
            value = transform.inv(value)
        if self._validate_args:
            self.base_dist._validate_sample(value)
        return self._flip_if_decreasing(self.base_dist.cdf(value))

    def icdf(self, value: Tensor) -> Tensor:
        return self._apply_transforms(self.base_dist.icdf(self._flip_if_decreasing(value)))

    def _apply_transforms(self, x: Tensor) -> Tensor:
        for transform in self.transforms:
            x = transform(x)
        return x

    def _flip_if_decreasing(self, probability: Tensor) -> Tensor:
        """Return ``1 - probability`` if the composed transform is decreasing, else ``probability``."""
        sign: Any = 1
        for transform in self.transforms:
            sign = sign * transform.sign
        return probability if isinstance(sign, int) and sign == 1 else sign * (probability - 0.5) + 0.5


def _as_list(transforms: Any) -> list[Transform]:
    if isinstance(transforms, Transform):
        return [transforms]
    if isinstance(transforms, list) and all(isinstance(transform, Transform) for transform in transforms):
        return transforms
    raise ValueError(f"transforms must be a Transform or a list of Transforms, but was {transforms}")
