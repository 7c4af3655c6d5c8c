"""The examples in the docstrings of the modules for GPUs run."""

import doctest
import importlib
from pathlib import Path

import pytest

import flambeau as fb

FOLDER = Path(fb.cuda.__file__).parent
MODULES = sorted(path.stem for path in FOLDER.glob("*.py"))


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_cuda_docstrings_run(name, gpu):
    module = importlib.import_module("flambeau.cuda" if name == "__init__" else f"flambeau.cuda.{name}")
    for example in doctest.DocTestFinder().find(module, extraglobs={"fb": fb, "flambeau": fb}):
        assert doctest.DocTestRunner().run(example).failed == 0, example.name
