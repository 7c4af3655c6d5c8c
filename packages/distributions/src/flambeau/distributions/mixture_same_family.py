"""Mixtures of distributions of one family."""

from typing import Any

from flambeau import Size, Tensor, no_grad

from . import constraints
from .categorical import Categorical
from .distribution import Distribution, Shape

__all__ = ["MixtureSameFamily"]


class MixtureSameFamily(Distribution):
    """Mixture of K components: ``p(x) = sum_k w_k p_k(x)`` with weights ``w_k``.

    A sample is drawn from a component that is drawn with the weights as probabilities.

    Args:
        mixture_distribution: Categorical distribution over the K components, whose ``probs`` are the weights.
        component_distribution: distribution whose last batch dimension contains the components.
    Support: the intersection of the supports of the components.

    >>> from flambeau.distributions import Categorical, Normal
    >>> MixtureSameFamily(Categorical(fb.ones(2)), Normal(fb.tensor([-1.0, 3.0]), fb.ones(2))).mean
    tensor(1.)
    """

    arg_constraints: dict[str, constraints.Constraint] = {}
    has_rsample = False

    _mixture_distribution: Categorical
    _component_distribution: Any

    def __init__(
        self,
        mixture_distribution: Categorical,
        component_distribution: Distribution,
        validate_args: bool | None = None,
    ) -> None:
        _check(mixture_distribution, component_distribution)
        self._mixture_distribution = mixture_distribution
        self._component_distribution = component_distribution
        self._num_component = component_distribution.batch_shape[-1]
        self._event_ndims = len(component_distribution.event_shape)
        super().__init__(
            component_distribution.batch_shape[:-1], component_distribution.event_shape, validate_args=validate_args
        )

    def expand(self, batch_shape: Shape, _instance: Any = None) -> "MixtureSameFamily":
        new: MixtureSameFamily = self._get_checked_instance(MixtureSameFamily, _instance)
        batch_shape = Size(batch_shape)
        new._component_distribution = self._component_distribution.expand((*batch_shape, self._num_component))
        new._mixture_distribution = self._mixture_distribution.expand(batch_shape)
        new._num_component, new._event_ndims = self._num_component, self._event_ndims
        return self._expanded(MixtureSameFamily, batch_shape, new)

    @constraints.dependent_property
    def support(self) -> constraints.Constraint:
        return constraints.MixtureSameFamilyConstraint(self._component_distribution.support)

    @property
    def mixture_distribution(self) -> Categorical:
        """The distribution over the components."""
        return self._mixture_distribution

    @property
    def component_distribution(self) -> Distribution:
        """The components, along the last batch dimension."""
        return self._component_distribution

    def _average(self, of_components: Tensor) -> Tensor:
        """Return the average of a moment of the components, with the weights of the mixture."""
        weights = self._mixture_distribution.probs
        weights = weights.reshape(weights.shape + (1,) * self._event_ndims)
        return (weights * of_components).sum(-1 - self._event_ndims)

    @property
    def mean(self) -> Tensor:
        return self._average(self._component_distribution.mean)

    @property
    def variance(self) -> Tensor:
        """The variance: the mean of the variances plus the variance of the means."""
        means = self._component_distribution.mean
        distance = means - self._add_component_dim(self.mean)
        return self._average(self._component_distribution.variance + distance.square())

    def _add_component_dim(self, x: Tensor) -> Tensor:
        """Insert a dimension for the components before the event dimensions of ``x``."""
        return x.unsqueeze(-1 - self._event_ndims)

    def cdf(self, x: Tensor) -> Tensor:
        return (self._component_distribution.cdf(self._add_component_dim(x)) * self._mixture_distribution.probs).sum(-1)

    def log_prob(self, x: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(x)
        log_probs = self._component_distribution.log_prob(self._add_component_dim(x))
        return (log_probs + self._mixture_distribution.logits.log_softmax(-1)).logsumexp(-1)

    def sample(self, sample_shape: Shape = Size()) -> Tensor:
        with no_grad():
            component = self._mixture_distribution.sample(sample_shape)
            values = self._component_distribution.sample(sample_shape)
            index = component.reshape(component.shape + (1,) * (1 + self._event_ndims))
            dim = -1 - self._event_ndims
            index = index.expand(component.shape + (1,) + self._event_shape)
            return values.gather(values.dim() + dim, index).squeeze(dim)

    def __repr__(self) -> str:
        return f"MixtureSameFamily(\n  {self._mixture_distribution},\n  {self._component_distribution})"


def _check(mixture: Any, component: Any) -> None:
    """Raise ValueError if the components do not match the weights of the mixture in type, batch shape or number."""
    if not isinstance(mixture, Categorical):
        raise ValueError(
            f"The Mixture distribution needs to be an instance of Categorical, got {type(mixture).__name__}"
        )
    if not isinstance(component, Distribution):
        raise ValueError(
            f"The Component distribution needs to be an instance of Distribution, got {type(component).__name__}"
        )
    if not component.batch_shape:
        raise ValueError(
            "The component distribution must have a batch dimension for its components, got batch_shape []"
        )
    components, count = component.batch_shape[-1], mixture.param_shape[-1]
    for i, j in zip(reversed(mixture.batch_shape), reversed(component.batch_shape[:-1]), strict=False):
        if i not in (1, j) and j != 1:
            raise ValueError(
                f"`mixture_distribution.batch_shape` ({mixture.batch_shape}) is not compatible with "
                f"`component_distribution.batch_shape`({component.batch_shape[:-1]})"
            )
    if count != components:
        raise ValueError(
            f"`mixture_distribution component` ({count}) does not equal "
            f"`component_distribution.batch_shape[-1]` ({components})"
        )
