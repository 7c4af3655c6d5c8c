"""Functions that rebuild pickled NumPy scalars and arrays of plain numeric dtypes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .errors import FormatError

PLAIN_KINDS = "biufc"


def dtype(code: Any, align: Any = False, copy: Any = True) -> np.dtype[Any]:
    """Return a new dtype object, so that `set_dtype` does not change a shared object."""
    if type(code) is not str or len(code) > 3 or (made := np.dtype(code)).kind not in PLAIN_KINDS:
        raise FormatError(f"the NumPy dtype {code!r} is not supported: only dtypes of plain numbers are read")
    return np.dtype(made, copy=True)


def set_dtype(target: np.dtype[Any], state: Any) -> None:
    """Set the byte order of a dtype."""
    if not isinstance(target, np.dtype):
        raise FormatError(f"it sets the state of {type(target).__name__}, which has no state")
    if not (isinstance(state, tuple) and len(state) == 8 and state[1] in ("<", ">", "|", "=")):
        raise FormatError("the state of a NumPy dtype is damaged")
    if state[2:] != (None, None, None, -1, -1, 0):
        raise FormatError("a NumPy dtype with fields is not supported: only dtypes of plain numbers are read")
    target.__setstate__((3, *state[1:]))  # type: ignore[attr-defined]


def scalar(kind: Any, content: Any = None) -> Any:
    """Return a NumPy scalar."""
    if not isinstance(kind, np.dtype) or type(content) is not bytes or len(content) != kind.itemsize:
        raise FormatError("a NumPy number is damaged")
    return np.frombuffer(content, kind)[0]


def array(kind: Any, shape: Any, type_code: Any) -> np.ndarray[Any, Any]:
    """Return an empty array, which `set_array` fills."""
    return np.empty(0, np.int8)


def set_array(target: np.ndarray[Any, Any], state: Any) -> None:
    """Set the shape, dtype and elements of an array."""
    _, shape, kind, by_columns, content = state
    if not isinstance(kind, np.dtype) or type(content) is not bytes or not isinstance(shape, tuple):
        raise FormatError("a NumPy array is damaged, or not of plain numbers")
    sizes_fit = all(type(length) is int and length >= 0 for length in shape) and len(shape) <= 32
    if not sizes_fit or math.prod(shape) * kind.itemsize != len(content):
        raise FormatError(f"damaged: a NumPy array of shape {list(shape)} and dtype {kind} has {len(content):,} bytes")
    target.__setstate__((1, shape, kind, bool(by_columns), content))  # type: ignore[arg-type]
