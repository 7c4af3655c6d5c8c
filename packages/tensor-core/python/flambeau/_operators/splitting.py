"""Tensors cut into parts, which are views."""

import itertools
import operator as numbers
from collections.abc import Sequence

from flambeau._core import Tensor
from flambeau._operator import operator


@operator(method=True)
def tensor_split(input: Tensor, indices_or_sections: int | Sequence[int] | Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """Parts of nearly equal size, or cut at the given indices; views. Gradient: each its part.

    Args:
        indices_or_sections: how many parts, or where to cut; a tensor of integers serves as either.
    Raises: RuntimeError for a tensor without dimensions and for less than one section.

    >>> flambeau.tensor_split(flambeau.arange(5), 2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    """
    if input.dim() == 0:
        raise RuntimeError("tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    sections = indices_or_sections
    if isinstance(sections, Tensor):
        if sections.dim() > 1 or sections.is_floating_point():
            raise RuntimeError(
                "tensor_split expected tensor_indices_or_sections to be a zero-dimensional or one-dimensional tensor "
                f"of integers, but got a {sections.dtype} one with {sections.dim()} dims"
            )
        sections = sections.tolist()
    total = input.size(dim)
    if isinstance(sections, Sequence):
        cuts = [0, *(min(max(i if i >= 0 else i + total, 0), total) for i in sections), total]
        return tuple(input.narrow(dim, a, max(b - a, 0)) for a, b in itertools.pairwise(cuts))
    count = numbers.index(sections)
    if count <= 0:
        raise RuntimeError(f"number of sections must be larger than 0, got {count}")
    small, larger = divmod(total, count)
    return tuple(input.split([small + 1] * larger + [small] * (count - larger), dim))


def _split_along(
    name: str, input: Tensor, indices_or_sections: int | Sequence[int], dim: int, least: int
) -> tuple[Tensor, ...]:
    if input.dim() < least:
        raise RuntimeError(
            f"torch.{name} requires a tensor with at least {least} dimension{'s' * (least > 1)}, but got a tensor with "
            f"{input.dim()} dimensions!"
        )
    count = indices_or_sections if isinstance(indices_or_sections, int) else None
    if count is not None and (count == 0 or input.size(dim) % count):
        raise RuntimeError(
            f"torch.{name} attempted to split along dimension {dim}, but the size of the dimension "
            f"{input.size(dim)} is not divisible by the split_size {count}!"
        )
    return tensor_split(input, indices_or_sections, dim)


@operator(method=True)
def hsplit(input: Tensor, indices_or_sections: int | Sequence[int]) -> tuple[Tensor, ...]:
    """tensor_split along the second dimension (the first of a vector), into equal parts where a number is given."""
    return _split_along("hsplit", input, indices_or_sections, min(input.dim() - 1, 1), 1)


@operator(method=True)
def vsplit(input: Tensor, indices_or_sections: int | Sequence[int]) -> tuple[Tensor, ...]:
    """tensor_split along the first dimension of at least two, into equal parts where a number is given."""
    return _split_along("vsplit", input, indices_or_sections, 0, 2)


@operator(method=True)
def dsplit(input: Tensor, indices_or_sections: int | Sequence[int]) -> tuple[Tensor, ...]:
    """tensor_split along the third dimension, into equal parts where a number is given."""
    return _split_along("dsplit", input, indices_or_sections, 2, 3)
