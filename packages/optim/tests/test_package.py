"""The public names of the package, and the examples in its docstrings."""

import doctest
import importlib
import importlib.util
import pkgutil

import pytest

import flambeau as fb
from flambeau import optim

MODULES = ["flambeau.optim", *(module.name for module in pkgutil.walk_packages(optim.__path__, "flambeau.optim."))]
MODULES.remove("flambeau.optim.swa_utils")  # needs flambeau-nn and is tested with it


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_optim_docstrings_run(name):
    module = importlib.import_module(name)
    finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner()
    for example in finder.find(module, extraglobs={"fb": fb}):
        assert runner.run(example).failed == 0, example.name


@pytest.mark.parametrize("module", [optim, optim.lr_scheduler], ids=lambda module: module.__name__)
def test_public_names_of_optim_exist_and_are_documented(module):
    for name in module.__all__:
        assert getattr(module, name).__doc__, name


def test_swa_utils_name_a_missing_package():
    if importlib.util.find_spec("flambeau.nn") is not None:
        pytest.skip("flambeau-nn is installed here")
    with pytest.raises(ImportError, match="flambeau-nn"):
        _ = optim.swa_utils
