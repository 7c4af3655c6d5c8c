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


def test_importing_needs_numpy_alone() -> None:
    code = "import sys, flambeau.data; print(*(m for m in ('scipy', 'tqdm', 'flambeau.vision') if m in sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == []
