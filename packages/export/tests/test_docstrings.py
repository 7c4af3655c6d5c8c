"""The examples in docstrings return the documented results."""

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import flambeau as fb
from flambeau import jit, nn

# flambeau.__path__ would include the other distributions, which this environment may share a folder with.
HERE = Path(jit.__file__).parents[1]
PACKAGES = ("_compile", "_tracing", "export", "fx", "jit", "onnx", "utils.flop_counter")
FOUND = [
    module.name
    for package in PACKAGES
    for module in pkgutil.walk_packages([str(HERE.joinpath(*package.split(".")))], f"flambeau.{package}.")
]
MODULES = ["flambeau.compiler", *(f"flambeau.{package}" for package in PACKAGES), *FOUND]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_export_docstrings_run(name):
    known = {"fb": fb, "flambeau": fb, "nn": nn}
    for example in doctest.DocTestFinder().find(importlib.import_module(name), extraglobs=known):
        assert doctest.DocTestRunner().run(example).failed == 0, example.name
