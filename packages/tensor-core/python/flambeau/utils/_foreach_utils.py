"""What optimizers of other packages import to call ``_foreach_add`` and the like on tensors that are alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def _group_tensors_by_device_and_dtype(
    tensorlistlist: Sequence[Sequence[Any]], with_indices: bool = False
) -> dict[tuple[Any, Any], tuple[list[list[Any]], list[int]]]:
    """Rows of tensors, by the device and dtype of the first in each.

    Args:
        tensorlistlist: lists of one length, the first of which has no None: parameters, gradients, ...
        with_indices: also which rows they are.
    Returns: by device and dtype the lists, shorter, and the indices.
    """
    groups: dict[tuple[Any, Any], tuple[list[list[Any]], list[int]]] = {}
    for index, row in enumerate(zip(*tensorlistlist, strict=True)):
        lists, indices = groups.setdefault((row[0].device, row[0].dtype), ([[] for _ in row], []))
        for each, tensor in zip(lists, row, strict=True):
            each.append(tensor)
        if with_indices:
            indices.append(index)
    return groups
