from __future__ import annotations

import doctest
import importlib
import pkgutil
import subprocess
import sys

import pytest

import flambeau.data

MODULES = [module.name for module in pkgutil.iter_modules(flambeau.data.__path__, "flambeau.data.")]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_importing_needs_only_numpy() -> None:
    code = "import sys, flambeau.data; print(*(m for m in ('scipy', 'tqdm', 'flambeau.vision') if m in sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == []


def test_utils_data_is_an_alias() -> None:
    alias = importlib.import_module("flambeau.utils.data")
    assert all(getattr(alias, name) is getattr(flambeau.data, name) for name in flambeau.data.__all__)
    for module in pkgutil.iter_modules(alias.__path__, "flambeau.utils.data."):
        part = importlib.import_module(module.name)
        assert all(getattr(part, name) is getattr(flambeau.data, name) for name in part.__all__)


def test_unknown_names_suggest_the_closest_match(fb: object) -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'Dataloader'; did you mean 'DataLoader'\?$"):
        _ = flambeau.data.Dataloader  # type: ignore[attr-defined]
