"""Block masks: the blocks of attention scores to compute, and a function that masks single elements in these blocks."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import flambeau
from flambeau import Tensor
from flambeau.nn import functional

__all__ = ["BlockMask", "MaskMod", "noop_mask"]

_DEFAULT_SPARSE_BLOCK_SIZE = 128  # size in queries and in keys; libraries import this name from PyTorch

MaskMod = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
Pair = tuple[Tensor | None, Tensor | None]

_SLICED = (
    "Cannot use mask_mod from a sliced BlockMask: positions in the slice are not those that the function expects.\n"
    "Give the slice a mask_mod that adds the number of rows before the slice:\n"
    "    sliced = block_mask[:, :, first:]\n"
    "    sliced.mask_mod = lambda b, h, q, kv: mask_mod(b, h, q + first * block_mask.BLOCK_SIZE[0], kv)"
)


def noop_mask(batch: Tensor, head: Tensor, token_q: Tensor, token_kv: Tensor) -> Tensor:
    """Return True: a ``mask_mod`` that masks no element.

    >>> nn.attention.flex_attention.create_mask(nn.attention.flex_attention.noop_mask, 1, 1, 2, 2).squeeze()
    tensor([[True, True],
            [True, True]])
    """
    return batch.new_ones((), dtype=flambeau.bool)


def _sliced(batch: Tensor, head: Tensor, token_q: Tensor, token_kv: Tensor) -> Tensor:
    raise RuntimeError(_SLICED)


class BlockMask:
    """Attention mask in blocks of ``BLOCK_SIZE`` queries and keys.

    Each row of blocks contains partial, full and masked blocks. In a partial block, ``mask_mod`` decides for each
    element whether it is masked. The column indices of the partial blocks are the first ``kv_num_blocks`` entries of a
    row of ``kv_indices``. In a full block, no element is masked. ``full_kv_num_blocks`` and ``full_kv_indices`` list
    the full blocks in the same way. All other blocks are masked completely. ``q_num_blocks``, ``q_indices``,
    ``full_q_num_blocks`` and ``full_q_indices`` list the same blocks by column. `create_block_mask` creates a mask from
    a function.

    Attributes:
        seq_lengths: numbers of queries and keys.
        kv_num_blocks, full_kv_num_blocks: ``(B, H, rows)``, int32; ``full_kv_num_blocks`` may be None.
        kv_indices, full_kv_indices: ``(B, H, rows, columns)``, int32; ``full_kv_indices`` may be None.
        BLOCK_SIZE: numbers of queries and of keys in a block.
        mask_mod: function of the indices of batch, head, query and key; returns True if the query attends to the key.

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
            raise RuntimeError(
                f"BlockMask must have at least 2 dimensions, got kv_indices of shape {list(kv_indices.shape)}"
            )
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
        """Create a mask from lists of the blocks in each row.

        Args:
            kv_num_blocks, kv_indices, full_kv_num_blocks, full_kv_indices, mask_mod: as in `BlockMask`.
            BLOCK_SIZE: numbers of queries and of keys in a block, or one number for both.
            seq_lengths: numbers of queries and keys; by default the numbers of blocks times ``BLOCK_SIZE``.
            compute_q_blocks: if True, also compute the lists by column, such as ``q_indices``.
        Raises: RuntimeError if ``kv_indices`` has fewer than 2 dimensions. AssertionError if only one of
            ``full_kv_num_blocks`` and ``full_kv_indices`` is given.
        """
        if kv_indices.dim() < 2:
            raise RuntimeError(
                f"BlockMask must have at least 2 dimensions, got kv_indices of shape {list(kv_indices.shape)}"
            )
        size = (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else BLOCK_SIZE
        lengths = seq_lengths or (kv_indices.shape[-2] * size[0], kv_indices.shape[-1] * size[1])
        partial, full = (kv_num_blocks, kv_indices), (full_kv_num_blocks, full_kv_indices)
        q_partial, q_full = (_transposed(*each) if compute_q_blocks else (None, None) for each in (partial, full))
        return cls(lengths, *partial, *full, *q_partial, *q_full, size, mask_mod or noop_mask)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the scores: ``(B, H, queries, keys)``."""
        return (*self.kv_indices.shape[:-2], *self.seq_lengths)

    def numel(self) -> int:
        """Return the number of scores, including masked ones."""
        return math.prod(self.shape)

    def sparsity(self) -> float:
        """Return the percentage of scores outside all full and partial blocks."""
        blocks = int(self.kv_num_blocks.sum())
        if self.full_kv_num_blocks is not None:
            blocks += int(self.full_kv_num_blocks.sum())
        return 100 * (1 - blocks * self.BLOCK_SIZE[0] * self.BLOCK_SIZE[1] / self.numel())

    def partial_blocks(self) -> Tensor:
        """Return True for each block in which ``mask_mod`` masks single elements: ``(B, H, rows, columns)``, bool."""
        return ordered_to_dense(self.kv_num_blocks, self.kv_indices)

    def full_blocks(self) -> Tensor | None:
        """Return True for each block in which no element is masked: ``(B, H, rows, columns)``, bool, or None."""
        if self.full_kv_num_blocks is None or self.full_kv_indices is None:
            return None
        return ordered_to_dense(self.full_kv_num_blocks, self.full_kv_indices)

    def to_dense(self) -> Tensor:
        """Return 1 for each partial or full block and 0 for the others: ``(B, H, rows, columns)``, int32."""
        full = self.full_blocks()
        blocks = self.partial_blocks()
        return (blocks if full is None else blocks | full).to(flambeau.int32)

    def columns_of_rows(self) -> list[list[int]]:
        """Return, for each row of blocks, the columns of blocks that are not masked for at least one batch and head."""
        if self._columns is None:
            blocks = self.to_dense()
            taken = blocks.reshape(-1, *blocks.shape[-2:]).amax(0).tolist()
            self._columns = [[column for column, one in enumerate(row) if one] for row in taken]
        return self._columns

    def __getitem__(self, index: Any) -> BlockMask:
        """Return the mask of the selected batches, heads and rows of blocks. Set ``mask_mod`` of the result before use.

        >>> from flambeau.nn.attention.flex_attention import create_block_mask
        >>> create_block_mask(lambda b, h, q, kv: q >= kv, 2, 4, 256, 256, device="cpu")[0, 1:3].shape
        (1, 2, 256, 256)
        """
        items = index if isinstance(index, tuple) else (index,)
        padded = (*items, slice(None), slice(None), slice(None))[:3]
        ranges = tuple(slice(i, i + 1 or None) if isinstance(i, int) else i for i in padded)
        partial = self.kv_num_blocks[ranges], self.kv_indices[ranges]
        full = _map_pair((self.full_kv_num_blocks, self.full_kv_indices), lambda tensor: tensor[ranges])
        by_columns = self.q_num_blocks is not None
        return BlockMask.from_kv_blocks(*partial, *full, self.BLOCK_SIZE, _sliced, self.seq_lengths, by_columns)

    def to(self, device: Any) -> BlockMask:
        """Return a copy of the mask on another device."""
        partial = self.kv_num_blocks.to(device), self.kv_indices.to(device)
        full = _map_pair((self.full_kv_num_blocks, self.full_kv_indices), lambda tensor: tensor.to(device))
        by_columns = self.q_num_blocks is not None
        return BlockMask.from_kv_blocks(*partial, *full, self.BLOCK_SIZE, self.mask_mod, self.seq_lengths, by_columns)

    def as_tuple(self, flatten: bool = True) -> tuple[Any, ...]:
        """Return the constructor's arguments in order, with the tuples unpacked if ``flatten``."""
        lengths = self.seq_lengths if flatten else (self.seq_lengths,)
        size = self.BLOCK_SIZE if flatten else (self.BLOCK_SIZE,)
        by_rows = (self.kv_num_blocks, self.kv_indices, self.full_kv_num_blocks, self.full_kv_indices)
        by_columns = (self.q_num_blocks, self.q_indices, self.full_q_num_blocks, self.full_q_indices)
        return (*lengths, *by_rows, *by_columns, *size, self.mask_mod)

    def _adjust(self, new_q_len: int, new_kv_len: int) -> BlockMask:
        """Crop or pad the mask to other lengths. ``mask_mod`` must not depend on the lengths."""
        rows = math.ceil(new_q_len / self.BLOCK_SIZE[0])
        columns = math.ceil(new_kv_len / self.BLOCK_SIZE[1])
        full = self.full_blocks()
        partial = dense_to_ordered(_crop_or_pad(self.partial_blocks(), rows, columns))
        whole: Pair = dense_to_ordered(_crop_or_pad(full, rows, columns)) if full is not None else (None, None)
        return BlockMask.from_kv_blocks(*partial, *whole, self.BLOCK_SIZE, self.mask_mod, (new_q_len, new_kv_len))

    def to_string(self, grid_size: int | tuple[int, int] = (20, 20), limit: int = 4) -> str:
        """Draw the blocks of each head; full, partial and masked blocks look different.

        Args:
            grid_size: maximum numbers of rows and columns of a drawing; -1 for all.
            limit: maximum number of heads.
        """
        if grid_size == -1:
            grid_size = (self.kv_indices.shape[-2], self.kv_indices.shape[-1])
        height, width = (grid_size, grid_size) if isinstance(grid_size, int) else grid_size
        full = self.full_blocks()
        weights = self.partial_blocks().float() + (0.0 if full is None else 2 * full.float())
        heads = weights.clamp(max=2).reshape(-1, *weights.shape[-2:])
        pictures = [_text_image(head, height, width) for head in heads[:limit]]
        return "\n\n".join([*pictures, *(["..."] if len(heads) > limit else [])])

    def __str__(self) -> str:
        return f"BlockMask(shape={self.shape}, sparsity={self.sparsity():.2f}%,\n{self.to_string()}\n)"

    def __repr__(self) -> str:
        size = f"BLOCK_SIZE={self.BLOCK_SIZE}"
        return f"BlockMask(shape={self.shape}, {size}, kv_indices={tuple(self.kv_indices.shape)}, {self.mask_mod!r})"


def ordered_to_dense(count: Tensor, indices: Tensor) -> Tensor:
    """Convert lists of column indices to a mask ``(..., rows, columns)``.

    In each row of the mask, the columns at the first ``count`` indices of the list are True.
    """
    columns = indices.shape[-1]
    listed = flambeau.arange(columns, device=indices.device) < count[..., None]
    # Entries beyond count are written to an extra column, which is then removed.
    at = flambeau.where(listed, indices.long(), columns)
    dense = flambeau.zeros(*indices.shape[:-1], columns + 1, dtype=flambeau.bool, device=indices.device)
    return dense.scatter(-1, at, True)[..., :columns]


def dense_to_ordered(dense: Tensor) -> tuple[Tensor, Tensor]:
    """Return the number of True elements of each row, and its column indices, with those of True elements first."""
    count = dense.sum(-1, dtype=flambeau.int32)
    return count, dense.to(flambeau.int32).argsort(-1, descending=True, stable=True).to(flambeau.int32)


def _map_pair(pair: Pair, change: Callable[[Tensor], Tensor]) -> Pair:
    """Apply ``change`` to both tensors of a pair; return a pair of None unchanged."""
    count, indices = pair
    return (None, None) if count is None or indices is None else (change(count), change(indices))


def _transposed(count: Tensor | None, indices: Tensor | None) -> Pair:
    """Convert lists of blocks by row to lists by column."""
    if count is None or indices is None:
        return None, None
    return dense_to_ordered(ordered_to_dense(count, indices).transpose(-2, -1).contiguous())


def _crop_or_pad(dense: Tensor, rows: int, columns: int) -> Tensor:
    """Crop ``dense`` to ``rows`` and ``columns``, or pad it with masked blocks at the bottom and on the right."""
    more = (0, max(0, columns - dense.shape[-1]), 0, max(0, rows - dense.shape[-2]))
    return functional.pad(dense, more, value=False)[..., :rows, :columns].contiguous()


def _text_image(weights: Tensor, height: int, width: int) -> str:
    rows = math.ceil(weights.shape[0] / math.ceil(weights.shape[0] / height))
    columns = math.ceil(weights.shape[1] / math.ceil(weights.shape[1] / width))
    shown = functional.adaptive_avg_pool2d(weights[None], (rows, columns))[0].tolist()
    lines = ("".join("██" if one == 2 else "░░" if one > 0 else "  " for one in row) for row in shown)
    return "\n".join(line.rstrip() for line in lines)
