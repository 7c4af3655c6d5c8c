"""Helpers of ``torch.nn.modules.batchnorm``."""

from flambeau.nn.modules.lazy import _LazyNormBase

__all__ = ["_LazyNormBase"]
