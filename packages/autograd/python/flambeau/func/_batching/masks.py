"""Batching rules of operators with masks."""

from typing import Any

import flambeau
from flambeau import Tensor
from flambeau.func._rules import composition


@composition("masked_fill")
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """Return ``value`` where ``mask`` is True, ``input`` elsewhere."""
    if isinstance(value, Tensor):
        if value.ndim:
            raise RuntimeError(
                "masked_fill_ only supports a 0-dimensional value tensor, but got tensor with "
                f"{value.ndim} dimension(s)."
            )
        value = value.to(input.dtype)
    return flambeau.where(mask, value, input).to(input.dtype)


@composition("masked_scatter")
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """Return ``input`` with the elements where ``mask`` is True replaced, in order, with elements of ``source``."""
    input, mask = flambeau.broadcast_tensors(input, mask)
    order = (mask.reshape(-1).cumsum(0) - 1).clamp(min=0)
    return flambeau.where(mask, source.reshape(-1)[order].reshape(input.shape), input)
