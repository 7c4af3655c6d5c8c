"""The states of the global random number generators of Python, NumPy and flambeau."""

from __future__ import annotations

import _random
import ctypes
import random
import sys
from typing import Any, TypeAlias

import numpy as np

from ._tensors import default_generator, set_state, state_of

# Note [Marks]
# ~~~~~~~~~~~~
# A loader checks after every batch whether random numbers were drawn. ``random.getstate`` and
# ``numpy.random.get_state`` cost 7 and 24 microseconds, so the loader compares marks instead. A mark is a copy of the
# generators' memory. NumPy documents the address of its state; in CPython, the address of an object is its ``id``. The
# memory is only read, never written. If its layout is unexpected, the mark is the result of ``random.getstate``.
_PYTHON: Any = getattr(random, "_inst")  # noqa: B009, the generator that random.random() uses
Mark: TypeAlias = tuple[Any, Any, Any]  # states of Python's, NumPy's and flambeau's generators
_HEADER = object.__basicsize__
_WORDS = 624


def seed_all(seed: int, numpy_words: list[int] | None = None) -> None:
    """Seed the generators of Python, NumPy and flambeau.

    NumPy's generator is seeded with ``numpy_words`` if given, otherwise with the low 32 bits of ``seed``.
    """
    random.seed(seed)
    np.random.seed(seed & 0xFFFFFFFF if numpy_words is None else numpy_words)
    if default_generator is not None:
        default_generator.manual_seed(seed)


def _python_memory() -> bytes:
    return ctypes.string_at(id(_PYTHON) + _HEADER, _random.Random.__basicsize__ - _HEADER)


def _python_words(memory: bytes) -> tuple[int, ...]:
    words = np.frombuffer(memory, dtype=np.uint32, count=_WORDS + 1).tolist()
    return (*words[1:], words[0])


def _memory_is_as_expected() -> bool:
    if sys.implementation.name != "cpython" or _random.Random.__basicsize__ < _HEADER + 4 * (_WORDS + 1):
        return False
    return bool(_python_words(_python_memory()) == random.getstate()[1])


_READS_MEMORY = _memory_is_as_expected()


def _python_mark() -> tuple[Any, ...]:
    return (_python_memory(), _PYTHON.gauss_next) if _READS_MEMORY else random.getstate()


def _numpy_mark() -> bytes | str:
    generator: Any = np.random.get_bit_generator()  # type: ignore[attr-defined]
    if isinstance(generator, np.random.MT19937):
        return ctypes.string_at(generator.ctypes.state_address, 4 * (_WORDS + 1))
    return repr(generator.state)


def _tensor_state() -> tuple[Any, Any] | None:
    return None if default_generator is None else state_of(default_generator)


def mark() -> Mark:
    """Return a mark. Two marks are equal if no random number was drawn between them. Note [Marks]."""
    return _python_mark(), _numpy_mark(), _tensor_state()


def save() -> tuple[Any, Any, Any]:
    """Return the states of the three generators, for :func:`restore`."""
    return random.getstate(), np.random.get_state(), _tensor_state()


def restore(saved: tuple[Any, Any, Any]) -> None:
    """Restore the states of the three generators that :func:`save` returned."""
    random.setstate(saved[0])
    np.random.set_state(saved[1])
    if default_generator is not None:
        set_state(default_generator, saved[2])


def shared_mark() -> tuple[Any, Any]:
    """Return a mark of the generators of Python and NumPy only, which all threads share. Note [Marks]."""
    return _python_mark(), _numpy_mark()


def save_from(marked: Mark) -> tuple[Any, Any, Any]:
    """Convert a mark to states for :func:`restore`. They lack the second normal number that NumPy may have cached."""
    python, arrays, tensors = marked
    if _READS_MEMORY:
        memory, gauss_next = python
        python = (3, _python_words(memory), gauss_next)
    if isinstance(arrays, bytes):
        words = np.frombuffer(arrays, dtype=np.uint32)
        arrays = ("MT19937", words[:_WORDS], int(words[_WORDS]), 0, 0.0)
    else:
        arrays = np.random.get_state()
    return python, arrays, tensors
