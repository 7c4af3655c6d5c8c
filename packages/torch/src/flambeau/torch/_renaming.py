"""Renaming of flambeau's modules, classes and functions to PyTorch's names while the alias ``torch`` is installed."""

from __future__ import annotations

import copyreg
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

from flambeau import _core, _naming
from flambeau._tensor_types import tensortype
from flambeau.torch import _interface

_modules: dict[ModuleType, str] = {}  # renamed modules, with their former names
_files: set[ModuleType] = set()  # modules that are packages in PyTorch


# Pickle functions of these types. They store flambeau's names, so that programs without the alias can load the pickles.
_PICKLED: dict[type, Callable[[Any], tuple[Any, ...]]] = {
    **dict.fromkeys(
        (_core.dtype, _core.layout, _core.memory_format),
        lambda value: (_naming.member, (value.__reduce__(),)),
    ),
    _core.Size: lambda size: (_naming.member, ("Size", tuple(size))),
    _core.device: lambda device: (_naming.member, ("device", str(device))),
}


def start() -> None:
    """Make reprs of dtypes, devices and similar objects begin with ``torch``. Pickles keep flambeau's names."""
    _core._set_library_name("torch")
    for kind, reduce in _PICKLED.items():
        copyreg.pickle(kind, reduce)
    for name, returned in _core._return_types.items():  # operators can return these types before they are imported
        rename(returned, "torch.return_types", name)


def rename_module(module: ModuleType, path: str) -> None:
    """Rename a module, and its classes and functions, as in PyTorch. Relative imports in the module still work."""
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
    """Set ``__module__`` of a class or function to the ``__module__`` of PyTorch's ``path.name``."""
    entry = _interface.names_of(path).get(name)
    if entry is None or not isinstance(value, type | FunctionType | tensortype):
        return
    if value.__module__.partition(".")[0] == "flambeau":
        _naming.renamed[value] = value.__module__
        value.__module__ = entry.home


def undo() -> None:
    """Restore the names of all modules, classes and functions."""
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
