"""Test that the examples in docstrings run."""

import doctest
import importlib
import re
from pathlib import Path

import pytest

import flambeau as fb
from flambeau import _core
from flambeau._distributions import DISTRIBUTIONS, is_installed

# The folder of an installed flambeau may contain other distributions. The sources show the modules of tensor-core.
SOURCES = Path(__file__).parents[1] / "python" / "flambeau"
FILES = [path.relative_to(SOURCES).with_suffix("") for path in SOURCES.rglob("*.py") if path.name != "__main__.py"]
PARTS = [path.parent.parts if path.name == "__init__" else path.parts for path in FILES]
# The examples of flambeau.cuda need a GPU: cuda/test_docstrings.py runs them.
MODULES = sorted(".".join(("flambeau", *parts)) for parts in PARTS if parts and parts[0] != "cuda")


def uses_missing_packages(example: doctest.DocTest) -> bool:
    """Return True if an example uses a distribution above tensor-core that is not installed."""
    used = set(re.findall(r"\b(?:fb|flambeau)\.(\w+)", example.docstring))
    if "requires_grad=True" in example.docstring:
        used.add("autograd")
    return any(name in DISTRIBUTIONS and not is_installed(name) for name in used)


def run(found: list[doctest.DocTest]) -> None:
    for example in found:
        if not uses_missing_packages(example):
            assert doctest.DocTestRunner().run(example).failed == 0, example.name


@pytest.mark.parametrize("name", ["flambeau._core", *MODULES])
def test_examples_in_tensor_core_docstrings_run(name, tmp_path):
    if name.startswith("flambeau.utils.tensorboard"):
        pytest.importorskip("tensorboardX")
    known = {"fb": fb, "flambeau": fb, "path": tmp_path / "saved"}
    run(doctest.DocTestFinder().find(importlib.import_module(name), extraglobs=known))


def test_examples_of_the_main_module_run():
    finder = doctest.DocTestFinder(recurse=False)
    # Operators have separate tests.
    functions = [value for value in vars(fb).values() if getattr(value, "__globals__", None) is vars(fb)]
    types = [value for value in vars(_core).values() if isinstance(value, type) and value.__module__ == "flambeau"]
    assert fb.Tensor in types and fb.is_tensor in functions
    for value in functions + types:
        run(finder.find(value, value.__name__, module=False, globs={"fb": fb, "flambeau": fb}))
