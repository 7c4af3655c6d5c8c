"""The public modules of flambeau, and the module in which each public object is documented."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import flambeau


@dataclass
class Namespace:
    """Public module: the objects that it documents, and the names of objects that another module documents."""

    name: str
    module: ModuleType
    own: dict[str, Any] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)


def namespaces() -> list[Namespace]:
    """Return the public modules with objects, sorted by name.

    An object is documented in the outermost module that lists it: ``flambeau.nn.Conv2d`` rather than
    ``flambeau.nn.modules.conv.Conv2d``.
    """
    homes: dict[int, str] = {}
    result = []
    for name in sorted(module_names(), key=lambda name: (name.count("."), name)):
        namespace = Namespace(name, load(name))
        for attribute, value in public(namespace.module, homes):
            full = f"{name}.{attribute}"
            home = full if is_constant(value) else homes.setdefault(id(value), full)
            if home == full:
                namespace.own[attribute] = value
            else:
                namespace.aliases[attribute] = home
        if any(not is_constant(value) for value in namespace.own.values()) or name == "flambeau":
            result.append(namespace)
    return sorted(result, key=lambda namespace: namespace.name)


def module_names() -> Iterator[str]:
    """Yield the modules whose names are public."""
    yield "flambeau"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for module in pkgutil.walk_packages(flambeau.__path__, "flambeau.", onerror=lambda name: None):
            if "._" not in module.name:
                yield module.name


def load(name: str) -> ModuleType:
    """Import a module without its warnings, for example about deprecated names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


def public(module: ModuleType, homes: dict[int, str]) -> Iterator[tuple[str, Any]]:
    """Yield the public names of a module with their values, without submodules.

    A module without ``__all__`` whose objects an outer module lists has no further public names.
    """
    declared = getattr(module, "__all__", None)
    is_package = hasattr(module, "__path__")
    values = {
        name: value
        for name in (declared or dir(module))
        if not name.startswith("_") and not isinstance(value := getattr(module, name, None), ModuleType)
    }
    members = {name: value for name, value in values.items() if declared or is_package or belongs_to(value, module)}
    if declared is None and not is_package and any(is_documented(value, homes) for value in members.values()):
        return
    for name, value in sorted(members.items()):
        if not (is_constant(value) and declared is None and not is_package) and is_ours(value):
            yield name, value


def belongs_to(value: Any, module: ModuleType) -> bool:
    """Return True if a module defines an object."""
    return getattr(value, "__module__", None) == module.__name__


def is_documented(value: Any, homes: dict[int, str]) -> bool:
    """Return True if an earlier module documents an object."""
    return not is_constant(value) and id(value) in homes


def is_constant(value: Any) -> bool:
    """Return True if a value is neither a class nor callable."""
    return not (inspect.isclass(value) or callable(value))


def is_ours(value: Any) -> bool:
    """Return True if an object belongs to flambeau, not to another library."""
    home = getattr(value, "__module__", None)
    return not isinstance(home, str) or home.partition(".")[0] == "flambeau"
