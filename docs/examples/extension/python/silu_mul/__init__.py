"""A fused operator for flambeau, built as a separate package."""

from flambeau import Tensor
from flambeau.library import extension_op
from silu_mul import _silu_mul

__all__ = ["silu_mul"]


@extension_op("silu_mul::silu_mul")
def silu_mul(x: Tensor, y: Tensor) -> Tensor:
    """Return silu(x) * y for floating-point tensors, with broadcasting and type promotion as in x * y.

    Gradient: defined for x and y, to any order.
    """
    return _silu_mul.silu_mul(x, y)


@silu_mul.register_decomposition
def _by_operators(x: Tensor, y: Tensor) -> Tensor:
    return x * x.sigmoid() * y


# The function itself computes shapes and dtypes for meta tensors.
silu_mul.register_fake(_silu_mul.silu_mul)


@silu_mul.register_vmap
def _of_batches(info, in_dims, x, y):  # type: ignore[no-untyped-def]
    """Implement vmap with one call: move the batch to the first dimension and align the other dimensions."""
    x, y = (t if d is None else t.movedim(d, 0) for t, d in zip((x, y), in_dims, strict=True))
    dims = [t.dim() - (d is not None) for t, d in zip((x, y), in_dims, strict=True)]
    x, y = (
        t if d is None else t.reshape(len(t), *[1] * (max(dims) - own), *t.shape[1:])
        for t, d, own in zip((x, y), in_dims, dims, strict=True)
    )
    return silu_mul(x, y), 0
