"""The one place that knows whether tensor-core is installed.

Without it ``flambeau`` is an implicit namespace (it has no file) and NumPy arrays take the place of tensors everywhere.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

# Imported by name, so that type checkers need no tensor-core either.
_flambeau: Any = importlib.import_module("flambeau")

HAS_TENSORS = getattr(_flambeau, "__file__", None) is not None

# What one column of a batch may be: a flambeau tensor, or an array.
Column: TypeAlias = Any

# For isinstance: nothing is a tensor where tensor-core is absent.
TENSOR_TYPES: tuple[type, ...] = (_flambeau.Tensor,) if HAS_TENSORS else ()


def from_array(array: np.ndarray) -> Column:
    """The array as a tensor where there are tensors: sharing its memory if that may be written, else a copy."""
    if not HAS_TENSORS:
        return array
    shareable = array.flags.writeable and all(stride >= 0 for stride in array.strides)
    return _flambeau.from_numpy(array if shareable else array.copy())


def stack(columns: Sequence[Column]) -> Column:
    if isinstance(columns[0], TENSOR_TYPES):
        return _flambeau.stack(list(columns))
    return from_array(np.stack(columns))


def take(column: Column, indices: Sequence[int]) -> Column:
    """The rows at ``indices``, by one indexing operation."""
    rows: Any = np.asarray(indices, dtype=np.int64)
    return column[_flambeau.from_numpy(rows) if isinstance(column, TENSOR_TYPES) else rows]


def draw_integer(high: int, generator: object) -> int:
    """One number in ``[0, high)`` from a ``flambeau.Generator``, or from flambeau's default one if None."""
    return int(_flambeau.randint(0, high, (1,), generator=generator).item())
