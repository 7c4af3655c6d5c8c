"""Relaxed discrete distributions: a continuous distribution of log probabilities, mapped to probabilities."""

from flambeau import Tensor

from .transformed_distribution import TransformedDistribution


class Relaxed(TransformedDistribution):
    """Base class of relaxed distributions. The parameters are those of the base distribution."""

    has_rsample = True

    @property
    def temperature(self) -> Tensor:
        """The temperature; lower values give draws closer to discrete values."""
        temperature: Tensor = self.base_dist.temperature
        return temperature

    @property
    def logits(self) -> Tensor:
        """The log odds or log probabilities."""
        logits: Tensor = self.base_dist.logits
        return logits

    @property
    def probs(self) -> Tensor:
        """The probabilities."""
        probs: Tensor = self.base_dist.probs
        return probs
