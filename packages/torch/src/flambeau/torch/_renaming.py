"""Modules, classes and functions of flambeau have the names of PyTorch's while a program imports them as ``torch``."""

from __future__ import annotations

import copyreg
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

from flambeau import _core, _naming
from flambeau._tensor_types import tensortype
from flambeau.torch import _interface

_modules: dict[ModuleType, str] = {}  # and what they were called
_files: set[ModuleType] = set()  # modules that are packages in PyTorch


# Pickles name what these are in flambeau, so that a program that does not know the name torch can read them.
_PICKLED: dict[type, Callable[[Any], tuple[Any, ...]]] = {
    **dict.fromkeys(
        (_core.dtype, _core.layout, _core.memory_format),
        lambda value: (_naming.member, (value.__reduce__(),)),
    ),
    _core.Size: lambda size: (_naming.member, ("Size", tuple(size))),
    _core.device: lambda device: (_naming.member, ("device", str(device))),
}


def start() -> None:
    """Let texts of the core begin with ``torch``, and pickles hold its values under flambeau's names."""
    _core._set_library_name("torch")
    for kind, reduce in _PICKLED.items():
        copyreg.pickle(kind, reduce)
    for name, returned in _core._return_types.items():  # operators return these before anything asks for their types
        rename(returned, "torch.return_types", name)


def rename_module(module: ModuleType, path: str) -> None:
    """Give a module PyTorch's name, and with it what PyTorch has there, too. Relative imports do not depend on it."""
    if module.__name__.partition(".")[0] == "flambeau" and module.__name__ != "flambeau":
        _modules[module] = module.__name__
        module.__name__ = path
    if not hasattr(module, "__path__") and _interface.has_submodules(path):
        _files.add(module)
        module.__path__ = []
    for name in _interface.names_of(path):
        if name in vars(module):
            rename(vars(module)[name], path, name)


def rename(value: Any, path: str, name: str) -> None:
    """Let a class or function that PyTorch has as ``path.name`` say that it is defined where PyTorch's is."""
    entry = _interface.names_of(path).get(name)
    if entry is None or not isinstance(value, type | FunctionType | tensortype):
        return
    if value.__module__.partition(".")[0] == "flambeau":
        _naming.renamed[value] = value.__module__
        value.__module__ = entry.home


def undo() -> None:
    """Give all modules, classes and functions their names in flambeau again."""
    _core._set_library_name("flambeau")
    for module, name in _modules.items():
        module.__name__ = name
    for value, name in _naming.renamed.items():
        value.__module__ = name
    for module in _files:
        del module.__path__
    for kind in _PICKLED:
        del copyreg.dispatch_table[kind]
    _modules.clear()
    _files.clear()
    _naming.renamed.clear()
