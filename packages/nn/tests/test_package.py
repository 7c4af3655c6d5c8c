"""The public names of the package, and the examples in its docstrings."""

import doctest
import importlib
import pickle
import pkgutil
import subprocess
import sys
import typing

import pytest

import flambeau as fb
from flambeau import nn

MODULES = ["flambeau.nn", *(module.name for module in pkgutil.walk_packages(nn.__path__, "flambeau.nn."))]
# Modules of other distributions that the examples of a module use.
NEEDED = {"flambeau.nn.parallel.distributed": "flambeau.distributed", "flambeau.nn._leaf_functions": "flambeau.fx"}


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_nn_docstrings_run(name):
    if name in NEEDED:
        pytest.importorskip(NEEDED[name], reason="its distribution is not required by flambeau-nn")
    module = importlib.import_module(name)
    finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner()
    for example in finder.find(module, extraglobs={"fb": fb, "nn": nn}):
        assert runner.run(example).failed == 0, example.name


@pytest.mark.parametrize("name", [f"max_pool{dims}d_with_indices" for dims in (1, 2, 3)])
def test_examples_of_wrapped_operators_run(name):  # doctest does not find a function that wraps an operator
    text = getattr(nn.functional, name).__doc__
    example = doctest.DocTestParser().get_doctest(text, {"fb": fb, "nn": nn}, name, None, None)
    assert example.examples and doctest.DocTestRunner().run(example).failed == 0


@pytest.mark.parametrize("module", [nn, nn.functional, nn.init, nn.utils], ids=lambda module: module.__name__)
def test_public_names_of_nn_exist_and_are_documented(module):
    for name in module.__all__:
        assert getattr(module, name).__doc__, name


@pytest.mark.parametrize(
    "path",
    [
        "activation.MultiheadAttention",
        "batchnorm._BatchNorm",
        "container.ParameterList",
        "conv._ConvNd",
        "instancenorm._InstanceNorm",
        "lazy.LazyModuleMixin",
        "linear.NonDynamicallyQuantizableLinear",
        "loss._WeightedLoss",
        "module.register_module_forward_hook",
        "rnn.RNNBase",
        "utils._pair",
    ],
)
def test_base_classes_can_be_imported_from_the_modules_of_pytorch(path):
    module, _, name = path.partition(".")
    assert hasattr(importlib.import_module(f"flambeau.nn.modules.{module}"), name)
    assert hasattr(getattr(nn.modules, module), name)


def test_layers_are_defined_in_the_modules_of_pytorch():
    assert nn.Conv2d.__module__ == "flambeau.nn.modules.conv"
    assert nn.modules.Conv2d is nn.Conv2d
    with pytest.raises(AttributeError, match="has no attribute 'Convolution'"):
        nn.Convolution  # noqa: B018


CLASSES_OF_A_PROGRAM = """
import flambeau as fb
from flambeau import nn

nn.Linear(2, 2)(fb.ones(1, 2)).sum().backward()
pending = [fb.Tensor]
while pending:
    kind = pending.pop()
    pending += kind.__subclasses__()
    if kind is not fb.Tensor and kind.__torch_function__ is not fb.overrides._disabled_torch_function_impl:
        print(kind)
"""


def test_programs_with_layers_load_no_class_that_defines_torch_function():
    """Check it in a new process. As soon as such a class is loaded, every operator call is slower."""
    process = subprocess.run([sys.executable, "-c", CLASSES_OF_A_PROGRAM], capture_output=True, text=True)
    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")


def test_annotation_types_of_layers_can_be_imported():
    from flambeau.nn.common_types import _ratio_3_t, _size_2_t, _size_any_opt_t

    assert typing.get_args(_size_2_t) == (int, tuple[int, int])
    assert typing.get_args(_ratio_3_t) == (float, tuple[float, float, float])
    assert typing.get_args(_size_any_opt_t) == (int, type(None), tuple[int | None, ...])


def test_functions_of_tensor_core_are_pickled_by_their_public_names():
    for function in (nn.functional.pad, nn.functional.interpolate, nn.grad.conv2d_weight):
        assert function.__module__.startswith("flambeau.nn.")
        assert pickle.loads(pickle.dumps(function)) is function
    with pytest.raises(TypeError, match="must be a str"):
        nn.functional.pad.__module__ = 3
