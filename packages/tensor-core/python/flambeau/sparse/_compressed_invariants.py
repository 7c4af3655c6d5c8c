"""Invariants of compressed sparse tensors.

The functions check a tensor that `CompressedTensor.of` created from unchecked parts. The error messages match
PyTorch's.
"""

from __future__ import annotations

from typing import Any

import flambeau
from flambeau._core import Tensor
from flambeau.sparse._compressed import CompressedTensor, kind_of, numbers_of


def _scalar_type(tensor: Tensor) -> str:
    """Return PyTorch's name of a dtype in messages, such as Long."""
    return str(tensor.type()).rpartition(".")[2].removesuffix("Tensor")


def estimated_size(matrix: CompressedTensor) -> tuple[int, ...]:
    """Return the smallest size that contains the indices of ``matrix``, which has no size yet."""
    _check_dims(matrix)
    indices, batch_dims = matrix._idx, matrix._batch_dims
    grid = [max(0, matrix._ptr.shape[-1] - 1), int(indices.amax()) + 1 if indices.numel() else 0]
    (rows, columns), (height, width) = grid if matrix.compressed_dim == 0 else grid[::-1], matrix._blocksize or (1, 1)
    dense = matrix._val.shape[batch_dims + 1 + matrix.block_dims :]
    return *matrix._ptr.shape[:-1], rows * height, columns * width, *dense


def check_parts(matrix: CompressedTensor) -> None:
    """Raise RuntimeError if the dimensions, sizes, strides, dtypes or devices of the parts do not match."""
    _check_dims(matrix)
    _check_strides(matrix)
    _check_sizes(matrix)
    _check_types(matrix)


def _check_dims(matrix: CompressedTensor) -> None:
    (offsets, indices), batch_dims, block_dims = matrix.part_names, matrix._batch_dims, matrix.block_dims
    if batch_dims < 0:
        raise RuntimeError(f"{offsets} must have dimensionality >= 1 but got {batch_dims + 1}")
    if batch_dims + 1 != matrix._idx.ndim:
        raise RuntimeError(
            f"{offsets} and {indices} dimensionalities must be equal but got {batch_dims + 1} and "
            f"{matrix._idx.ndim}, respectively"
        )
    if matrix.dense_dim() < 0:
        raise RuntimeError(
            f"values must have dimensionality > sum of batch and block dimensionalities (={batch_dims} + {block_dims}) "
            f"but got {matrix._val.ndim}"
        )


def _check_strides(matrix: CompressedTensor) -> None:
    for name, part in zip(matrix.part_names, (matrix._ptr, matrix._idx), strict=True):
        if part.stride(-1) != 1:
            raise RuntimeError(f"expected {name} to be a contiguous tensor per batch")


def _check_sizes(matrix: CompressedTensor) -> None:
    """Raise RuntimeError if the shapes of the parts do not match the size of the tensor or each other."""
    (of_offsets, of_indices), size, batch_dims = matrix.part_names, list(matrix._size), matrix._batch_dims
    if len(size) != batch_dims + 2 + matrix.dense_dim():
        raise RuntimeError(
            "tensor dimensionality must be sum of batch, base, and dense dimensionalities "
            f"(={batch_dims} + 2 + {matrix.dense_dim()}) but got {len(size)}"
        )
    offsets, indices, values = (list(part.shape) for part in (matrix._ptr, matrix._idx, matrix._val))
    if any(shape[:batch_dims] != size[:batch_dims] for shape in (offsets, indices, values)):
        raise RuntimeError(
            f"all batch dimensions of {of_offsets} (={offsets[:-1]}), {of_indices} (={indices[:-1]}), and values "
            f"(={values[:batch_dims]}) must be equal to tensor batch dimensions (={size[:batch_dims]})"
        )
    dense = values[batch_dims + 1 + matrix.block_dims :]
    if dense != size[batch_dims + 2 :]:
        raise RuntimeError(f"dense dimensions of values (={dense}) must be equal to those of size={size}")
    count = _grid_sizes(matrix)[matrix.compressed_dim]
    if offsets[-1] != count + 1:
        line = ("row", "column")[matrix.compressed_dim] + (" block" if matrix.block_dims else "")
        raise RuntimeError(
            f"{of_offsets}.shape[-1] must be equal to the number of {line}s + 1 (={count + 1}), but got {offsets[-1]}"
        )
    if indices[-1] != values[batch_dims]:
        raise RuntimeError(
            f"{of_indices}.shape[-1] must be equal to nnz (={values[batch_dims]}) as defined by "
            f"values.shape[{batch_dims}], but got {indices[-1]}"
        )


def _grid_sizes(matrix: CompressedTensor) -> list[int]:
    """Return the numbers of rows and columns, counted in blocks if the layout has blocks.

    Raises: RuntimeError if the block size does not divide the size of the tensor.
    """
    counts = []
    for index, blocksize in enumerate(matrix._blocksize or (1, 1)):
        dim, divisor = matrix._batch_dims + index, max(1, blocksize)
        if matrix._size[dim] % divisor:
            raise RuntimeError(
                f"tensor shape[{dim}] (={matrix._size[dim]}) must be divisible with blocksize[{index}] (={divisor}) as "
                "defined by values shape"
            )
        counts.append(matrix._size[dim] // divisor)
    return counts


def _check_types(matrix: CompressedTensor) -> None:
    names, offsets, indices = matrix.part_names, matrix._ptr, matrix._idx
    if offsets.dtype is not indices.dtype:
        raise RuntimeError(
            f"{names[0]} and {names[1]} must have the same dtype, but got {_scalar_type(offsets)} and "
            f"{_scalar_type(indices)}, respectively"
        )
    if offsets.dtype not in (flambeau.int32, flambeau.int64):
        raise RuntimeError(f"{names[0]} and {names[1]} dtype must be Int or Long, but got {_scalar_type(offsets)}")
    for name, part in zip(names, (offsets, indices), strict=True):
        if part.device != matrix.device:
            raise RuntimeError(f"device of {name} (={part.device}) must match device of values (={matrix.device})")


def check_indices(matrix: CompressedTensor, order: bool) -> None:
    """Raise RuntimeError for invalid offsets, for indices out of range and, with ``order``, for unsorted indices."""
    offsets, indices = matrix._ptr, matrix._idx
    if offsets.is_meta:
        return
    length, counts = _grid_sizes(matrix)[1 - matrix.compressed_dim], offsets.diff()
    if bool((offsets[..., 0] != 0).any()):
        raise _invariant_error(matrix, "{offsets}[..., 0] == 0")
    if bool((offsets[..., -1] != indices.shape[-1]).any()):
        raise _invariant_error(matrix, "{offsets}[..., -1] == nnz")
    if bool((counts < 0).any()) or (order and bool((counts > length).any())):
        raise _invariant_error(matrix, "0 <= {offsets}[..., 1:] - {offsets}[..., :-1] <= {plain_size}")
    if indices.numel() and (int(indices.amin()) < 0 or int(indices.amax()) >= length):
        raise _invariant_error(matrix, "0 <= {indices} < {plain_size}")
    if order:
        lines, plain = numbers_of(offsets), indices.reshape(-1)
        if bool(((lines[1:] == lines[:-1]) & (plain[1:] <= plain[:-1])).any()):
            raise _invariant_error(
                matrix,
                "{indices}[..., {offsets}[..., i - 1]:{offsets}[..., i]] for all i = 1, ..., {compressed_size} are "
                "sorted and distinct along the last dimension values",
            )


def _invariant_error(matrix: CompressedTensor, condition: str) -> RuntimeError:
    offsets, indices = matrix.part_names
    sizes = ("nrows", "ncols") if matrix.compressed_dim == 0 else ("ncols", "nrows")
    text = condition.format(offsets=offsets, indices=indices, compressed_size=sizes[0], plain_size=sizes[1])
    return RuntimeError(f"`{text}` is not satisfied.")


def check_all(offsets: Tensor, indices: Tensor, values: Tensor, size: Any, layout: Any) -> None:
    """Raise RuntimeError unless the arguments satisfy all invariants of a compressed layout."""
    matrix = kind_of(layout).of(offsets, indices, values, size)
    check_parts(matrix)
    check_indices(matrix, order=True)
