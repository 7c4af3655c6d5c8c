"""Helpers of ``torch.distributions.von_mises``."""

from flambeau import Tensor, special


def _log_modified_bessel_fn(x: Tensor, order: int = 0) -> Tensor:
    """Return the logarithm of the modified Bessel function of the first kind, of order 0 or 1, for positive x."""
    if order not in (0, 1):
        raise AssertionError(f"order must be 0 or 1, got {order}")
    scaled: Tensor = special.i1e(x) if order else special.i0e(x)
    return x + scaled.log()
