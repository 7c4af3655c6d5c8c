"""Batching rules of ``searchsorted``, ``bucketize`` and ``isin``."""

from typing import Any

import flambeau
from flambeau import Tensor
from flambeau.func._rules import composition


@composition("searchsorted")
def searchsorted(sorted_sequence: Tensor, input: Any, out_int32: bool, right: bool, side: Any, sorter: Any) -> Tensor:
    """Return the positions of values in sorted sequences. A 1-D sequence is used for all values of a batch element."""
    values = input if isinstance(input, Tensor) else flambeau.as_tensor(input, dtype=sorted_sequence.dtype)
    if sorted_sequence.ndim == 1:
        sequence, order = sorted_sequence.unsqueeze(0), None if sorter is None else sorter.unsqueeze(0)
        rows = values.reshape(1, -1)
    else:
        sequence, rows, order = sorted_sequence, values, sorter
    return _search(sequence, rows, out_int32, right, side, order).reshape(values.shape)


def _search(sequence: Tensor, rows: Tensor, out_int32: bool, right: bool, side: Any, order: Any) -> Tensor:
    """Return, for each value, the number of elements of its sequence that are less (right side: less or equal)."""
    if order is not None:
        sequence = sequence.gather(-1, order)
    upper = right or side == "right"
    compared = rows.unsqueeze(-1) >= sequence.unsqueeze(-2) if upper else rows.unsqueeze(-1) > sequence.unsqueeze(-2)
    return compared.sum(-1).to(flambeau.int32 if out_int32 else flambeau.int64)


@composition("bucketize")
def bucketize(input: Any, boundaries: Tensor, out_int32: bool, right: bool) -> Tensor:
    """Return the positions of values in a 1-D tensor of boundaries."""
    return flambeau.searchsorted(boundaries, input, out_int32=out_int32, right=right)


@composition("isin")
def isin(elements: Any, test_elements: Any, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Test if each element is in ``test_elements``."""
    among = test_elements.reshape(-1) if isinstance(test_elements, Tensor) else flambeau.as_tensor([test_elements])
    tensor = elements if isinstance(elements, Tensor) else flambeau.as_tensor(elements)
    matches = (tensor.unsqueeze(-1) == among).any(-1)
    return matches.logical_not() if invert else matches
