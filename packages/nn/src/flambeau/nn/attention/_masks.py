"""Mask functions (``mask_mod``), and the masks that they define."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import flambeau
from flambeau import Tensor
from flambeau.nn import functional
from flambeau.nn.attention._block_mask import _DEFAULT_SPARSE_BLOCK_SIZE, BlockMask, MaskMod, Pair, dense_to_ordered

__all__ = ["and_masks", "create_block_mask", "create_mask", "vmap_over_indices", "or_masks", "index_grids_of"]


def and_masks(*mask_mods: MaskMod) -> MaskMod:
    """Return a ``mask_mod`` that is True where all given functions are True.

    >>> from flambeau.nn.attention.flex_attention import and_masks, create_mask
    >>> window = and_masks(lambda b, h, q, kv: q >= kv, lambda b, h, q, kv: q - kv < 2)
    >>> create_mask(window, None, None, 3, 3, device="cpu")[0, 0].int()
    tensor([[1, 0, 0],
            [1, 1, 0],
            [0, 1, 1]], dtype=flambeau.int32)
    """
    return _combine_masks(mask_mods, flambeau.logical_and)


def or_masks(*mask_mods: MaskMod) -> MaskMod:
    """Return a ``mask_mod`` that is True where at least one given function is True.

    >>> either = nn.attention.flex_attention.or_masks(lambda b, h, q, k: q == k, lambda b, h, q, k: k == 0)
    >>> nn.attention.flex_attention.create_mask(either, 1, 1, 3, 3).squeeze()
    tensor([[ True, False, False],
            [ True,  True, False],
            [ True, False,  True]])
    """
    return _combine_masks(mask_mods, flambeau.logical_or)


def _combine_masks(mask_mods: tuple[MaskMod, ...], operator: Callable[[Tensor, Tensor], Tensor]) -> MaskMod:
    if not mask_mods or not all(callable(each) for each in mask_mods):
        raise RuntimeError(f"All inputs should be callable mask_mods, and at least one is required: {mask_mods}")

    def mask_mod(b: Tensor, h: Tensor, q: Tensor, kv: Tensor) -> Tensor:
        return functools.reduce(operator, (each(b, h, q, kv) for each in mask_mods))

    return mask_mod


def vmap_over_indices(function: Callable[..., Tensor], scores: bool) -> Callable[..., Tensor]:
    """Vectorise a function of one score's indices over all batches, heads, queries and keys.

    With ``scores`` the function takes the score as its first argument.
    """
    over = [(None, None, None, 0), (None, None, 0, None), (None, 0, None, None), (0, None, None, None)]
    for in_dims in over:
        function = flambeau.func.vmap(function, in_dims=(0, *in_dims) if scores else in_dims)
    return function


def create_mask(
    mod_fn: Callable[..., Tensor],
    B: int | None,
    H: int | None,
    Q_LEN: int,
    KV_LEN: int,
    device: Any = None,
) -> Tensor:
    """Evaluate a mask function for all positions. Returns: ``(B, H, Q_LEN, KV_LEN)``, bool.

    Args:
        mod_fn: a function of the indices of batch, head, query and key that returns a boolean; or a function of a score
            and these indices. The latter is called with scores of 0 and masks a score by returning minus infinity.
        B, H: numbers of batches and heads; None for one mask that is broadcast to all.
        Q_LEN, KV_LEN: numbers of queries and keys.
        device: by default the current GPU if available, otherwise the CPU.

    >>> def causal(b, h, q, k):
    ...     return q >= k
    >>> nn.attention.flex_attention.create_mask(causal, 1, 1, 3, 3).squeeze()
    tensor([[ True, False, False],
            [ True,  True, False],
            [ True,  True,  True]])
    """
    index_grids = index_grids_of(B or 1, H or 1, flambeau.arange(Q_LEN), flambeau.arange(KV_LEN), _device(device))
    if _is_score_mod(mod_fn):
        scores = flambeau.zeros(B or 1, H or 1, Q_LEN, KV_LEN, device=index_grids[0].device)
        return ~vmap_over_indices(mod_fn, scores=True)(scores, *index_grids).isneginf()
    return vmap_over_indices(mod_fn, scores=False)(*index_grids)


def _is_score_mod(function: Callable[..., Any]) -> bool:
    code = getattr(function, "__code__", None)
    return code is not None and code.co_argcount - len(getattr(function, "__defaults__", None) or ()) == 5


def _device(device: Any) -> flambeau.device | str:
    return device or ("cuda" if flambeau.cuda.is_available() else "cpu")


def index_grids_of(batches: int, heads: int, queries: Tensor, keys: Tensor, device: Any) -> tuple[Tensor, ...]:
    """Return the indices of batches, heads, queries and keys as int32 tensors on ``device``."""
    indices = (flambeau.arange(batches), flambeau.arange(heads), queries, keys)
    return tuple(each.to(device=device, dtype=flambeau.int32) for each in indices)


def create_block_mask(
    mask_mod: MaskMod,
    B: int | None,
    H: int | None,
    Q_LEN: int,
    KV_LEN: int,
    device: Any = None,
    BLOCK_SIZE: int | tuple[int, int] = _DEFAULT_SPARSE_BLOCK_SIZE,
    _compile: bool = False,
    separate_full_blocks: bool = True,
) -> BlockMask:
    """Create a block mask from a mask function.

    Args:
        mask_mod: function of the indices of batch, head, query and key, tensors of one element; returns True if the
            query attends to the key.
        B, H: numbers of batches and heads; None if all have the same mask.
        Q_LEN, KV_LEN: numbers of queries and keys.
        device: by default the current GPU if available, otherwise the CPU.
        BLOCK_SIZE: numbers of queries and of keys in a block, or one number for both.
        separate_full_blocks: if True, store blocks without a masked element separately, so that attention does not
            evaluate ``mask_mod`` for these blocks.

    >>> from flambeau.nn.attention.flex_attention import create_block_mask
    >>> print(create_block_mask(lambda b, h, q, kv: q >= kv, None, None, 512, 512, device="cpu"))
    BlockMask(shape=(1, 1, 512, 512), sparsity=37.50%,
    ░░
    ██░░
    ████░░
    ██████░░
    )
    """
    size = (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else BLOCK_SIZE
    if _is_score_mod(mask_mod):
        raise AssertionError(
            f"create_block_mask requires a mask_mod function of (b, h, q_idx, kv_idx), got {mask_mod!r}"
        )
    counts = _counts_in_blocks(create_mask(mask_mod, B, H, Q_LEN, KV_LEN, device), size)
    full = counts == size[0] * size[1] if separate_full_blocks else flambeau.zeros_like(counts, dtype=flambeau.bool)
    partial = dense_to_ordered((counts > 0) & ~full)
    whole: Pair = dense_to_ordered(full) if separate_full_blocks else (None, None)
    return BlockMask.from_kv_blocks(*partial, *whole, size, mask_mod, (Q_LEN, KV_LEN))


def _counts_in_blocks(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the number of True elements of each block: ``(B, H, rows, columns)``."""
    rows, columns = math.ceil(mask.shape[-2] / size[0]), math.ceil(mask.shape[-1] / size[1])
    missing = (0, columns * size[1] - mask.shape[-1], 0, rows * size[0] - mask.shape[-2])
    padded = functional.pad(mask, missing, value=False)
    return padded.reshape(*mask.shape[:2], rows, size[0], columns, size[1]).sum((3, 5))
