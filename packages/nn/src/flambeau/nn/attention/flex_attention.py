"""Attention with a user-defined modification of the scores and a block mask.

Source: Dong, Feng, Guessous, Liang, He 2024, arXiv:2412.05496.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple, TypedDict, overload

import flambeau
from flambeau import Tensor
from flambeau.nn import functional
from flambeau.nn.attention._block_mask import _DEFAULT_SPARSE_BLOCK_SIZE, BlockMask, MaskMod, noop_mask
from flambeau.nn.attention._masks import (
    and_masks,
    create_block_mask,
    create_mask,
    index_grids_of,
    or_masks,
    vmap_over_indices,
)

__all__ = [
    "_DEFAULT_SPARSE_BLOCK_SIZE",
    "AuxOutput",
    "AuxRequest",
    "BlockMask",
    "FlexKernelOptions",
    "and_masks",
    "create_block_mask",
    "create_mask",
    "flex_attention",
    "noop_mask",
    "or_masks",
]

ScoreMod = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]

_OTHER_LENGTH = (
    "block_mask was created for block_mask.shape={shape} but got q_len={queries} and kv_len={keys}. Create one for "
    "these lengths, or crop this one to its upper left corner with block_mask._adjust({queries}, {keys}), which is "
    "correct if its mask_mod does not depend on the lengths."
)


class FlexKernelOptions(TypedDict, total=False):
    """Options of PyTorch's GPU kernels, such as tile sizes. They are accepted and have no effect.

    >>> from flambeau.nn.attention.flex_attention import FlexKernelOptions, flex_attention
    >>> q = fb.eye(3)[None, None]
    >>> options = FlexKernelOptions(BLOCK_M=64, num_warps=4)
    >>> fb.equal(flex_attention(q, q, q, kernel_options=options), flex_attention(q, q, q))
    True
    """

    BACKEND: str
    BLOCK_M: int
    BLOCK_N: int
    num_warps: int
    num_stages: int
    PRESCALE_QK: bool
    ROWS_GUARANTEED_SAFE: bool
    BLOCKS_ARE_CONTIGUOUS: bool
    WRITE_DQ: bool


class AuxRequest(NamedTuple):
    """Additional results to request from `flex_attention`.

    Attributes:
        lse: if True, return the logarithm of the sum of the exponentials of each query's scores.
        max_scores: if True, return the largest score of each query.

    >>> from flambeau.nn.attention.flex_attention import AuxRequest, flex_attention
    >>> q = fb.eye(3)[None, None]
    >>> output, aux = flex_attention(q, q, q, return_aux=AuxRequest(max_scores=True), scale=1.0)
    >>> aux.max_scores
    tensor([[[1., 1., 1.]]])
    """

    lse: bool = False
    max_scores: bool = False


class AuxOutput(NamedTuple):
    """Additional results of `flex_attention`: tensors ``(B, Hq, L)``, or None if not requested.

    Attributes:
        lse: logarithm of the sum of the exponentials of each query's scores.
        max_scores: largest score of each query.

    >>> from flambeau.nn.attention.flex_attention import AuxRequest, flex_attention
    >>> q = fb.zeros(1, 1, 2, 4)
    >>> output, aux = flex_attention(q, q, q, return_aux=AuxRequest(lse=True))
    >>> aux
    AuxOutput(lse=tensor([[[0.6931, 0.6931]]]), max_scores=None)
    """

    lse: Tensor | None = None
    max_scores: Tensor | None = None


@overload
def flex_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    score_mod: ScoreMod | None = None,
    block_mask: BlockMask | None = None,
    scale: float | None = None,
    enable_gqa: bool = False,
    return_lse: Literal[False] = False,
    kernel_options: FlexKernelOptions | None = None,
    *,
    return_aux: None = None,
) -> Tensor: ...


@overload
def flex_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    score_mod: ScoreMod | None = None,
    block_mask: BlockMask | None = None,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    return_lse: Literal[True],
    kernel_options: FlexKernelOptions | None = None,
    return_aux: None = None,
) -> tuple[Tensor, Tensor]: ...


@overload
def flex_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    score_mod: ScoreMod | None = None,
    block_mask: BlockMask | None = None,
    scale: float | None = None,
    enable_gqa: bool = False,
    return_lse: Literal[False] = False,
    kernel_options: FlexKernelOptions | None = None,
    *,
    return_aux: AuxRequest,
) -> tuple[Tensor, AuxOutput]: ...


def flex_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    score_mod: ScoreMod | None = None,
    block_mask: BlockMask | None = None,
    scale: float | None = None,
    enable_gqa: bool = False,
    return_lse: bool = False,
    kernel_options: FlexKernelOptions | None = None,
    *,
    return_aux: AuxRequest | None = None,
) -> Any:
    """Compute ``softmax(score_mod(query @ key.mT * scale)) @ value`` over the elements not masked by ``block_mask``.

    Blocks that are masked for all batches and heads are not computed. The output is zero for a query without keys.

    Args:
        query: ``(B, Hq, L, E)``, floating.
        key: ``(B, Hkv, S, E)``; with a ``block_mask``, a batch size of 1 is broadcast to B.
        value: ``(B, Hkv, S, Ev)``.
        score_mod: function of a score (float32, or float64 for float64 operands) and the indices of its batch, head,
            query and key, all tensors of one element. It returns the new score. It may use other tensors.
        block_mask: a mask from `create_block_mask` for these lengths.
        scale: ``E**-0.5`` by default.
        enable_gqa: if True, several query heads may share a head of keys and values.
        return_lse: if True, also return the logarithm of the sum of the exponentials of each query's scores.
        kernel_options: accepted for compatibility, without effect.
        return_aux: additional results to return in an `AuxOutput`.
    Returns: ``(B, Hq, L, Ev)`` with the dtype of ``query``; with ``return_lse`` or ``return_aux`` a pair.
    Raises: ValueError if the shapes do not match each other or the mask, or if both ``return_lse`` and ``return_aux``
        are given. NotImplementedError for operands that do not have 4 dimensions.
    Gradient: defined for query, key, value and the tensors that ``score_mod`` uses, to any order.

    >>> from flambeau.nn.attention.flex_attention import flex_attention
    >>> q = fb.eye(3)[None, None]
    >>> flex_attention(q, q, q, score_mod=lambda score, b, h, i, j: score - (i - j).abs())[0, 0]
    tensor([[0.7797, 0.1610, 0.0592],
            [0.1462, 0.7077, 0.1462],
            [0.0592, 0.1610, 0.7797]])
    """
    _check(query, key, value, block_mask, enable_gqa)
    if return_lse and return_aux is not None:
        raise ValueError(
            "flex_attention takes return_lse or return_aux, not both; return_aux=AuxRequest(lse=True) returns the same"
        )
    wanted = return_aux or AuxRequest(lse=return_lse)
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    groups = query.shape[1] // key.shape[1]
    key, value = (_expand_heads(each, query.shape[0], groups) for each in (key, value))
    parts = [_attend_part(query, key, value, score_mod, part, scale, wanted) for part in _parts(query, key, block_mask)]
    output, lse, largest = (_concatenate_queries(each) for each in zip(*parts, strict=True))
    if return_lse:
        return output, lse
    return output if return_aux is None else (output, AuxOutput(lse, largest))


def _concatenate_queries(parts: tuple[Tensor | None, ...]) -> Any:
    """Concatenate the parts of one result along the queries. Either all parts are None or none is."""
    return parts[0] if len(parts) == 1 or parts[0] is None else flambeau.cat(parts, 2)  # type: ignore[arg-type]


def _expand_heads(tensor: Tensor, batches: int, groups: int) -> Tensor:
    """Expand keys or values to the batches and heads of the queries."""
    if tensor.shape[0] != batches:
        tensor = tensor.expand(batches, -1, -1, -1)
    return tensor if groups == 1 else tensor.repeat_interleave(groups, 1)


class _QueryRange(NamedTuple):
    """Range of queries, the keys for which scores are computed, and the mask ``(B, H, queries, keys)`` or None."""

    queries: slice
    keys: slice | Tensor
    seen: Tensor | None
    index_grids: tuple[Tensor, ...]


def _parts(query: Tensor, key: Tensor, block_mask: BlockMask | None) -> Iterator[_QueryRange]:
    """Yield one range of queries for each row of blocks, or a single range if there is no block mask."""
    batches, heads, length = query.shape[:3]
    if block_mask is None:
        index_grids = index_grids_of(
            batches, heads, flambeau.arange(length), flambeau.arange(key.shape[2]), query.device
        )
        yield _QueryRange(slice(None), slice(None), None, index_grids)
        return
    partial, full = block_mask.partial_blocks(), block_mask.full_blocks()
    height, width = block_mask.BLOCK_SIZE
    for row, columns in enumerate(block_mask.columns_of_rows()):
        queries = flambeau.arange(length)[row * height : (row + 1) * height]
        positions = _key_indices(columns, width, key.shape[2])
        index_grids = index_grids_of(batches, heads, queries, positions, query.device)
        blocks = (index_grids[3] // width).long()
        seen = _mask_of_row(
            partial[:, :, row], None if full is None else full[:, :, row], blocks, block_mask.mask_mod, index_grids
        )
        contiguous = columns == list(range(columns[0], columns[0] + len(columns))) if columns else True
        first = int(positions[0]) if columns else 0
        keys = slice(first, first + len(positions)) if contiguous else positions.to(query.device)
        yield _QueryRange(slice(row * height, row * height + len(queries)), keys, seen, index_grids)


def _key_indices(columns: list[int], width: int, length: int) -> Tensor:
    """Return the indices of the keys in some columns of blocks."""
    first = flambeau.tensor(columns, dtype=flambeau.int64)[:, None] * width
    positions = (first + flambeau.arange(width)).reshape(-1)
    return positions[positions < length]


def _mask_of_row(
    partial: Tensor, full: Tensor | None, blocks: Tensor, mask_mod: MaskMod, index_grids: tuple[Tensor, ...]
) -> Tensor | None:
    """Return the mask of a row of blocks, ``(B, H, queries, keys)``, or None if no element is masked.

    Args:
        partial, full: ``(B, H, columns)``, True for the partial and the full blocks of the row.
        blocks: column of the block that contains each key.
        index_grids: indices of the batches, heads, queries and keys.
    """
    whole = None if full is None else full.index_select(-1, blocks)[:, :, None]
    if whole is not None and bool(whole.all()):
        return None
    selected = partial.index_select(-1, blocks)[:, :, None]
    # A mask that is broadcast over batches or heads is evaluated for the first one only.
    first = (index_grids[0][: partial.shape[0]], index_grids[1][: partial.shape[1]])
    seen = vmap_over_indices(mask_mod, scores=False)(*first, *index_grids[2:]) & selected
    return seen if whole is None else seen | whole


def _attend_part(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    score_mod: ScoreMod | None,
    part: _QueryRange,
    scale: float,
    wanted: AuxRequest,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Return one part's output, log-sum-exp and largest scores; the latter two are None unless requested."""
    queries = query[:, :, part.queries]
    keys, values = (_select_keys(each, part.keys) for each in (key, value))
    if score_mod is None and not any(wanted):
        return functional.scaled_dot_product_attention(queries, keys, values, part.seen, scale=scale), None, None
    working = flambeau.float64 if query.dtype == flambeau.float64 else flambeau.float32
    scores = (queries @ keys.mT).to(working) * scale
    if score_mod is not None:
        scores = vmap_over_indices(score_mod, scores=True)(scores, *part.index_grids).to(working)
    if part.seen is not None:
        scores = scores.masked_fill(~part.seen, -math.inf)
    blind = scores.isneginf().all(-1, keepdim=True)
    safe = scores.masked_fill(blind, 0.0)  # rows of only -inf have a derivative of NaN
    output = safe.softmax(-1).masked_fill(blind, 0.0).to(query.dtype) @ values
    lse = safe.logsumexp(-1).masked_fill(blind[..., 0], -math.inf) if wanted.lse else None
    return output, lse, _row_max(scores) if wanted.max_scores else None


def _row_max(scores: Tensor) -> Tensor:
    return scores.amax(-1) if scores.shape[-1] else scores.new_full(scores.shape[:-1], -math.inf)


def _select_keys(tensor: Tensor, keys: slice | Tensor) -> Tensor:
    return tensor[:, :, keys] if isinstance(keys, slice) else tensor.index_select(2, keys)


def _check(query: Tensor, key: Tensor, value: Tensor, block_mask: BlockMask | None, enable_gqa: bool) -> None:
    """Raise an error if the operands do not match each other or the mask."""
    if not query.dim() == key.dim() == value.dim() == 4:
        shapes = ", ".join(str(list(each.shape)) for each in (query, key, value))
        raise NotImplementedError(
            f"flex_attention: query, key and value must have 4 dimensions, [B, H, L, E], got shapes {shapes}"
        )
    if not query.dtype == key.dtype == value.dtype:
        dtypes = ", ".join(str(each.dtype) for each in (query, key, value))
        raise ValueError(f"Expected query, key, and value to have the same dtype, but got {dtypes}.")
    if query.shape[-1] != key.shape[-1]:
        sizes = f"E={query.shape[-1]} and E={key.shape[-1]}"
        raise ValueError(f"Expect query and key/value to have the same embedding dimension but got {sizes}.")
    if key.shape[:3] != value.shape[:3]:
        raise ValueError(
            f"Expect key and value to have the same shape except for the last dimension, got {list(key.shape)} and "
            f"{list(value.shape)}."
        )
    heads, of_keys = query.shape[1], key.shape[1]
    if heads != of_keys and not enable_gqa:
        raise ValueError(
            f"Expect query and key/value to have the same number of heads but got Hq={heads} and Hkv={of_keys}. "
            "Try setting enable_gqa=True for GQA."
        )
    if of_keys == 0 or heads % of_keys:
        raise ValueError(
            f"Expect number of query heads to be a multiple of kv heads for GQA but got Hq={heads} and Hkv={of_keys}."
        )
    if query.shape[0] != key.shape[0] and (key.shape[0] != 1 or block_mask is None):
        raise ValueError(
            "Expect query and key/value to have the same batch size, or one batch of keys and a block_mask, "
            f"but got Bq={query.shape[0]} and Bkv={key.shape[0]}."
        )
    if block_mask is not None:
        _check_mask(query, key, block_mask)


def _check_mask(query: Tensor, key: Tensor, block_mask: BlockMask) -> None:
    if len(block_mask.shape) != 4:
        raise ValueError(
            "block_mask must have 4 dimensions, [batches, heads, queries, keys], got "
            f"block_mask.shape={list(block_mask.shape)}"
        )
    if tuple(block_mask.seq_lengths) != (query.shape[2], key.shape[2]):
        raise ValueError(_OTHER_LENGTH.format(shape=list(block_mask.shape), queries=query.shape[2], keys=key.shape[2]))
    for size, of_mask, name in zip(query.shape[:2], block_mask.shape[:2], ("batches", "heads"), strict=True):
        if of_mask not in (1, size):
            raise ValueError(
                f"block_mask is for {of_mask} {name}, but query has {size} (its shape is {list(query.shape)})"
            )
    if block_mask.kv_indices.device != query.device:
        raise ValueError(f"block_mask is on {block_mask.kv_indices.device}, but query is on {query.device}")
