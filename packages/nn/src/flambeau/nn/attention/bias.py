"""Masks of attention in which a query sees no later keys."""

from __future__ import annotations

import enum
from typing import Any, Self

import flambeau
from flambeau import Tensor

__all__ = ["CausalBias", "CausalVariant", "causal_lower_right", "causal_upper_left"]


class CausalVariant(enum.IntEnum):
    """Which queries and keys stand at the same time where their numbers differ: the first, or the last."""

    UPPER_LEFT = 1
    LOWER_RIGHT = 2


class CausalBias(Tensor):
    """A mask ``(seq_len_q, seq_len_kv)`` of booleans, for ``attn_mask``.

    Args:
        variant: query i sees keys up to i (`UPPER_LEFT`), or the last query sees all keys (`LOWER_RIGHT`).
        seq_len_q, seq_len_kv: the numbers of queries and keys.
        device: where it is; the CPU by default, from which attention on a GPU fetches it.

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
    """The mask in which query i sees keys up to i, which is what ``is_causal=True`` means.

    Args:
        size: the numbers of queries and keys.
    """
    return CausalBias(CausalVariant.UPPER_LEFT, *_two(size))


def causal_lower_right(*size: int) -> CausalBias:
    """The mask in which the last query sees all keys, each earlier one a key less: for keys that were cached.

    Args:
        size: the numbers of queries and keys.
    """
    return CausalBias(CausalVariant.LOWER_RIGHT, *_two(size))


def _two(size: tuple[int, ...]) -> tuple[int, int]:
    if len(size) != 2:
        raise AssertionError("causal biases only support 2D tensors")
    return size[0], size[1]
