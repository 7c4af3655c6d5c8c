"""Which blocks of an attention's scores are computed, and a function that says which of their elements count."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import flambeau
from flambeau import Tensor
from flambeau.nn import functional

__all__ = ["BlockMask", "MaskMod", "noop_mask"]

_DEFAULT_SPARSE_BLOCK_SIZE = 128  # of queries and of keys; PyTorch's name, which libraries import

MaskMod = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
Pair = tuple[Tensor | None, Tensor | None]

_SLICED = (
    "Cannot use mask_mod from a sliced BlockMask: positions in the slice are not those that the function expects.\n"
    "Give the slice one that does, which adds what was cut off:\n"
    "    sliced = block_mask[:, :, first:]\n"
    "    sliced.mask_mod = lambda b, h, q, kv: mask_mod(b, h, q + first * block_mask.BLOCK_SIZE[0], kv)"
)


def noop_mask(batch: Tensor, head: Tensor, token_q: Tensor, token_kv: Tensor) -> Tensor:
    """The mask that hides nothing."""
    return batch.new_ones((), dtype=flambeau.bool)


def _sliced(batch: Tensor, head: Tensor, token_q: Tensor, token_kv: Tensor) -> Tensor:
    raise RuntimeError(_SLICED)


class BlockMask:
    """A mask of attention by blocks of ``BLOCK_SIZE`` queries and keys.

    A row of blocks holds ``kv_num_blocks`` blocks whose elements ``mask_mod`` is asked for, at the columns that come
    first in ``kv_indices``, and ``full_kv_num_blocks`` that count as a whole; blocks that are in neither hide all. The
    same by columns is in ``q_num_blocks``, ``q_indices``, ``full_q_num_blocks`` and ``full_q_indices``. Made by
    `create_block_mask`.

    Attributes:
        seq_lengths: how many queries and keys there are.
        kv_num_blocks, full_kv_num_blocks: ``(B, H, rows)``, int32; those of full blocks may be None.
        kv_indices, full_kv_indices: ``(B, H, rows, columns)``, int32.
        BLOCK_SIZE: of queries and of keys.
        mask_mod: of the indices of batch, head, query and key; true where the key counts.

    >>> from flambeau.nn.attention.flex_attention import create_block_mask
    >>> mask = create_block_mask(lambda b, h, q, kv: q >= kv, None, None, 256, 256, device="cpu")
    >>> mask.kv_num_blocks, mask.full_kv_num_blocks, mask.sparsity()
    (tensor([[[1, 1]]], dtype=flambeau.int32), tensor([[[0, 1]]], dtype=flambeau.int32), 25.0)
    """

    def __init__(
        self,
        seq_lengths: tuple[int, int],
        kv_num_blocks: Tensor,
        kv_indices: Tensor,
        full_kv_num_blocks: Tensor | None,
        full_kv_indices: Tensor | None,
        q_num_blocks: Tensor | None,
        q_indices: Tensor | None,
        full_q_num_blocks: Tensor | None,
        full_q_indices: Tensor | None,
        BLOCK_SIZE: tuple[int, int],
        mask_mod: MaskMod,
    ) -> None:
        if kv_indices.dim() < 2:
            raise RuntimeError(f"BlockMask must have at least 2 dimensions, got kv_indices of {kv_indices.dim()}")
        if (full_kv_num_blocks is None) != (full_kv_indices is None):
            raise AssertionError("full_kv_num_blocks and full_kv_indices must be both provided or omitted")
        self.seq_lengths = seq_lengths
        self.kv_num_blocks, self.kv_indices = kv_num_blocks, kv_indices
        self.full_kv_num_blocks, self.full_kv_indices = full_kv_num_blocks, full_kv_indices
        self.q_num_blocks, self.q_indices = q_num_blocks, q_indices
        self.full_q_num_blocks, self.full_q_indices = full_q_num_blocks, full_q_indices
        self.BLOCK_SIZE = BLOCK_SIZE
        self.mask_mod = mask_mod
        self._columns: list[list[int]] | None = None

    @classmethod
    def from_kv_blocks(
        cls,
        kv_num_blocks: Tensor,
        kv_indices: Tensor,
        full_kv_num_blocks: Tensor | None = None,
        full_kv_indices: Tensor | None = None,
        BLOCK_SIZE: int | tuple[int, int] = _DEFAULT_SPARSE_BLOCK_SIZE,
        mask_mod: MaskMod | None = None,
        seq_lengths: tuple[int, int] | None = None,
        compute_q_blocks: bool = True,
    ) -> BlockMask:
        """A mask of blocks that are known by row.

        Args:
            kv_num_blocks, kv_indices, full_kv_num_blocks, full_kv_indices, mask_mod: as in `BlockMask`.
            BLOCK_SIZE: of queries and keys, or of both.
            seq_lengths: those of whole blocks by default.
            compute_q_blocks: whether the same by columns is found.
        Raises: RuntimeError for indices of one dimension, AssertionError where one half of the full blocks is given.
        """
        if kv_indices.dim() < 2:
            raise RuntimeError(f"BlockMask must have at least 2 dimensions, got kv_indices of {kv_indices.dim()}")
        size = (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else BLOCK_SIZE
        lengths = seq_lengths or (kv_indices.shape[-2] * size[0], kv_indices.shape[-1] * size[1])
        partial, full = (kv_num_blocks, kv_indices), (full_kv_num_blocks, full_kv_indices)
        q_partial, q_full = (_turned(*each) if compute_q_blocks else (None, None) for each in (partial, full))
        return cls(lengths, *partial, *full, *q_partial, *q_full, size, mask_mod or noop_mask)

    @property
    def shape(self) -> tuple[int, ...]:
        """``(B, H, queries, keys)``."""
        return (*self.kv_indices.shape[:-2], *self.seq_lengths)

    def numel(self) -> int:
        """How many scores there are, hidden ones among them."""
        return math.prod(self.shape)

    def sparsity(self) -> float:
        """The percentage of scores that lie in no block."""
        blocks = int(self.kv_num_blocks.sum())
        if self.full_kv_num_blocks is not None:
            blocks += int(self.full_kv_num_blocks.sum())
        return 100 * (1 - blocks * self.BLOCK_SIZE[0] * self.BLOCK_SIZE[1] / self.numel())

    def partial_blocks(self) -> Tensor:
        """``(B, H, rows, columns)``, bool: the blocks that ``mask_mod`` is asked for."""
        return ordered_to_dense(self.kv_num_blocks, self.kv_indices)

    def full_blocks(self) -> Tensor | None:
        """``(B, H, rows, columns)``, bool: the blocks that count as a whole."""
        if self.full_kv_num_blocks is None or self.full_kv_indices is None:
            return None
        return ordered_to_dense(self.full_kv_num_blocks, self.full_kv_indices)

    def to_dense(self) -> Tensor:
        """``(B, H, rows, columns)``, int32: 1 for each block that is computed."""
        full = self.full_blocks()
        blocks = self.partial_blocks()
        return (blocks if full is None else blocks | full).to(flambeau.int32)

    def columns_of_rows(self) -> list[list[int]]:
        """For each row of blocks the columns that some head of some batch computes."""
        if self._columns is None:
            blocks = self.to_dense()
            taken = blocks.reshape(-1, *blocks.shape[-2:]).amax(0).tolist()
            self._columns = [[column for column, one in enumerate(row) if one] for row in taken]
        return self._columns

    def __getitem__(self, index: Any) -> BlockMask:
        """The blocks of some batches, heads and rows; what hides their elements has to be given anew.

        >>> from flambeau.nn.attention.flex_attention import create_block_mask
        >>> create_block_mask(lambda b, h, q, kv: q >= kv, 2, 4, 256, 256, device="cpu")[0, 1:3].shape
        (1, 2, 256, 256)
        """
        given = index if isinstance(index, tuple) else (index,)
        padded = (*given, slice(None), slice(None), slice(None))[:3]
        kept = tuple(slice(i, i + 1 or None) if isinstance(i, int) else i for i in padded)
        partial = self.kv_num_blocks[kept], self.kv_indices[kept]
        full = _each((self.full_kv_num_blocks, self.full_kv_indices), lambda tensor: tensor[kept])
        by_columns = self.q_num_blocks is not None
        return BlockMask.from_kv_blocks(*partial, *full, self.BLOCK_SIZE, _sliced, self.seq_lengths, by_columns)

    def to(self, device: Any) -> BlockMask:
        """The same blocks on another device."""
        partial = self.kv_num_blocks.to(device), self.kv_indices.to(device)
        full = _each((self.full_kv_num_blocks, self.full_kv_indices), lambda tensor: tensor.to(device))
        by_columns = self.q_num_blocks is not None
        return BlockMask.from_kv_blocks(*partial, *full, self.BLOCK_SIZE, self.mask_mod, self.seq_lengths, by_columns)

    def as_tuple(self, flatten: bool = True) -> tuple[Any, ...]:
        """What the mask is made of, in the order of the constructor's arguments."""
        lengths = self.seq_lengths if flatten else (self.seq_lengths,)
        size = self.BLOCK_SIZE if flatten else (self.BLOCK_SIZE,)
        by_rows = (self.kv_num_blocks, self.kv_indices, self.full_kv_num_blocks, self.full_kv_indices)
        by_columns = (self.q_num_blocks, self.q_indices, self.full_q_num_blocks, self.full_q_indices)
        return (*lengths, *by_rows, *by_columns, *size, self.mask_mod)

    def _adjust(self, new_q_len: int, new_kv_len: int) -> BlockMask:
        """The upper left corner, of other lengths: right where ``mask_mod`` does not depend on the lengths."""
        rows = math.ceil(new_q_len / self.BLOCK_SIZE[0])
        columns = math.ceil(new_kv_len / self.BLOCK_SIZE[1])
        full = self.full_blocks()
        partial = dense_to_ordered(_resized(self.partial_blocks(), rows, columns))
        whole: Pair = dense_to_ordered(_resized(full, rows, columns)) if full is not None else (None, None)
        return BlockMask.from_kv_blocks(*partial, *whole, self.BLOCK_SIZE, self.mask_mod, (new_q_len, new_kv_len))

    def to_string(self, grid_size: int | tuple[int, int] = (20, 20), limit: int = 4) -> str:
        """A drawing of the blocks of each head: full ones, those that are masked in part, hidden ones.

        Args:
            grid_size: at most so many rows and columns; -1 for all.
            limit: at most so many heads.
        """
        if grid_size == -1:
            grid_size = (self.kv_indices.shape[-2], self.kv_indices.shape[-1])
        height, width = (grid_size, grid_size) if isinstance(grid_size, int) else grid_size
        full = self.full_blocks()
        weights = self.partial_blocks().float() + (0.0 if full is None else 2 * full.float())
        heads = weights.clamp(max=2).reshape(-1, *weights.shape[-2:])
        pictures = [_picture(head, height, width) for head in heads[:limit]]
        return "\n\n".join([*pictures, *(["..."] if len(heads) > limit else [])])

    def __str__(self) -> str:
        return f"BlockMask(shape={self.shape}, sparsity={self.sparsity():.2f}%,\n{self.to_string()}\n)"

    def __repr__(self) -> str:
        size = f"BLOCK_SIZE={self.BLOCK_SIZE}"
        return f"BlockMask(shape={self.shape}, {size}, kv_indices={tuple(self.kv_indices.shape)}, {self.mask_mod!r})"


def ordered_to_dense(count: Tensor, indices: Tensor) -> Tensor:
    """``(..., rows, columns)``, bool: true at the first ``count`` of each row's ``indices``."""
    columns = indices.shape[-1]
    listed = flambeau.arange(columns, device=indices.device) < count[..., None]
    # One more column takes what is not listed.
    at = flambeau.where(listed, indices.long(), columns)
    dense = flambeau.zeros(*indices.shape[:-1], columns + 1, dtype=flambeau.bool, device=indices.device)
    return dense.scatter(-1, at, True)[..., :columns]


def dense_to_ordered(dense: Tensor) -> tuple[Tensor, Tensor]:
    """How many of each row are true, and the columns, those that are true first."""
    count = dense.sum(-1, dtype=flambeau.int32)
    return count, dense.to(flambeau.int32).argsort(-1, descending=True, stable=True).to(flambeau.int32)


def _each(pair: Pair, change: Callable[[Tensor], Tensor]) -> Pair:
    """Two tensors that are changed alike, or None twice."""
    count, indices = pair
    return (None, None) if count is None or indices is None else (change(count), change(indices))


def _turned(count: Tensor | None, indices: Tensor | None) -> Pair:
    """The same blocks by columns."""
    if count is None or indices is None:
        return None, None
    return dense_to_ordered(ordered_to_dense(count, indices).transpose(-2, -1).contiguous())


def _resized(dense: Tensor, rows: int, columns: int) -> Tensor:
    """The upper left corner, with hidden blocks where there were none."""
    more = (0, max(0, columns - dense.shape[-1]), 0, max(0, rows - dense.shape[-2]))
    return functional.pad(dense, more, value=False)[..., :rows, :columns].contiguous()


def _picture(weights: Tensor, height: int, width: int) -> str:
    rows = math.ceil(weights.shape[0] / math.ceil(weights.shape[0] / height))
    columns = math.ceil(weights.shape[1] / math.ceil(weights.shape[1] / width))
    shown = functional.adaptive_avg_pool2d(weights[None], (rows, columns))[0].tolist()
    lines = ("".join("██" if one == 2 else "░░" if one > 0 else "  " for one in row) for row in shown)
    return "\n".join(line.rstrip() for line in lines)
