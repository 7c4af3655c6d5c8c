"""Reductions of consecutive segments of different lengths."""

from flambeau import _core
from flambeau._core import Tensor
from flambeau._operator import operator

# Maps each reduction to a reduction of scatter_reduce, and to its value for an empty segment.
_REDUCTIONS = {
    "sum": ("sum", 0.0),
    "mean": ("sum", 0.0),
    "prod": ("prod", 1.0),
    "amax": ("amax", float("-inf")),
    "amin": ("amin", float("inf")),
    "max": ("amax", float("-inf")),
    "min": ("amin", float("inf")),
}


@operator()
def segment_reduce(
    data: Tensor,
    reduce: str,
    *,
    lengths: Tensor | None = None,
    indices: Tensor | None = None,
    offsets: Tensor | None = None,
    axis: int = 0,
    unsafe: bool = False,
    initial: float | None = None,
) -> Tensor:
    """Reduce consecutive segments along an axis.

    Args:
        data: floating tensor.
        reduce: sum, mean, prod, amax (or max) or amin (or min).
        lengths: lengths of the segments, of shape (*leading dimensions of data, segments).
        offsets: alternative to ``lengths``: the start of each segment, followed by the end of the last one.
        indices: not supported.
        axis: the dimension of the segments, which is the last one of ``lengths``.
        unsafe: if True, do not check that the lengths add up to the size of ``data``.
        initial: initial value of each reduction. Without it, the mean of an empty segment is NaN.
    Raises: RuntimeError if arguments do not match. Gradient: defined for data. Elements that all equal the extreme
        value share the gradient.

    >>> import flambeau
    >>> flambeau.segment_reduce(flambeau.tensor([1.0, 2.0, 4.0]), "sum", lengths=flambeau.tensor([2, 1]))
    tensor([3., 4.])
    """
    if reduce not in _REDUCTIONS:
        raise RuntimeError(f"segment_reduce(): reduce must be one of {', '.join(_REDUCTIONS)}, but got {reduce!r}")
    if indices is not None:
        raise RuntimeError("segment_reduce(): indices based reduction is not supported.")
    axis = axis % max(data.dim(), 1)
    if lengths is None:
        if offsets is None:
            raise RuntimeError("segment_reduce(): Either lengths or offsets must be defined.")
        lengths = offsets.diff()
    if axis != lengths.dim() - 1 or axis >= data.dim():
        raise RuntimeError(
            f"segment_reduce(): Expected axis to be the last dimension of lengths but got {axis}, "
            f"with lengths of shape {list(lengths.shape)} and data of shape {list(data.shape)}."
        )
    if not unsafe:
        _check_lengths(lengths, data.size(axis))
    return _reduced(data, reduce, lengths, axis, initial)


def _check_lengths(lengths: Tensor, size: int) -> None:
    if (lengths < 0).any():
        raise RuntimeError("segment_reduce(): lengths contains negative value!")
    if (lengths.sum(-1) != size).any():
        raise RuntimeError(
            f"segment_reduce(): Expected all rows of lengths along axis to sum to {size}, the size of data along axis"
        )


def _reduced(data: Tensor, reduce: str, lengths: Tensor, axis: int, initial: float | None) -> Tensor:
    """Reduce each segment of ``data`` with one scatter_reduce call whose index is the number of the segment."""
    name, empty = _REDUCTIONS[reduce]
    # The index of an element's segment is the number of segments that end at or before the element.
    positions = _core.arange(data.size(axis)).expand(lengths.shape[:-1] + (data.size(axis),)).contiguous()
    segments = _core.searchsorted(lengths.cumsum(-1), positions, right=True)
    trailing = [1] * (data.dim() - axis - 1)
    index = segments.reshape(list(segments.shape) + trailing).expand(data.shape)
    shape = list(data.shape)
    shape[axis] = lengths.size(-1)
    start = _core.full(shape, empty if initial is None else initial, dtype=data.dtype)
    result = start.scatter_reduce(axis, index, data, name, include_self=True)
    if reduce != "mean":
        return result
    counts = lengths.reshape(list(lengths.shape) + trailing)
    if initial is None:
        return result / counts
    return result / counts.clamp(min=1)
