"""The allowlist of global names in pickles: the value of each name, and the function that runs when it is called.

Names are only looked up in this table, so a file cannot reach any other object.
"""

from __future__ import annotations

import contextlib
import importlib
from argparse import Namespace
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import flambeau
from flambeau._storage_types import STORAGE_DTYPES

from . import rebuild
from .names import DTYPES, MEMORY_FORMATS


class Entry(NamedTuple):
    """Value of a name, and the function that runs when a file calls the name (None if it cannot be called)."""

    value: Any
    call: Callable[..., Any] | None = None


_UTILS: dict[str, Callable[..., Any]] = {
    "_rebuild_tensor": rebuild.tensor,
    "_rebuild_tensor_v2": rebuild.tensor_v2,
    "_rebuild_tensor_v3": rebuild.tensor_v3,
    "_rebuild_parameter": rebuild.parameter,
    "_rebuild_parameter_with_state": rebuild.parameter_with_state,
    "_rebuild_meta_tensor_no_storage": rebuild.tensor_on_meta,
    "_rebuild_qtensor": rebuild.quantized,
    "_rebuild_sparse_tensor": rebuild.sparse,
    "_rebuild_sparse_csr_tensor": rebuild.sparse,
    "_rebuild_nested_tensor": rebuild.nested,
}


@cache
def table() -> dict[str, Entry]:
    """Return the allowed names of PyTorch and Python, except for those in `_LAZY_GLOBALS`."""
    names = {f"torch.{name}": Entry(dtype) for name, dtype in DTYPES.items()}
    names |= {f"torch.{name}": Entry(getattr(flambeau, name)) for name in MEMORY_FORMATS}
    for name, dtype in STORAGE_DTYPES.items():
        kind = Entry(rebuild.StorageType(dtype))
        names |= {f"torch.{name}": kind, f"torch.cuda.{name}": kind}
    names |= {f"torch._utils.{name}": Entry(function, function) for name, function in _UTILS.items()}
    names |= {f"builtins.{kind.__name__}": Entry(kind) for kind in rebuild.FACTORIES if kind is not OrderedDict}
    names |= {
        "torch._tensor._rebuild_from_type_v2": Entry(rebuild.from_type, rebuild.from_type),
        "torch.Size": Entry(flambeau.Size, rebuild.size),
        "torch.device": Entry(flambeau.device, rebuild.device),
        "torch.serialization._get_layout": Entry(rebuild.layout, rebuild.layout),
        "torch.Tensor": Entry(flambeau.Tensor),
        "torch.storage.UntypedStorage": Entry(rebuild.StorageType(None)),
        "collections.OrderedDict": Entry(OrderedDict, rebuild.ordered_dict),
        "collections.Counter": Entry(Counter, rebuild.counter),
        "collections.defaultdict": Entry(defaultdict, rebuild.default_dict),
        "_codecs.encode": Entry(rebuild.encoded, rebuild.encoded),
        "argparse.Namespace": Entry(Namespace),
        "builtins.bytearray": Entry(bytearray, rebuild.byte_array),
        "builtins.complex": Entry(complex, rebuild.number),
        "builtins.set": Entry(set, rebuild.set_of),
        "builtins.frozenset": Entry(frozenset, rebuild.frozenset_of),
    }
    return names


def _of_numpy(module: str, value: str, call: str | None) -> Entry:
    arrays = importlib.import_module(f"{__package__}.arrays")
    return Entry(getattr(importlib.import_module(module), value), getattr(arrays, call) if call else None)


_ARRAYS = f"{__package__}.arrays"

# Names that require an import.
_LAZY_GLOBALS: dict[str, Callable[[], Entry]] = {
    "torch.nn.parameter.Parameter": lambda: Entry(rebuild.parameter_type()),
    "torch.nn.parameter.Buffer": lambda: Entry(rebuild.buffer_type()),
    "numpy.dtype": lambda: _of_numpy("numpy", "dtype", "dtype"),
    "numpy.ndarray": lambda: _of_numpy("numpy", "ndarray", None),
    "numpy.core.multiarray.scalar": lambda: _of_numpy(_ARRAYS, "scalar", "scalar"),
    "numpy._core.multiarray.scalar": lambda: _of_numpy(_ARRAYS, "scalar", "scalar"),
    "numpy.core.multiarray._reconstruct": lambda: _of_numpy(_ARRAYS, "array", "array"),
    "numpy._core.multiarray._reconstruct": lambda: _of_numpy(_ARRAYS, "array", "array"),
}

# Python 2's module names, which pickle protocol 2 still writes.
_RENAMED = {"__builtin__": "builtins", "copy_reg": "copyreg"}


def full_name(module: str, name: str) -> str:
    """Return ``module.name``, with Python 3's name for a module of Python 2."""
    return f"{_RENAMED.get(module, module)}.{name}"


def find(name: str) -> Entry | None:
    """Return the entry for a full name, or None if files may not use this name."""
    if name in _user_globals:
        return Entry(_user_globals[name], _user_globals[name] if callable(_user_globals[name]) else None)
    return _LAZY_GLOBALS[name]() if name in _LAZY_GLOBALS else table().get(name)


# Objects that a user allowed, by full name.
_user_globals: dict[str, Any] = {}


def is_added(obj: Any) -> bool:
    """Return True if a user allowed the object."""
    return any(obj is value for value in _user_globals.values())


def add_safe_globals(safe_globals: Sequence[Any]) -> None:
    """Allow files to use functions and classes: to call them with any arguments and to set the state of instances.

    Args:
        safe_globals: functions and classes, or pairs of a function or class and its full name in the files.

    >>> import fractions
    >>> flambeau.serialization.add_safe_globals([fractions.Fraction])
    >>> flambeau.serialization.get_safe_globals()
    [<class 'fractions.Fraction'>]
    >>> flambeau.serialization.clear_safe_globals()
    """
    _user_globals.update(map(_named, safe_globals))


def _named(item: Any) -> tuple[str, Any]:
    if isinstance(item, tuple):
        if len(item) != 2 or not isinstance(item[1], str):
            raise ValueError(f"a safe global is an object or a pair of it and its full name, got {item!r}")
        return item[1], item[0]
    module, name = getattr(item, "__module__", None), getattr(item, "__qualname__", None)
    if module is None or name is None:
        raise TypeError(f"a safe global is a function, a class or a pair (object, 'module.name'), got {item!r}")
    return f"{module}.{name}", item


def get_safe_globals() -> list[Any]:
    """Return the objects that a program allowed. See `add_safe_globals`."""
    return list(_user_globals.values())


def clear_safe_globals() -> None:
    """Remove all objects that a program allowed. See `add_safe_globals`."""
    _user_globals.clear()


class safe_globals(contextlib.AbstractContextManager[None]):
    """Context manager that allows files to use functions and classes, as `add_safe_globals` does.

    Args:
        safe_globals: functions and classes, or pairs of a function or class and its full name in the files.

    >>> import fractions
    >>> with fb.serialization.safe_globals([fractions.Fraction]):
    ...     fb.serialization.get_safe_globals()
    [<class 'fractions.Fraction'>]
    >>> fb.serialization.get_safe_globals()
    []
    """

    def __init__(self, safe_globals: Sequence[Any]) -> None:
        self._given = safe_globals

    def __enter__(self) -> None:
        self._before = dict(_user_globals)
        add_safe_globals(self._given)

    def __exit__(self, *exception: object) -> None:
        _user_globals.clear()
        _user_globals.update(self._before)
