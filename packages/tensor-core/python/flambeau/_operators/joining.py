"""Tensors joined to larger ones."""

from flambeau import _core
from flambeau._core import Tensor
from flambeau._operator import operator


def _matrix(t: Tensor) -> Tensor:
    return t.reshape(1, -1) if t.dim() < 2 else t


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
                f"block_diag: Input tensors must have 2 or fewer dimensions. Input {i} has {t.dim()} dimensions"
            )
    blocks = [_matrix(t) for t in tensors]
    width = sum(b.size(1) for b in blocks)
    rows, left = [], 0
    for b in blocks:
        right = width - left - b.size(1)
        rows.append(_core.constant_pad_nd(b, (left, right)))
        left += b.size(1)
    return _core.cat(rows, 0) if rows else _core.empty(1, 0)
