"""The table of names that a file may use: what each stands for, and what happens when the file calls it.

Nothing outside of it is looked up, so nothing else can be reached, whatever a file says.
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
from .names import DTYPES


class Entry(NamedTuple):
    """What a name stands for, and the function that a call of it runs; None: it may not be called."""

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
    """The names of PyTorch and Python, but for those of `_LATER`."""
    names = {f"torch.{name}": Entry(dtype) for name, dtype in DTYPES.items()}
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

# Names for which something has to be imported.
_LATER: dict[str, Callable[[], Entry]] = {
    "torch.nn.parameter.Parameter": lambda: Entry(rebuild.parameter_type()),
    "torch.nn.parameter.Buffer": lambda: Entry(rebuild.buffer_type()),
    "numpy.dtype": lambda: _of_numpy("numpy", "dtype", "dtype"),
    "numpy.ndarray": lambda: _of_numpy("numpy", "ndarray", None),
    "numpy.core.multiarray.scalar": lambda: _of_numpy(_ARRAYS, "scalar", "scalar"),
    "numpy._core.multiarray.scalar": lambda: _of_numpy(_ARRAYS, "scalar", "scalar"),
    "numpy.core.multiarray._reconstruct": lambda: _of_numpy(_ARRAYS, "array", "array"),
    "numpy._core.multiarray._reconstruct": lambda: _of_numpy(_ARRAYS, "array", "array"),
}

# Python 2's names, which the protocol that PyTorch uses writes to this day.
_RENAMED = {"__builtin__": "builtins", "copy_reg": "copyreg"}


def full_name(module: str, name: str) -> str:
    """The name as it is spelled in the table."""
    return f"{_RENAMED.get(module, module)}.{name}"


def find(name: str) -> Entry | None:
    """The entry of a full name; None: it may not be used."""
    if name in _added:
        return Entry(_added[name], _added[name] if callable(_added[name]) else None)
    return _LATER[name]() if name in _LATER else table().get(name)


# What a user has declared safe, by full name.
_added: dict[str, Any] = {}


def is_added(obj: Any) -> bool:
    """Whether a user has declared the object safe."""
    return any(obj is value for value in _added.values())


def add_safe_globals(safe_globals: Sequence[Any]) -> None:
    """Allow files to use these functions and classes: to call them with any arguments, and to fill their objects.

    Args:
        safe_globals: functions and classes; or pairs of one and the full name under which files have it.

    >>> import fractions
    >>> flambeau.serialization.add_safe_globals([fractions.Fraction])
    >>> flambeau.serialization.get_safe_globals()
    [<class 'fractions.Fraction'>]
    >>> flambeau.serialization.clear_safe_globals()
    """
    _added.update(map(_named, safe_globals))


def _named(given: Any) -> tuple[str, Any]:
    if isinstance(given, tuple):
        if len(given) != 2 or not isinstance(given[1], str):
            raise ValueError(f"a safe global is an object or a pair of it and its full name, got {given!r}")
        return given[1], given[0]
    module, name = getattr(given, "__module__", None), getattr(given, "__qualname__", None)
    if module is None or name is None:
        raise TypeError(f"a safe global is a function, a class or a pair (object, 'module.name'), got {given!r}")
    return f"{module}.{name}", given


def get_safe_globals() -> list[Any]:
    """What has been allowed beyond the table of this module."""
    return list(_added.values())


def clear_safe_globals() -> None:
    """Allow nothing beyond the table of this module."""
    _added.clear()


class safe_globals(contextlib.AbstractContextManager[None]):
    """Context: files may use these functions and classes as well, until its end. See `add_safe_globals`."""

    def __init__(self, safe_globals: Sequence[Any]) -> None:
        self._given = safe_globals

    def __enter__(self) -> None:
        self._before = dict(_added)
        add_safe_globals(self._given)

    def __exit__(self, *exception: object) -> None:
        _added.clear()
        _added.update(self._before)
