"""A reader for the pickle files of CIFAR that runs no code from the files.

A pickle can call arbitrary functions. The CIFAR files refer only to the constructors of NumPy's arrays and dtypes, and
to ``codecs.encode``. This reader records the arguments of these calls instead, and rejects all other names.
"""

from __future__ import annotations

import io
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np


class _Record:
    """Record of the arguments and the state of an object in a pickle."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Array(_Record):
    """Record of an array: ``numpy._reconstruct(...)`` with the state ``(version, shape, dtype, is_fortran, bytes)``."""

    def value(self) -> np.ndarray:
        _, shape, dtype, fortran, content = self.state
        if not (isinstance(dtype, _Dtype) and dtype.arguments[0] in ("u1", b"u1") and fortran is False):
            raise TypeError("its array does not hold uint8 in C order")
        return np.frombuffer(_as_bytes(content), np.uint8).reshape(shape).copy()


class _Dtype(_Record):
    """Record of a dtype: ``numpy.dtype(code, align, copy)``."""


class _Encoded(_Record):
    """Record of bytes: ``codecs.encode(text, "latin1")``, the form in which Python 3 writes bytes for Python 2."""


_NAMES: dict[tuple[str, str], type[_Record]] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _Record,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _Encoded,
}


# The Python implementation has a dictionary as its memo. The C implementation has an array, and a damaged file could
# make it arbitrarily large.
class _Unpickler(pickle._Unpickler):
    def find_class(self, module: str, name: str) -> type[_Record]:
        try:
            return _NAMES[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not allowed") from None


_DAMAGED = (
    *(pickle.UnpicklingError, EOFError, AttributeError, IndexError, KeyError, TypeError, ValueError),
    *(struct.error, OverflowError, MemoryError, RecursionError, NotImplementedError),
)


def read_pickle(path: Path) -> dict[str, Any]:
    """Read the dictionary in a CIFAR file. Its values are numbers, lists, strings and uint8 arrays.

    Raises: ValueError that names the file, if the file is damaged or contains any other object.
    """
    try:
        content = _Unpickler(io.BytesIO(path.read_bytes()), encoding="latin1").load()
        if not isinstance(content, dict):
            raise TypeError(f"it holds a {type(content).__name__}, not a dictionary")
        return {_as_text(key): value.value() if isinstance(value, _Array) else value for key, value in content.items()}
    except _DAMAGED as error:
        raise ValueError(f"{path} is not one of CIFAR's files or is damaged: {error or type(error).__name__}") from None


def _as_text(key: Any) -> str:
    return key.decode("latin1") if isinstance(key, bytes) else key.encode("latin1").decode("latin1")


def _as_bytes(content: Any) -> bytes:
    if isinstance(content, _Encoded):
        content = content.arguments[0]
    return content if isinstance(content, bytes) else content.encode("latin1")
