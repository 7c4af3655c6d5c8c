"""Functions of ``torch._higher_order_ops``, PyTorch's private module, that map or scan tensors with a function."""

from collections.abc import Callable
from typing import Any

from flambeau import Tensor, cat, cond, stack, while_loop
from flambeau.utils import _pytree

__all__ = ["associative_scan", "cond", "map", "scan", "while_loop"]

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
        passed = f"sizes {sorted(sizes)}" if sizes else "no tensors"
        raise ValueError(f"associative_scan: all tensors must have the same size in dimension {dim}, got {passed}")

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


def map(f: Callable[..., Any], xs: Any, *args: Any) -> Any:
    """Call ``f(x, *args)`` for each ``x`` along the first dimension of the tensors of a pytree, and stack the results.

    Raises: RuntimeError if ``xs`` has other leaves than tensors, or if their first sizes are zero or differ.

    >>> import flambeau
    >>> from flambeau.torch._scans import map
    >>> map(lambda x, offset: x.sum() + offset, flambeau.ones(3, 2), flambeau.tensor(1.0))
    tensor([3., 3., 3.])
    """
    leaves = _pytree.tree_leaves(xs)
    if not all(isinstance(leaf, Tensor) for leaf in leaves):
        raise RuntimeError(f"Mapped xs can only consist of tensors. Got xs {leaves}.")
    sizes = {leaf.shape[0] for leaf in leaves}
    if 0 in sizes:
        raise RuntimeError("Leading dimensions of mapped xs cannot be 0.")
    if len(sizes) != 1:
        raise RuntimeError(
            f"Leading dimensions of mapped xs must be consistent. Got shapes {[leaf.shape for leaf in leaves]}."
        )
    return _stacked([f(_at(xs, i), *args) for i in range(*sizes)])


def scan(
    combine_fn: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any, *, dim: int = 0, reverse: bool = False
) -> tuple[Any, Any]:
    """Call ``carry, y = combine_fn(carry, x)`` for each ``x`` along a dimension of the tensors of a pytree.

    Args:
        combine_fn: the function. The next carry must have the structure of ``init``.
        init: the first carry, a pytree of tensors.
        xs: pytree of tensors with the same size in the dimension ``dim``.
        dim: the dimension.
        reverse: if True, begin with the last ``x``. The order of the stacked results is still that of ``xs``.
    Returns: the last carry, and the stacked ``y``.
    Raises: RuntimeError if ``init`` has no tensors, if a leaf is not a tensor, if the dimension is empty or missing, or
        if the structure of the carry changes.

    >>> import flambeau
    >>> from flambeau.torch._scans import scan
    >>> scan(lambda carry, x: (carry + x, carry * x), flambeau.tensor(0), flambeau.tensor([1, 2, 3]))
    (tensor(6), tensor([0, 2, 9]))
    """
    leaves, spec = _pytree.tree_flatten(xs)
    if not leaves:
        return init, []
    carried, structure = _pytree.tree_flatten(init)
    if not carried:
        raise RuntimeError("scan() operator requires init leaves.")
    for name, tensors in (("init", carried), ("xs", leaves)):
        for leaf in tensors:
            if not isinstance(leaf, Tensor):
                raise RuntimeError(f"All {name} leaves must be a Tensor but got {leaf}")
    dim = dim % max(leaves[0].ndim, 1)
    if any(leaf.ndim <= dim or leaf.shape[dim] == 0 for leaf in leaves):
        raise RuntimeError("All xs leaves must at least have 'dim' number of dimensions and scan dimension > 0")
    rows = _pytree.tree_unflatten([leaf.movedim(dim, 0) for leaf in leaves], spec)
    steps = range(leaves[0].shape[dim])
    outputs = []
    for i in reversed(steps) if reverse else steps:
        init, output = combine_fn(init, _at(rows, i))
        if _pytree.tree_structure(init) != structure:
            raise RuntimeError("scan: the carry that combine_fn returns must have the same structure as init")
        outputs.append(output)
    stacked = _stacked(outputs[::-1] if reverse else outputs)
    return init, _pytree.tree_map(lambda y: y.movedim(0, dim) if dim < y.ndim else y, stacked)


def _at(tree: Any, index: int) -> Any:
    """Return the elements of the tensors at an index of their first dimension."""
    return _pytree.tree_map(lambda tensor: tensor[index], tree)


def _stacked(trees: list[Any]) -> Any:
    """Stack the corresponding leaves of pytrees. Leaves that are None stay None."""
    columns = zip(*(_pytree.tree_leaves(tree) for tree in trees), strict=True)
    stacked = [None if leaves[0] is None else stack(leaves) for leaves in columns]
    return _pytree.tree_unflatten(stacked, _pytree.tree_structure(trees[0]))


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
