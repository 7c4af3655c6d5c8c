"""Conversion between compressed layouts and COO tensors of their entries.

The entries of a compressed layout are elements or blocks. A COO tensor of blocks stores the indices of the blocks. Its
first two dense dimensions are the dimensions of a block.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import flambeau
from flambeau._core import Size, Tensor
from flambeau.sparse._compressed import CompressedTensor, entry_indices, layout_name, offsets_of
from flambeau.sparse._coo import CooTensor, flat_keys, from_cache, summed, unflattened

Compressed = TypeVar("Compressed", bound=CompressedTensor)


class Compression(NamedTuple):
    """Offsets and indices of a compressed layout, and the order of the values (None: unchanged)."""

    offsets: Tensor
    indices: Tensor
    order: Tensor | None


def compressed(kind: type[Compressed], entries: CooTensor, size: Any, index_dtype: Any) -> Compressed:
    """Return the matrices with these entries in a compressed layout.

    Raises: RuntimeError if the matrices of a batch differ in their number of entries.
    """
    offsets, indices, order = from_cache(entries, f"compression {kind.compressed_dim}", lambda s: _compression(kind, s))
    values = entries._val if order is None else entries._val.index_select(0, order)
    values = values.reshape(*indices.shape, *values.shape[1:])
    offsets, indices = (
        part.to(index_dtype, copy=True) for part in (offsets, indices)
    )  # copies, so that cached indices stay unchanged
    return kind.of(offsets, indices, values, size)


def _compression(kind: type[CompressedTensor], entries: CooTensor) -> Compression:
    """Compute the offsets, the indices and the order of the values for a compressed layout."""
    *batch, rows, columns = entries._size[: entries.sparse_dim()]
    pair = (rows, entries._ind[-2]), (columns, entries._ind[-1])
    (count, line), (length, other) = pair if kind.compressed_dim == 0 else pair[::-1]
    number = flat_keys(entries._ind[:-2], batch) if batch else 0
    lines, order = number * count + line, None
    keys = lines * length + other
    if not _is_sorted(keys):
        transposed = _is_sorted((number * length + other) * count + line)
        # The numbers in `lines` are smaller than the keys, so they are sorted faster.
        order = flambeau.argsort(lines if transposed else keys, stable=True)
        lines, other = lines.index_select(0, order), other.index_select(0, order)
    matrices = Size(batch).numel()
    if matrices == 0:
        raise RuntimeError(f"to_{layout_name(kind.layout)}: Expected product of batch dimensions to be non-zero.")
    offsets, nnz = offsets_of(lines, matrices * count), other.shape[0] // matrices
    if batch:
        matrix = flambeau.arange(matrices, device=lines.device)[:, None]
        offsets = offsets[matrix * count + flambeau.arange(count + 1, device=lines.device)] - matrix * nnz
        if not bool((offsets[:, -1] == nnz).all()):
            raise RuntimeError(
                f"to_{layout_name(kind.layout)}: Expect the same number of specified elements per batch."
            )
    return Compression(offsets.reshape(*batch, count + 1), other.reshape(*batch, nnz), order)


def _is_sorted(keys: Tensor) -> bool:
    return bool((keys[1:] >= keys[:-1]).all())


def entries_of(matrix: CompressedTensor) -> CooTensor:
    """Return a COO tensor of the entries of a compressed layout."""
    pattern: CooTensor = from_cache(matrix, "entries", _pattern)
    return pattern._like(matrix._val.flatten(0, matrix._batch_dims))


def _pattern(matrix: CompressedTensor) -> CooTensor:
    """Return the entries with expanded zero values, which need no memory."""
    indices, batch, blocksize = entry_indices(matrix), matrix._batch_dims, matrix._blocksize
    (rows, columns), (height, width) = matrix._size[batch : batch + 2], blocksize or (1, 1)
    grid = rows // max(1, height), columns // max(1, width)
    size = (*matrix._size[:batch], *grid, *blocksize, *matrix._size[batch + 2 :])
    zeros = matrix._val.detach().new_zeros(()).expand(indices.shape[1], *matrix._val.shape[batch + 1 :])
    return CooTensor.of(indices, zeros, size, False)


def blocks_of(coo: CooTensor, blocksize: tuple[int, ...]) -> CooTensor:
    """Return the blocks that contain an element of a coalesced tensor. Without a block size, return the tensor."""
    if not blocksize:
        return coo
    (height, width), count = blocksize, coo.sparse_dim()
    *batch, row, column = coo._ind
    grid = (*coo._size[: count - 2], coo._size[count - 2] // height, coo._size[count - 1] // width)
    keys = flat_keys((*batch, row // height, column // width), grid)
    unique, number = flambeau.unique(keys, return_inverse=True)
    position = (number * height + row % height) * width + column % width
    values = summed(coo._val, position, unique.shape[0] * height * width).unflatten(0, (unique.shape[0], *blocksize))
    size = (*grid, *blocksize, *coo._size[count:])
    return CooTensor.of(flambeau.stack(unflattened(unique, grid)), values, size, True)


def split(dense: Tensor, blocksize: tuple[int, ...], batch_dims: int) -> Tensor:
    """Divide the matrices of a strided tensor into blocks. Without a block size, return the tensor.

    Returns: shape ``(*batch, rows // height, columns // width, height, width, *dense)``.
    """
    if not blocksize:
        return dense
    (height, width), (*batch, rows, columns) = blocksize, dense.shape[: batch_dims + 2]
    blocks = dense.reshape(*batch, rows // height, height, columns // width, width, *dense.shape[batch_dims + 2 :])
    return blocks.transpose(batch_dims + 1, batch_dims + 2)
