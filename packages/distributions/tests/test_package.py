"""Test that every public name is documented and can be loaded, and that the examples in docstrings run."""

import doctest
import importlib
import pkgutil

import pytest

import flambeau as fb
from flambeau import distributions

MODULES = [
    "flambeau.distributions",
    *(module.name for module in pkgutil.walk_packages(distributions.__path__, "flambeau.distributions.")),
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_distributions_run(name):
    module = importlib.import_module(name)
    finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner()
    for example in finder.find(module, extraglobs={"fb": fb}):
        assert runner.run(example).failed == 0, example.name


@pytest.mark.parametrize("name", distributions.__all__)
def test_public_names_are_documented(name):
    value = getattr(distributions, name)
    assert value.__doc__
    if isinstance(value, type):
        assert value.__module__.startswith("flambeau.distributions.")


def test_modules_are_attributes_and_unknown_names_raise():
    for name in ("constraints", "kl", "normal", "transforms", "utils"):
        assert getattr(distributions, name).__name__ == f"flambeau.distributions.{name}"
    with pytest.raises(AttributeError, match="has no attribute 'Gauss'"):
        distributions.Gauss  # noqa: B018
    with pytest.raises(AttributeError, match=r"no attribute 'Norml'; did you mean 'Normal'\?$"):
        distributions.Norml  # noqa: B018


def test_the_package_lists_every_module():
    listed = {*distributions._NAMES, *distributions._SUBMODULES}
    found = {module.name for module in pkgutil.iter_modules(distributions.__path__) if not module.name.startswith("_")}
    assert listed == found
