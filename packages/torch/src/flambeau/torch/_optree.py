"""Registration of flambeau's class for the registries of modules with the library optree.

The registries of a module (``_parameters``, ...) are plain dictionaries in PyTorch and a subclass of dict in flambeau.
optree recognises a container only by its exact class.
"""

import importlib.abc
import sys
from collections.abc import Iterable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

NAME = "optree"


def spec_of(path: Sequence[str] | None) -> ModuleSpec | None:
    """Return the import spec of the installed optree, with a loader that calls `register` after the import."""
    spec = PathFinder.find_spec(NAME, path)
    if spec is not None and spec.loader is not None:
        spec.loader = _Loader(spec.loader)
    return spec


def register() -> None:
    """Register the class for the registries of modules with optree, if optree is imported."""
    library: Any = sys.modules.get(NAME)
    if library is None:
        return
    from flambeau.nn.modules._registry import Registry

    everywhere = library.registry.__GLOBAL_NAMESPACE
    if library.register_pytree_node.get(Registry, namespace=everywhere) is None:
        library.register_pytree_node(Registry, _flatten, _unflatten, namespace=everywhere)


def _flatten(registry: dict[str, Any]) -> tuple[tuple[Any, ...], tuple[str, ...], tuple[str, ...]]:
    names = tuple(sorted(registry))  # optree sorts the keys of dictionaries
    return tuple(registry[name] for name in names), names, names


def _unflatten(names: tuple[str, ...], values: Iterable[Any]) -> dict[str, Any]:
    return dict(zip(names, values, strict=True))


class _Loader(importlib.abc.Loader):
    """Loader that calls `register` after the import of optree."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        register()
