"""Causal attention masks."""

from __future__ import annotations

import enum
from typing import Any, Self

import flambeau
from flambeau import Tensor

__all__ = ["CausalBias", "CausalVariant", "causal_lower_right", "causal_upper_left"]


class CausalVariant(enum.IntEnum):
    """Alignment of a causal mask if the numbers of queries and keys differ.

    `UPPER_LEFT` aligns the first query with the first key, `LOWER_RIGHT` the last query with the last key.

    >>> [variant.name for variant in nn.attention.bias.CausalVariant]
    ['UPPER_LEFT', 'LOWER_RIGHT']
    """

    UPPER_LEFT = 1
    LOWER_RIGHT = 2


class CausalBias(Tensor):
    """Causal mask of booleans, ``(seq_len_q, seq_len_kv)``, for the argument ``attn_mask``.

    Args:
        variant: query i attends to the keys up to i (`UPPER_LEFT`), or the last query attends to all keys
            (`LOWER_RIGHT`).
        seq_len_q, seq_len_kv: numbers of queries and keys.
        device: device of the mask, the CPU by default. Attention on a GPU copies the mask to the GPU.

    >>> from flambeau.nn.attention.bias import causal_lower_right
    >>> causal_lower_right(2, 3)
    CausalBias([[ True,  True, False],
                [ True,  True,  True]])
    """

    variant: CausalVariant
    seq_len_q: int
    seq_len_kv: int

    def __new__(cls, variant: CausalVariant, seq_len_q: int, seq_len_kv: int, device: Any = None) -> Self:
        if not isinstance(variant, CausalVariant):
            raise AssertionError(f"variant must be a CausalVariant, got {type(variant).__name__}")
        offset = seq_len_kv - seq_len_q if variant is CausalVariant.LOWER_RIGHT else 0
        seen = flambeau.ones(seq_len_q, seq_len_kv, dtype=flambeau.bool, device=device).tril(offset)
        bias: Self = seen.as_subclass(cls)
        bias.variant, bias.seq_len_q, bias.seq_len_kv = variant, seq_len_q, seq_len_kv
        return bias

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    __torch_function__ = flambeau.overrides._disabled_torch_function_impl  # type: ignore[assignment]


def causal_upper_left(*size: int) -> CausalBias:
    """Return the mask in which query i attends to the keys up to i, as with ``is_causal=True``.

    Args:
        size: the numbers of queries and keys.

    >>> bias = nn.attention.bias.causal_upper_left(2, 3)
    >>> bias.variant.name, bias.seq_len_q, bias.seq_len_kv
    ('UPPER_LEFT', 2, 3)
    """
    return CausalBias(CausalVariant.UPPER_LEFT, *_require_2d(size))


def causal_lower_right(*size: int) -> CausalBias:
    """Return the mask in which the last query attends to all keys, and each query to one key fewer than the next query.

    Use it for queries that follow cached keys.

    Args:
        size: the numbers of queries and keys.

    >>> bias = nn.attention.bias.causal_lower_right(2, 3)
    >>> bias.variant.name, bias.seq_len_q, bias.seq_len_kv
    ('LOWER_RIGHT', 2, 3)
    """
    return CausalBias(CausalVariant.LOWER_RIGHT, *_require_2d(size))


def _require_2d(size: tuple[int, ...]) -> tuple[int, int]:
    if len(size) != 2:
        raise AssertionError(f"causal biases only support 2D tensors, got size {list(size)}")
    return size[0], size[1]
