"""Numerical derivatives of sampled functions."""

from collections.abc import Sequence

from flambeau import _core
from flambeau._core import Tensor
from flambeau._operator import operator


@operator()
def gradient(
    input: Tensor,
    *,
    spacing: float | Tensor | Sequence[float | Tensor] | None = None,
    dim: int | Sequence[int] | None = None,
    edge_order: int = 1,
) -> tuple[Tensor, ...]:
    """Return the derivative of sampled values along each dimension, from second-order central differences.

    Args:
        input: samples. Integers are converted to the default dtype.
        spacing: distance between samples: a number, one number per dimension, or one vector of coordinates per
            dimension.
        dim: dimensions to differentiate along. None means all.
        edge_order: 1 or 2, the order of the one-sided differences at the ends.
    Returns: a tuple with one tensor of the input's shape for each dimension. Tensors in ``spacing`` take part in type
        promotion.
    Raises: RuntimeError for a dimension with fewer than ``edge_order + 1`` samples, or spacings that do not match.
    Gradient: defined for input.
    Source: Fornberg 1988, doi 10.1090/S0025-5718-1988-0935077-0.

    >>> flambeau.gradient(flambeau.tensor([1.0, 4.0, 9.0, 16.0]))[0]
    tensor([3., 4., 6., 7.])
    """
    if edge_order not in (1, 2):
        raise RuntimeError(f"gradient only supports edge_order=1 and edge_order=2, got {edge_order}")
    listed = list(range(input.dim())) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    dims = []
    for d in listed:
        if not -input.dim() <= d < input.dim():
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-input.dim()}, {input.dim() - 1}], but got {d})"
            )
        dims.append(d % input.dim())
    if len(set(dims)) < len(dims):
        raise RuntimeError(f"dim {listed} appears multiple times in the list of dims")
    spacings = _spacings(spacing, dims, input, dim)
    if not input.is_floating_point() and not input.is_complex():
        input = input.to(_core.get_default_dtype())
    return tuple(_gradient_along(input, d, h, edge_order) for d, h in zip(dims, spacings, strict=True))


def _spacings(spacing: object, dims: list[int], input: Tensor, dim: object) -> list[float | Tensor]:
    """Return, for each dimension, the distance between samples, or their coordinates in a 1-D tensor."""
    if spacing is None:
        spacing = 1.0
    values = list(spacing) if isinstance(spacing, (list, tuple)) else None
    if values is None:
        coordinates = isinstance(spacing, Tensor) and spacing.dim() > 0
        values = [spacing] if coordinates else [spacing] * len(dims)
    if len(values) != len(dims):
        raise RuntimeError(
            "gradient expected spacing to be unspecified, a scalar, or a list of length equal to 'self.dim() = "
            f"{input.dim()}', since dim argument was {dim}, but got a list of length {len(values)}"
        )
    for value, d in zip(values, dims, strict=True):
        if isinstance(value, Tensor) and value.dim() > 0 and (value.dim() != 1 or value.numel() != input.size(d)):
            raise RuntimeError(
                f"gradient expected each tensor in spacing to be a scalar or to have the shape [{input.size(d)}], as "
                f"many values as input has along dimension {d}, but got shape {list(value.shape)}"
            )
    return values


def _gradient_along(t: Tensor, dim: int, spacing: float | Tensor, edge_order: int) -> Tensor:
    """Return the central differences along ``dim``, with one-sided differences of order ``edge_order`` at the ends."""
    n = t.size(dim)
    if n < edge_order + 1:
        raise RuntimeError(
            f"gradient expected each dimension size to be at least edge_order+1 (={edge_order + 1}), but dimension "
            f"{dim} has size {n}"
        )
    if dim != t.dim() - 1:
        return _gradient_along(t.movedim(dim, -1), t.dim() - 1, spacing, edge_order).movedim(-1, dim)
    if isinstance(spacing, Tensor) and spacing.dim() == 1:
        dtype = _core.promote_types(t.dtype, spacing.dtype)
        inside, first, last = _uneven_differences(t.to(dtype), spacing.to(dtype), edge_order)
    else:
        inside, first, last = _even_differences(t, edge_order)
        if isinstance(spacing, Tensor) or spacing != 1:
            inside, first, last = inside / spacing, first / spacing, last / spacing
    return _core.cat([first, inside, last], -1)


def _even_differences(t: Tensor, edge_order: int) -> tuple[Tensor, Tensor, Tensor]:
    inside = (t[..., 2:] - t[..., :-2]) / 2
    if edge_order == 1:
        return inside, t[..., 1:2] - t[..., :1], t[..., -1:] - t[..., -2:-1]
    first = -1.5 * t[..., :1] + 2 * t[..., 1:2] - 0.5 * t[..., 2:3]
    last = 1.5 * t[..., -1:] - 2 * t[..., -2:-1] + 0.5 * t[..., -3:-2]
    return inside, first, last


def _uneven_differences(t: Tensor, x: Tensor, edge_order: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the differences inside, at the first and at the last element, for samples at the coordinates ``x``."""
    h = x[1:] - x[:-1]
    a, b = h[:-1], h[1:]  # the distances to the left and to the right
    inside = -b / (a * (a + b)) * t[..., :-2] + (b - a) / (a * b) * t[..., 1:-1] + a / (b * (a + b)) * t[..., 2:]
    if edge_order == 1:
        return inside, (t[..., 1:2] - t[..., :1]) / h[:1], (t[..., -1:] - t[..., -2:-1]) / h[-1:]
    a, b = h[:1], h[1:2]
    first = (
        -(2 * a + b) / (a * (a + b)) * t[..., :1] + (a + b) / (a * b) * t[..., 1:2] - a / (b * (a + b)) * t[..., 2:3]
    )
    a, b = h[-2:-1], h[-1:]
    last = (
        b / (a * (a + b)) * t[..., -3:-2]
        - (a + b) / (a * b) * t[..., -2:-1]
        + (a + 2 * b) / (b * (a + b)) * t[..., -1:]
    )
    return inside, first, last
