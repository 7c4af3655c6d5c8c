"""Relaxed discrete distributions: continuous distributions of log probabilities that are mapped to probabilities."""

from flambeau import Tensor

from .transformed_distribution import TransformedDistribution


class Relaxed(TransformedDistribution):
    """Base class of relaxed distributions. The parameters belong to ``base_dist``."""

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
