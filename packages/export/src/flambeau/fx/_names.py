"""Names of values in generated code, and of functions and types as a program writes them."""

from __future__ import annotations

import builtins
import importlib
import inspect
import keyword
import math
import re
import sys
import types
from collections.abc import Callable
from typing import Any, NamedTuple

import flambeau
from flambeau._naming import library_name, own_module
from flambeau.library._custom_op import CustomOpDef, registry
from flambeau.library._overloads import OpOverload
from flambeau.utils import _pytree as pytree


class CustomBuiltin(NamedTuple):
    """Object whose name is defined in all generated code, and its import statement for exported code."""

    import_str: str
    obj: Any


custom_builtins: dict[str, CustomBuiltin] = {
    "inf": CustomBuiltin("from math import inf", math.inf),
    "nan": CustomBuiltin("from math import nan", math.nan),
    "NoneType": CustomBuiltin("NoneType = type(None)", type(None)),
    "flambeau": CustomBuiltin("import flambeau", flambeau),
    "torch": CustomBuiltin("import flambeau as torch", flambeau),  # works even if the alias ``torch`` is not installed
    "device": CustomBuiltin("from flambeau import device", flambeau.device),
    "pytree": CustomBuiltin("import flambeau.utils._pytree as pytree", pytree),
}


def known_names() -> dict[str, CustomBuiltin]:
    """Return the names that are defined in generated code. Under the alias ``torch``, flambeau has that name."""
    other = "flambeau" if library_name() == "torch" else "torch"
    return {name: known for name, known in custom_builtins.items() if name != other}


_illegal_names = {name: object() for name in keyword.kwlist}
_illegal_names |= vars(builtins)
_illegal_names |= {name: known.obj for name, known in custom_builtins.items()}

_parts_of_name = re.compile(r"^([a-zA-Z_][0-9a-zA-Z_]*?)(?:_(\d+))?$")
_camel_case = re.compile(r"(?<=[a-z])([A-Z])")


def snake_case(name: str) -> str:
    """Convert ``pascalCase`` to ``pascal_case``."""
    return _camel_case.sub(r"_\1", name).lower()


class Namespace:
    """One-to-one mapping of objects to names. No name hides a builtin."""

    def __init__(self) -> None:
        self._names: dict[Any, str] = {}
        self._used: set[str] = set()
        self._counts: dict[str, int] = {}

    def create_name(self, candidate: str, obj: Any) -> str:
        """Return an unused name similar to ``candidate``, or the existing name of ``obj``."""
        if obj is not None and obj in self._names:
            return self._names[obj]
        match = _parts_of_name.match(candidate)
        if match is None:
            candidate = re.sub("[^0-9a-zA-Z_]+", "_", candidate) or "_unnamed"
            candidate = f"_{candidate}" if candidate[0].isdigit() else candidate
            match = _parts_of_name.match(candidate)
            assert match is not None
        base, digits = match.group(1, 2)
        number = int(digits or 0)
        if digits is None or candidate in self._used:
            number = self._counts.get(base, 0)
            if _illegal_names.get(candidate, obj) is not obj:
                number += 1
                candidate = f"{base}_{number}"
        while candidate in self._used:
            number += 1
            candidate = f"{base}_{number}"
        self._used.add(candidate)
        self._counts[base] = number
        if obj is not None:
            self._names[obj] = candidate
        return candidate

    def rename(self, obj: Any, name: str) -> None:
        """Give an object another name."""
        self._names[obj] = name
        self._used.add(name)


# Functions and types

_PUBLIC = ("flambeau", "flambeau.nn.functional", "flambeau.linalg", "flambeau.fft", "flambeau.special")
_paths_by_id: dict[int, tuple[Any, str | None]] = {}


def public_path(obj: Any) -> str | None:
    """Return the public dotted path of a function or class of flambeau, such as ``flambeau.nn.functional.relu``.

    Under the alias ``torch``, paths begin with ``torch``. A private module occurs in the path only if no
    public module contains the object. Returns None for objects of other libraries.
    """
    path = _path_in_flambeau(obj)
    return None if path is None else library_name() + path.removeprefix("flambeau")


def _path_in_flambeau(obj: Any) -> str | None:
    if isinstance(obj, OpOverload):
        return f"flambeau.ops.{obj}"
    if isinstance(obj, CustomOpDef):
        return f"flambeau.ops.{obj._qualname.replace('::', '.')}" if registry.get(obj._qualname) is obj else None
    known = _paths_by_id.get(id(obj))
    if known is None or known[0] is not obj:
        known = _paths_by_id[id(obj)] = (obj, _search(obj))
    return known[1]


def _search(obj: Any) -> str | None:
    module, name = own_module(obj), getattr(obj, "__qualname__", None)
    name = name if name and "<" not in name else getattr(obj, "__name__", None)
    if not name or module.partition(".")[0] != "flambeau":
        return None
    public = "flambeau.nn.functional" if name.startswith(("max_pool", "glu")) else module.partition("._")[0]
    for owner in dict.fromkeys((public, *_PUBLIC, module)):
        if _object_at(owner, name) is obj:
            return f"{owner}.{name}"
    return f"flambeau.Tensor.{name}" if vars(flambeau.Tensor).get(name) is obj else None


def _object_at(module: str, path: str) -> Any:
    if module not in sys.modules:
        try:
            importlib.import_module(module)
        except ImportError:
            return None
    value: Any = sys.modules[module]
    for part in path.split("."):
        value = getattr(value, part, None)
    return value


def _get_qualified_name(func: Callable[..., Any]) -> str:
    """Return the qualified name of a function. For a function of flambeau, this is its public path."""
    name: str = func.__name__
    if getattr(builtins, name, None) is func:
        return name
    if (path := public_path(func)) is not None:
        return path
    if name == "<lambda>":
        try:
            name = inspect.getsource(func).split("=")[0].strip()
        except Exception as error:
            raise RuntimeError("Unable to represent lambda") from error
    return f"{func.__module__}.{name}"


def type_repr(obj: Any) -> str:
    """Return a type's name in generated code."""
    if isinstance(obj, type) and getattr(obj, "__origin__", None) is None:  # isinstance(list[int], type) can be True
        if obj.__module__ == "builtins":
            return obj.__qualname__
        return public_path(obj) or f"{obj.__module__}.{obj.__qualname__}"
    if obj is ...:
        return "..."
    return obj.__name__ if isinstance(obj, types.FunctionType) else repr(obj)
