"""The sampler for several processes, as in ``flambeau.data``."""

from flambeau.data import DistributedSampler

__all__ = ["DistributedSampler"]
