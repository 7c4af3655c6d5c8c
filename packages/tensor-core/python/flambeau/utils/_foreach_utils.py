"""Grouping of tensors for ``_foreach_`` functions. Optimizers of other packages import this module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flambeau._core import Tensor

_foreach_supported_types: list[type] = [Tensor]


def _group_tensors_by_device_and_dtype(
    tensorlistlist: Sequence[Sequence[Any]], with_indices: bool = False
) -> dict[tuple[Any, Any], tuple[list[list[Any]], list[int]]]:
    """Group rows of tensors by the device and dtype of the first tensor in each row.

    Args:
        tensorlistlist: lists of equal length, for example parameters and gradients. The first list contains no None.
        with_indices: if True, also return the indices of the rows.
    Returns: a dictionary from (device, dtype) to the lists for this group and the row indices.
    """
    groups: dict[tuple[Any, Any], tuple[list[list[Any]], list[int]]] = {}
    for index, row in enumerate(zip(*tensorlistlist, strict=True)):
        lists, indices = groups.setdefault((row[0].device, row[0].dtype), ([[] for _ in row], []))
        for each, tensor in zip(lists, row, strict=True):
            each.append(tensor)
        if with_indices:
            indices.append(index)
    return groups
