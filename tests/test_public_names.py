"""Tests that ``dir()`` of a namespace lists only names that flambeau defines, and no imports."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

import pytest

import flambeau as fb


def namespaces() -> list[str]:
    """Return the public packages below flambeau that work with the declared dependencies alone."""
    found = [module.name for module in pkgutil.walk_packages(fb.__path__, "flambeau.") if module.ispkg]
    optional = ("flambeau.torch", "flambeau.utils.tensorboard")
    return ["flambeau", *(name for name in found if "._" not in name and not name.startswith(optional))]


def foreign(module: ModuleType) -> list[str]:
    """Return imported modules, classes and functions that the module lists but does not declare public."""
    values = {name: getattr(module, name) for name in dir(module) if not name.startswith("_")}
    homes = {
        name: value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None) or "flambeau"
        for name, value in values.items()
        if name not in getattr(module, "__all__", ())
    }
    imported = [name for name, home in homes.items() if home.partition(".")[0] != "flambeau"]
    return imported + [name for name in ("TYPE_CHECKING",) if name in values]


@pytest.mark.parametrize("name", namespaces())
def test_dir_lists_no_imports(name: str) -> None:
    module = importlib.import_module(name)
    assert foreign(module) == []


@pytest.mark.parametrize("name", ["flambeau", "flambeau.nn", "flambeau.optim", "flambeau.autograd", "flambeau.fft"])
def test_dir_lists_public_names(name: str) -> None:
    module = importlib.import_module(name)
    listed = dir(module)
    assert set(getattr(module, "__all__", ["zeros", "Tensor", "float32", "pi", "nn", "optim"])) <= set(listed)
    assert {"__name__", "__file__"} <= set(listed) and all(hasattr(module, each) for each in listed)
