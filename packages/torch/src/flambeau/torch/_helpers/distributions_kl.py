"""Helpers of ``torch.distributions.kl``."""

from flambeau import Tensor, xlogy


def _x_log_x(tensor: Tensor) -> Tensor:
    """Return ``x log(x)``, which is 0 for 0."""
    return xlogy(tensor, tensor)
