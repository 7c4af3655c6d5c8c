"""Tensors raised to a number of dimensions and joined."""

from collections.abc import Sequence

from flambeau import _core
from flambeau._core import Tensor
from flambeau._operator import operator


def _each(tensors: tuple[Tensor, ...], raised: Sequence[Tensor]) -> Tensor | tuple[Tensor, ...]:
    return raised[0] if len(tensors) == 1 else tuple(raised)


def _row(t: Tensor) -> Tensor:
    return t.reshape(1) if t.dim() == 0 else t


def _matrix(t: Tensor) -> Tensor:
    return t.reshape(1, -1) if t.dim() < 2 else t


def _volume(t: Tensor) -> Tensor:
    return _matrix(t).unsqueeze(-1) if t.dim() < 3 else t


def _some(name: str, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    if len(tensors) == 0:
        raise RuntimeError(f"{name} expects a non-empty TensorList")
    return tensors


@operator()
def atleast_1d(*tensors: Tensor) -> Tensor | tuple[Tensor, ...]:
    """A view with at least one dimension; of several tensors, a tuple of them."""
    return _each(tensors, [_row(t) for t in tensors])


@operator()
def atleast_2d(*tensors: Tensor) -> Tensor | tuple[Tensor, ...]:
    """A view with at least two dimensions, the vector as one row; of several tensors, a tuple of them."""
    return _each(tensors, [_matrix(t) for t in tensors])


@operator()
def atleast_3d(*tensors: Tensor) -> Tensor | tuple[Tensor, ...]:
    """A view with at least three dimensions, ``(1, n, 1)`` of a vector; of several tensors, a tuple of them."""
    return _each(tensors, [_volume(t) for t in tensors])


@operator(out=True)
def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors joined along the second dimension; along the first, vectors.

    >>> flambeau.hstack([flambeau.tensor([1, 2]), flambeau.tensor([3])])
    tensor([1, 2, 3])
    """
    rows = [_row(t) for t in _some("hstack", tensors)]
    return _core.cat(rows, 0 if rows[0].dim() == 1 else 1)


@operator(out=True, aliases=("row_stack",))
def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors joined along the first dimension; vectors count as one row each."""
    return _core.cat([_matrix(t) for t in _some("vstack", tensors)], 0)


@operator(out=True)
def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors joined along the third dimension, after ``atleast_3d``."""
    return _core.cat([_volume(t) for t in _some("dstack", tensors)], 2)


@operator(out=True)
def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors joined along the second dimension; vectors count as one column each."""
    return _core.cat([t.reshape(-1, 1) if t.dim() < 2 else t for t in _some("column_stack", tensors)], 1)


@operator()
def block_diag(*tensors: Tensor) -> Tensor:
    """The matrices along the diagonal of one, zeros elsewhere; vectors count as one row. Gradient: each its block.

    Raises RuntimeError for a tensor of more than two dimensions.

    >>> flambeau.block_diag(flambeau.ones(1, 2), flambeau.tensor([[2.0]]))
    tensor([[1., 1., 0.],
            [0., 0., 2.]])
    """
    for i, t in enumerate(tensors):
        if t.dim() > 2:
            raise RuntimeError(
                f"torch.block_diag: Input tensors must have 2 or fewer dimensions. Input {i} has {t.dim()} dimensions"
            )
    blocks = [_matrix(t) for t in tensors]
    width = sum(b.size(1) for b in blocks)
    rows, left = [], 0
    for b in blocks:
        right = width - left - b.size(1)
        rows.append(_core.constant_pad_nd(b, (left, right)))
        left += b.size(1)
    return _core.cat(rows, 0) if rows else _core.empty(1, 0)
