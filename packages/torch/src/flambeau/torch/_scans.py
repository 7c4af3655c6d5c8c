"""Functions of ``torch._higher_order_ops.associative_scan``, PyTorch's private module."""

from collections.abc import Callable
from typing import Any

from flambeau import Tensor, cat, stack
from flambeau.utils import _pytree

__all__ = ["associative_scan"]

Combine = Callable[[list[Tensor], list[Tensor]], list[Tensor]]


def associative_scan(
    combine_fn: Callable[[Any, Any], Any], xs: Any, dim: int, reverse: bool = False, combine_mode: str = "pointwise"
) -> Any:
    """Compute the inclusive scan of an associative function along a dimension of the tensors of a pytree.

    ``combine_fn(left, right)`` takes pytrees like ``xs`` whose tensors have any size along the dimension, and is called
    about ``2 * log2(size)`` times. ``combine_mode`` selects a kernel in PyTorch and has no effect in flambeau.

    Raises: ValueError if the tree has no tensors, or if their sizes along the dimension differ.

    >>> import flambeau
    >>> from flambeau.torch._scans import associative_scan
    >>> associative_scan(lambda left, right: left * right, flambeau.tensor([1, 2, 3, 4]), 0)
    tensor([ 1,  2,  6, 24])
    """
    leaves, spec = _pytree.tree_flatten(xs)
    sizes = {leaf.shape[dim] for leaf in leaves}
    if len(sizes) != 1:
        found = f"sizes {sorted(sizes)}" if sizes else "no tensors"
        raise ValueError(f"associative_scan: all tensors must have the same size in dimension {dim}, got {found}")

    def combine(left: list[Tensor], right: list[Tensor]) -> list[Tensor]:
        trees = (_pytree.tree_unflatten([leaf.movedim(0, dim) for leaf in part], spec) for part in (left, right))
        return [leaf.movedim(dim, 0) for leaf in _pytree.tree_leaves(combine_fn(*trees))]

    parts = [leaf.movedim(dim, 0) for leaf in leaves]
    if reverse:
        parts = [part.flip(0) for part in parts]
    parts = _scan(combine, parts)
    if reverse:
        parts = [part.flip(0) for part in parts]
    return _pytree.tree_unflatten([part.movedim(0, dim) for part in parts], spec)


def _scan(combine: Combine, parts: list[Tensor]) -> list[Tensor]:
    """Scan along the first dimension.

    Neighbouring pairs are combined. The scan of the combined pairs, computed recursively, is the result at odd indices.
    The result at an even index combines the previous result with one element.
    """
    size = parts[0].shape[0]
    if size < 2:
        return parts
    paired = size // 2 * 2
    odd = _scan(combine, combine([part[0:paired:2] for part in parts], [part[1::2] for part in parts]))
    before = [each[: (size - 1) // 2] for each in odd]  # results before the elements 2, 4, ...
    even = [part[2::2] for part in parts]
    even = combine(before, even) if size > 2 else even
    even = [cat([part[:1], rest]) for part, rest in zip(parts, even, strict=True)]
    return [_interleave(first, second) for first, second in zip(even, odd, strict=True)]


def _interleave(even: Tensor, odd: Tensor) -> Tensor:
    """Interleave the rows of two tensors. ``even`` may have one more row than ``odd``."""
    size = odd.shape[0]
    joined = stack([even[:size], odd], 1).flatten(0, 1)
    return joined if even.shape[0] == size else cat([joined, even[size:]])
