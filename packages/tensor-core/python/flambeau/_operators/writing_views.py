"""Copies of a tensor with one view of it replaced: what assigning to the view would do, as functions."""

from collections.abc import Sequence

from flambeau._core import Tensor
from flambeau._operator import operator


def _write(view: Tensor, src: Tensor, name: str) -> None:
    if view.shape != src.shape:
        raise RuntimeError(
            f"expected src to have a size equal to {name} of self. src size = {tuple(src.shape)}, "
            f"{name} size = {tuple(view.shape)}"
        )
    view.copy_(src)


@operator(method=True, out=True)
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """``input`` with ``src`` in the place of ``input.select(dim, index)``. Gradient: input and src."""
    result = input.clone()
    _write(result.select(dim, index), src, "slice")
    return result


@operator(method=True, out=True)
def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """``input`` with ``src`` in the place of ``input[start:end:step]`` along ``dim``. Gradient: input and src.

    >>> flambeau.slice_scatter(flambeau.zeros(4), flambeau.ones(2), start=1, step=2)
    tensor([0., 1., 0., 1.])
    """
    result = input.clone()
    _write(result.transpose(0, dim)[start:end:step].transpose(0, dim), src, "slice")
    return result


@operator(method=True, out=True)
def diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """``input`` with ``src`` in the place of ``input.diagonal(offset, dim1, dim2)``. Gradient: input and src."""
    result = input.clone()
    _write(result.diagonal(offset, dim1, dim2), src, "slice")
    return result


@operator(method=True, out=True)
def as_strided_scatter(
    input: Tensor, src: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Tensor:
    """``input`` with ``src`` in the place of ``input.as_strided(size, stride, storage_offset)``.

    Gradient: input and src. ``storage_offset`` counts from the first element of ``input``'s copy.
    """
    result = input.clone()
    _write(result.as_strided(size, stride, storage_offset), src, "slice")
    return result
