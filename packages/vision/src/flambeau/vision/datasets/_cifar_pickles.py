"""The pickles in which CIFAR is published, read without running anything that is in them.

A pickle is a program that may call what it likes. The only names that CIFAR's use are those of NumPy's array and dtype
and of the codec of bytes; here these stand for records of their arguments, and any other name is refused.
"""

from __future__ import annotations

import io
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np


class _Record:
    """What a pickle would have made of some arguments and a state, which are kept and not used."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Array(_Record):
    """``numpy._reconstruct(...)`` with the state ``(version, shape, dtype, is_fortran, bytes)``."""

    def value(self) -> np.ndarray:
        _, shape, dtype, fortran, content = self.state
        if not (isinstance(dtype, _Dtype) and dtype.arguments[0] in ("u1", b"u1") and fortran is False):
            raise TypeError("its array is not of uint8 in C order")
        return np.frombuffer(_as_bytes(content), np.uint8).reshape(shape).copy()


class _Dtype(_Record):
    """``numpy.dtype(code, align, copy)``."""


class _Encoded(_Record):
    """``codecs.encode(text, "latin1")``, as Python 3 writes bytes for Python 2."""


_NAMES: dict[tuple[str, str], type[_Record]] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _Record,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _Encoded,
}


# The interpreter written in Python: its memo is a dictionary, where C's is an array as long as a damaged file says.
class _Unpickler(pickle._Unpickler):
    def find_class(self, module: str, name: str) -> type[_Record]:
        try:
            return _NAMES[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is refused") from None


_DAMAGED = (
    *(pickle.UnpicklingError, EOFError, AttributeError, IndexError, KeyError, TypeError, ValueError),
    *(struct.error, OverflowError, MemoryError, RecursionError, NotImplementedError),
)


def read_pickle(path: Path) -> dict[str, Any]:
    """The dictionary in one of CIFAR's files: strings to numbers, lists, texts and uint8 arrays.

    Raises: ValueError naming the file, if it is damaged or asks for anything else.
    """
    try:
        found = _Unpickler(io.BytesIO(path.read_bytes()), encoding="latin1").load()
        if not isinstance(found, dict):
            raise TypeError(f"it holds a {type(found).__name__}, not a dictionary")
        return {_as_text(key): value.value() if isinstance(value, _Array) else value for key, value in found.items()}
    except _DAMAGED as error:
        raise ValueError(f"{path} is not one of CIFAR's files or is damaged: {error or type(error).__name__}") from None


def _as_text(key: Any) -> str:
    return key.decode("latin1") if isinstance(key, bytes) else key.encode("latin1").decode("latin1")


def _as_bytes(content: Any) -> bytes:
    if isinstance(content, _Encoded):
        content = content.arguments[0]
    return content if isinstance(content, bytes) else content.encode("latin1")
