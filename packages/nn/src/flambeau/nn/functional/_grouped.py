"""Matrix products of groups of rows or columns, as in mixtures of experts."""

from __future__ import annotations

import flambeau
from flambeau import Tensor, dtype

_FLOATS = (flambeau.float32, flambeau.bfloat16, flambeau.float16)


def grouped_mm(
    mat_a: Tensor,
    mat_b: Tensor,
    *,
    offs: Tensor | None = None,
    bias: Tensor | None = None,
    out_dtype: dtype | None = None,
) -> Tensor:
    """Compute G matrix products, whose operands are groups of rows or columns of a matrix, or items of a batch.

    Each 2-D matrix is divided into G groups along one dimension. Group i ends before the position ``offs[i]``.

    Args:
        mat_a, mat_b: float32, bfloat16 or float16 matrices or batches of G matrices, with one of these shapes:

            - ``(M, K)`` and ``(G, K, N)``: the rows of ``mat_a`` are grouped; the result is ``(M, N)``.
            - ``(G, M, K)`` and ``(K, N)``: the columns of ``mat_b`` are grouped; the result is ``(M, N)``.
            - ``(M, K)`` and ``(K, N)``: the dimension K is grouped; the result is ``(G, M, N)``.
            - ``(G, M, K)`` and ``(G, K, N)``: without ``offs``; the result is ``(G, M, N)``.
        offs: int32, shape ``(G,)``, in ascending order. Rows or columns from ``offs[-1]`` on are 0 in the result.
        bias: must be None.
        out_dtype: must be None or the dtype of ``mat_a``.
    Raises: RuntimeError if shapes, dtypes or ``offs`` do not match.
    Gradient: defined for ``mat_a`` and ``mat_b``, to any order.

    >>> rows, experts = fb.ones(3, 2), fb.tensor([[[1.0], [1.0]], [[2.0], [2.0]]])
    >>> nn.functional.grouped_mm(rows, experts, offs=fb.tensor([1, 3], dtype=fb.int32)).tolist()
    [[2.0], [4.0], [4.0]]
    """
    _check(mat_a, mat_b, offs, bias, out_dtype)
    if offs is None:
        return flambeau.bmm(mat_a, mat_b)
    size = mat_a.shape[0] if mat_b.ndim == 3 else mat_b.shape[1] if mat_a.ndim == 3 else mat_a.shape[1]
    ends = offs.tolist()
    starts = [0, *ends[:-1]]
    if any(start > end for start, end in zip(starts, ends, strict=True)) or ends[-1] > size:
        raise RuntimeError(
            f"offs must be in ascending order and at most {size}, the size of the dimension that it divides, got {ends}"
        )
    spans = list(zip(starts, ends, strict=True))
    if mat_a.ndim == 2 and mat_b.ndim == 2:
        return flambeau.stack([mat_a[:, start:end] @ mat_b[start:end] for start, end in spans])
    if mat_b.ndim == 3:
        parts = [mat_a[start:end] @ matrix for (start, end), matrix in zip(spans, mat_b, strict=True)]
        return flambeau.cat([*parts, mat_a.new_zeros(size - ends[-1], mat_b.shape[2])])
    parts = [matrix @ mat_b[:, start:end] for (start, end), matrix in zip(spans, mat_a, strict=True)]
    return flambeau.cat([*parts, mat_a.new_zeros(mat_a.shape[1], size - ends[-1])], 1)


def _check(mat_a: Tensor, mat_b: Tensor, offs: Tensor | None, bias: Tensor | None, out_dtype: dtype | None) -> None:
    """Raise RuntimeError for dtypes, shapes or offsets that grouped_mm does not accept, with PyTorch's messages."""
    shapes = f"{list(mat_a.shape)} and {list(mat_b.shape)}"
    for name, matrix in (("mat_a", mat_a), ("mat_b", mat_b)):
        if matrix.dtype not in _FLOATS:
            raise RuntimeError(f"Expected {name} to be Float32, BFloat16 or Float16 matrix, got {matrix.dtype}")
        if matrix.ndim not in (2, 3):
            raise RuntimeError(f"{name} has to be 2 or 3d, got shape {list(matrix.shape)}")
    if mat_a.dtype != mat_b.dtype:
        raise RuntimeError(f"mat_a and mat_b must have the same dtype, got {mat_a.dtype} and {mat_b.dtype}")
    if mat_a.shape[-1] != mat_b.shape[-2]:
        raise RuntimeError(f"contraction dimension of mat_a and mat_b must match, got shapes {shapes}")
    batches = [matrix.shape[0] for matrix in (mat_a, mat_b) if matrix.ndim == 3]
    if (offs is None) != (len(batches) == 2):
        raise RuntimeError(
            "Have to provide offsets if there is a 2d matrix, or no offset if both matrices are 3d, got shapes "
            f"{shapes}"
        )
    if offs is not None:
        if offs.dtype != flambeau.int32 or offs.ndim != 1 or not len(offs):
            raise RuntimeError(f"Offsets have to be int32 and 1-D, got {offs.dtype} and shape {list(offs.shape)}")
        batches.append(len(offs))
    if len(set(batches)) > 1:
        raise RuntimeError(f"matrix batch sizes have to match, got shapes {shapes} and {batches[-1]} offsets")
    if bias is not None:
        raise RuntimeError("grouped_mm: Bias not supported yet")
    if out_dtype not in (None, mat_a.dtype):
        raise RuntimeError(f"Grouped gemm output dtype must match `mat_a` dtype ({mat_a.dtype}), got {out_dtype}")
