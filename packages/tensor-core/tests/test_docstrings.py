"""The examples in docstrings run."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import flambeau as fb
from flambeau import _core
from flambeau._distributions import DISTRIBUTIONS, is_installed

# The paths of flambeau and flambeau.utils include other distributions.
HERE = Path(fb.__file__).parent
FOUND = list(pkgutil.walk_packages([str(HERE)], "flambeau."))
OWN = [module.name for module in FOUND if Path(getattr(module.module_finder, "path", "")).is_relative_to(HERE)]
MODULES = [name for name in OWN if not name.endswith("__main__")]


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


@pytest.mark.parametrize("name", MODULES)
def test_examples(name, tmp_path):
    if name.startswith("flambeau.cuda") and not fb.cuda.is_available():
        pytest.skip("needs a GPU")
    if name == "flambeau.utils.tensorboard":
        pytest.importorskip("tensorboardX")
    known = {"fb": fb, "flambeau": fb, "path": tmp_path / "saved"}
    run(doctest.DocTestFinder().find(importlib.import_module(name), extraglobs=known))


def test_examples_of_the_main_module():
    finder = doctest.DocTestFinder(recurse=False)
    # Operators have separate tests.
    functions = [value for value in vars(fb).values() if getattr(value, "__globals__", None) is vars(fb)]
    types = [value for value in vars(_core).values() if isinstance(value, type) and value.__module__ == "flambeau"]
    assert fb.Tensor in types and fb.is_tensor in functions
    for value in functions + types:
        run(finder.find(value, value.__name__, module=False, globs={"fb": fb, "flambeau": fb}))
