"""Helpers of ``torch.distributions.utils``."""

_Number = (int, float, bool)
