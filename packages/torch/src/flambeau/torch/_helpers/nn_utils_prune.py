"""Helpers of ``torch.nn.utils.prune``."""

from flambeau import Tensor, norm


def _compute_norm(t: Tensor, n: float | str, dim: int) -> Tensor:
    """Return the norm of order ``n`` over all dimensions of a tensor except ``dim``."""
    pruned_dim = dim % t.dim()
    return norm(t, p=n, dim=[each for each in range(t.dim()) if each != pruned_dim])
