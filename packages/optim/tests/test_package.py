"""The facade is complete and says what is public; the examples in docstrings run."""

import doctest
import importlib
import importlib.util
import pkgutil
import subprocess
import sys

import pytest

import flambeau as fb
from flambeau import optim

MODULES = ["flambeau.optim", *(module.name for module in pkgutil.walk_packages(optim.__path__, "flambeau.optim."))]
MODULES.remove("flambeau.optim.swa_utils")  # needs flambeau-nn, and is tested beside it


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(name)
    finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner()
    for example in finder.find(module, extraglobs={"fb": fb}):
        assert runner.run(example).failed == 0, example.name


@pytest.mark.parametrize("module", [optim, optim.lr_scheduler], ids=lambda module: module.__name__)
def test_public_names_exist_and_are_documented(module):
    for name in module.__all__:
        assert getattr(module, name).__doc__, name


OF_PYTORCH = {
    "_adafactor": "Adafactor",
    "_muon": "Muon",
    "adadelta": "Adadelta",
    "adagrad": "Adagrad",
    "adam": "Adam",
    "adamax": "Adamax",
    "adamw": "AdamW",
    "asgd": "ASGD",
    "lbfgs": "LBFGS",
    "lr_scheduler": "StepLR",
    "nadam": "NAdam",
    "optimizer": "Optimizer",
    "radam": "RAdam",
    "rmsprop": "RMSprop",
    "rprop": "Rprop",
    "sgd": "SGD",
    "sparse_adam": "SparseAdam",
}


def test_the_modules_of_pytorch_have_their_classes():
    lines = (f"from torch.optim.{module} import {name} as _{name}" for module, name in OF_PYTORCH.items())
    same = (f"assert _{name} is torch.optim.{name}" for name in OF_PYTORCH.values() if name != "StepLR")
    program = "\n".join(["import torch", *lines, *same])
    subprocess.run([sys.executable, "-m", "flambeau.torch", "-c", program], check=True)


def test_averages_of_models_ask_for_their_package():
    if importlib.util.find_spec("flambeau.nn") is not None:
        pytest.skip("flambeau-nn is installed here")
    with pytest.raises(ImportError, match="flambeau-nn"):
        _ = optim.swa_utils
