"""Differences and integrals of sampled functions."""

from flambeau import _core
from flambeau._core import Tensor
from flambeau._operator import operator


@operator(method=True, out="exact")
def diff(
    input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None, append: Tensor | None = None
) -> Tensor:
    """Return the n-th differences of adjacent elements along a dimension. For bool, a difference is the exclusive or.

    ``prepend`` and ``append`` are concatenated with the input first. Raises RuntimeError for a 0-D input, a negative
    order, or shapes that do not match. Gradient: defined for all tensors, to any order.

    >>> import flambeau
    >>> flambeau.diff(flambeau.tensor([1, 4, 9]))
    tensor([3, 5])
    """
    if input.dim() == 0:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    for end in (prepend, append):
        if end is not None:
            _check_end(input, end, dim)
    if n == 0:
        return input.clone()
    if prepend is not None or append is not None:
        input = _core.cat([part for part in (prepend, input, append) if part is not None], dim)
    for _ in range(min(n, input.size(dim))):
        after, before = input.narrow(dim, 1, input.size(dim) - 1), input.narrow(dim, 0, input.size(dim) - 1)
        input = after ^ before if input.dtype is _core.bool else after - before
    return input


def _check_end(input: Tensor, end: Tensor, dim: int) -> None:
    if end.dim() != input.dim():
        raise RuntimeError(
            f"diff expects prepend or append to be the same dimension as input, got {end.dim()} and {input.dim()}"
        )
    for i, (have, want) in enumerate(zip(end.shape, input.shape, strict=True)):
        if have != want and i != dim % input.dim():
            raise RuntimeError(
                "diff expects the shape of tensor to prepend or append to match that of input except along the "
                f"differencing dimension; input.size({i}) = {want}, but got tensor.size({i}) = {have}"
            )


@operator(aliases=("trapz",))
def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1) -> Tensor:
    """Return the integral of samples along a dimension, computed with the trapezoidal rule.

    Args:
        y: samples of any dtype except bool.
        x: positions of the samples, of y's shape or a vector.
        dx: spacing of the samples if x is None (default: 1).
        dim: dimension of the samples.
    Raises: RuntimeError for bool or for lengths that differ; IndexError for a 0-D y. Gradient: defined for y and x, to
        any order.

    >>> import flambeau
    >>> flambeau.trapezoid(flambeau.tensor([1.0, 2.0, 4.0]))
    tensor(4.5000)
    """
    widths, count = _widths("trapezoid", y, x, dx, dim)
    if x is None and y.size(dim) == 0:
        return y.sum(dim, dtype=y.dtype)
    if x is None:
        return (y.sum(dim) - (y.select(dim, 0) + y.select(dim, -1)) * 0.5) * widths
    return ((y.narrow(dim, 0, count) + y.narrow(dim, 1, count)) * widths).sum(dim) / 2.0


@operator()
def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1) -> Tensor:
    """Return the cumulative integral, one element shorter than ``y``. See ``trapezoid``.

    >>> fb.cumulative_trapezoid(fb.tensor([1.0, 2.0, 3.0]))
    tensor([1.5000, 4.0000])
    """
    widths, count = _widths("cumulative_trapezoid", y, x, dx, dim)
    return ((y.narrow(dim, 0, count) + y.narrow(dim, 1, count)) * widths).cumsum(dim) / 2.0


def _widths(name: str, y: Tensor, x: Tensor | None, dx: float | None, dim: int) -> tuple[Tensor | float, int]:
    """Return the distances between samples, broadcastable to ``y``, and the number of intervals along ``dim``."""
    if y.dtype is _core.bool:
        raise RuntimeError(f"{name}: received a bool input for `y`, but bool is not supported")
    count = max(y.size(dim) - 1, 0)
    if x is None:
        return (1.0 if dx is None else dx), count
    if dx is not None:
        raise TypeError(f"{name}() takes x or dx, got both")
    if x.dtype is _core.bool:
        raise RuntimeError(f"{name}: received a bool input for `x`, but bool is not supported")
    if x.dim() == 1 and y.dim() > 1:
        x = x.reshape([-1 if i == dim % y.dim() else 1 for i in range(y.dim())])
    elif x.dim() < y.dim():
        x = x.reshape([1] * (y.dim() - x.dim()) + list(x.shape))
    if x.size(dim) != y.size(dim):
        raise RuntimeError(
            f"{name}: There must be one `x` value for each sample point, got {x.size(dim)} for {y.size(dim)}"
        )
    return x.narrow(dim, 1, count) - x.narrow(dim, 0, count), count
