"""Tests that each public class and model has a test case, and that each operator is complete."""

from __future__ import annotations

import ast
import importlib
import runpy
import tomllib
from collections.abc import Callable, Iterable
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from flambeau import Tensor, _core, distributions, nn, optim
from flambeau._tracing._calls import DECOMPOSITIONS
from flambeau._tracing._recorder import Recorder
from flambeau.func import _rules as batching
from flambeau.func._batching import random as random  # registers every rule
from flambeau.func._dispatch import name_of as name_in_maps
from flambeau.jit._trace import Trace as ProgramTrace
from flambeau.onnx import _export as _export  # registers the converters
from flambeau.onnx._trace import Trace as FileTrace
from flambeau.optim import lr_scheduler
from flambeau.vision import models, transforms
from flambeau.vision.transforms import v2

ROOT = Path(__file__).resolve().parents[1]

# The members without a case, by the reason: a sentence, or the test file that uses them outside a table.
EXCEPTIONS = {
    "optimizers": {
        "base class": "Optimizer",
        "packages/optim/tests/test_lbfgs.py": "LBFGS",
        "packages/optim/tests/test_matrices.py": "Adafactor Muon",
        "packages/optim/tests/test_sparse_gradients.py": "SparseAdam",
    },
    "schedules": {
        "base class": "LRScheduler",
        "packages/optim/tests/test_lr_scheduler.py": (
            "ChainedScheduler CyclicLR OneCycleLR ReduceLROnPlateau SequentialLR"
        ),
    },
    "distributions": {"base class": "Distribution ExponentialFamily"},
    "transforms of distributions": {"base class": "Transform"},
    "layers": {
        "base class": "Module RNNBase RNNCellBase",
        "part of Transformer": "TransformerDecoder TransformerEncoder",
        "packages/nn/tests/test_attention_layers.py": (
            "AdaptiveLogSoftmaxWithLoss Embedding EmbeddingBag MultiheadAttention Transformer TransformerDecoderLayer "
            "TransformerEncoderLayer"
        ),
        "packages/nn/tests/test_containers.py": "ModuleDict ModuleList Sequential",
        "packages/nn/tests/test_functional_convolution.py": "Bilinear",
        "packages/nn/tests/test_functional_ctc.py": "CTCLoss",
        "packages/nn/tests/test_functional_losses.py": "CosineSimilarity PairwiseDistance",
        "packages/nn/tests/test_functional_pooling.py": (
            "FractionalMaxPool2d FractionalMaxPool3d MaxUnpool1d MaxUnpool2d MaxUnpool3d"
        ),
        "packages/nn/tests/test_parallel.py": "DataParallel",
        "packages/nn/tests/test_protocol.py": "Container ParameterDict ParameterList",
        "packages/nn/tests/test_recurrent.py": "GRUCell LSTMCell RNNCell",
    },
}


def public(*modules: ModuleType, base: type = object) -> dict[str, type]:
    """Return the public subclasses of a class in some modules, by name."""
    values = {name: getattr(module, name) for module in modules for name in module.__all__}
    return {name: value for name, value in values.items() if isinstance(value, type) and issubclass(value, base)}


def tables(file: str) -> dict[str, Any]:
    """Return the variables of a test file."""
    path = ROOT / file
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(path.parent)
        return runpy.run_path(str(path))


def kinds(values: Iterable[Any]) -> set[str]:
    return {type(value).__name__ for value in values}


def optimizer_cases() -> set[str]:
    return {rule.kind.__name__ for rule in tables("packages/optim/tests/update_rules.py")["RULES"]}


def schedule_cases() -> set[str]:
    cases = tables("packages/optim/tests/test_lr_scheduler.py")
    return kinds(make(cases["optimizer"]()) for make, _ in cases["SCHEDULES"].values())


def distribution_cases() -> set[str]:
    return kinds(make() for make, _ in tables("packages/distributions/tests/test_protocol.py")["ALL"].values())


def bijection_cases() -> set[str]:
    return kinds(value for value, _ in tables("packages/distributions/tests/test_transforms.py")["CASES"].values())


def layer_cases() -> set[str]:
    tests = "packages/nn/tests"
    modules = [layer.make() for layer in tables(f"{tests}/test_layers.py")["LAYERS"]]
    modules += [loss.module for loss in tables(f"{tests}/test_losses.py")["LOSSES"]]
    modules += tables(f"{tests}/test_functional_losses.py")["LAYERS"].values()
    modules += [make() for _, make in tables(f"{tests}/test_recurrent.py")["LAYERS"]]
    modules += [lazy() for lazy, *_ in tables(f"{tests}/test_lazy.py")["LAZY"]]
    return kinds(modules)


def names_in(*files: Path) -> set[str]:
    """Return the names and attributes in the code of some files."""
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return attributes | {node.id for node in nodes if isinstance(node, ast.Name)}


def transform_cases() -> set[str]:
    return names_in(*(ROOT / "packages/vision/tests").glob("*.py"))


def model_cases() -> set[str]:
    tests = "packages/vision/tests"
    published = (tables(f"{tests}/test_{part}.py")["PUBLISHED"] for part in ("models", "detection", "video"))
    return {*tables(f"{tests}/test_segmentation.py")["PARAMETERS"]}.union(*published)


class Family(NamedTuple):
    members: dict[str, Any]
    cases: Callable[[], set[str]]
    docstring: str = "."  # text that each docstring contains


EXAMPLE = ">>>"
IMAGES = {name: kind for name, kind in public(transforms, v2).items() if not issubclass(kind, Enum)}
FAMILIES = {
    "optimizers": Family(public(optim), optimizer_cases, EXAMPLE),
    "schedules": Family(public(lr_scheduler), schedule_cases, EXAMPLE),
    "distributions": Family(public(distributions, base=distributions.Distribution), distribution_cases, EXAMPLE),
    "transforms of distributions": Family(public(distributions, base=distributions.Transform), bijection_cases),
    "layers": Family(public(nn, base=nn.Module), layer_cases),
    "transforms of images": Family(IMAGES, transform_cases),
    "models": Family({name: models.get_model_builder(name) for name in models.list_models()}, model_cases, ""),
}
each_family = pytest.mark.parametrize("name", FAMILIES)


@each_family
def test_every_public_member_has_a_test_case_or_a_listed_exception(name: str) -> None:
    family, exceptions = FAMILIES[name], " ".join(EXCEPTIONS.get(name, {}).values()).split()
    cases = family.cases()
    assert sorted(family.members.keys() - cases - {*exceptions}) == []
    assert [member for member in exceptions if member in cases or member not in family.members] == []


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_listed_exceptions_are_tested_in_the_named_files(name: str) -> None:
    for reason, members in EXCEPTIONS[name].items():
        if reason.endswith(".py"):
            assert {*members.split()} - names_in(ROOT / reason) == set()


@each_family
def test_members_are_documented(name: str) -> None:
    family, bases = FAMILIES[name], EXCEPTIONS.get(name, {}).get("base class", "").split()
    texts = {member: vars(value).get("__doc__") or "" for member, value in family.members.items()}
    assert [member for member, text in texts.items() if family.docstring not in text and member not in bases] == []


@pytest.mark.parametrize("facade", [distributions, nn, optim], ids=lambda facade: facade.__name__)
def test_type_checkers_import_the_modules_that_load_on_first_use(facade: ModuleType) -> None:
    tree = ast.parse(Path(str(facade.__file__)).read_text())
    (block,) = (node.body for node in tree.body if isinstance(node, ast.If) and isinstance(node.test, ast.Name))
    imported = {node.module for node in block if isinstance(node, ast.ImportFrom) and node.module}
    assert imported == facade._NAMES.keys()


def public_operators() -> dict[str, Any]:
    """Return the public operators of the registry by their names with modules, such as ``linalg.det``."""
    for module in (
        "fft",
        "linalg",
        "nn.functional",
        "nn.grad",
        "signal",
        "special",
    ):  # these modules publish or register operators
        importlib.import_module(f"flambeau.{module}")
    names = [row["name"] for row in _core.pointwise_rows()]
    found = {name: getattr(_core, name) for name in names if not name.startswith("_")}
    for entry in _core.signatures():
        if not entry["name"].startswith("_") and not entry["name"].endswith("_"):
            found[qualified(entry)] = operator_of(entry)
    return found


def is_published_above(entry: dict[str, Any]) -> bool:
    """Return True if the operator is private here and another package publishes it."""
    return entry["module"] == _core.__name__


def operator_of(entry: dict[str, Any]) -> Any:
    """Return the function of an entry of the registry, or the method if it has no function."""
    if entry["module"] == "flambeau" and not entry["function"]:
        return getattr(Tensor, entry["name"])
    return getattr(
        importlib.import_module(entry["module"]), entry["attribute" if is_published_above(entry) else "name"]
    )


def qualified(entry: dict[str, Any]) -> str:
    """Return the name of an entry of the registry with its public module."""
    module = operator_of(entry).__module__ if is_published_above(entry) else entry["module"]
    return f"{module}.{entry['name']}".removeprefix("flambeau.")


def is_python(operator: Any) -> bool:
    """Return True if an operator is a Python function that calls other operators."""
    return getattr(operator, "__wrapped__", None) is not None


def derivative_cases() -> set[str]:
    cases = tables("packages/autograd/tests/test_every_operator.py")
    names, registry = {*cases["NAMES"]} - cases["NEEDS_A_GPU"], cases["REGISTRY"]
    in_table = {qualified(registry[name]) if name in registry else name for name in names}
    sampled = {sample.operator for sample in cases["SAMPLES"]}
    return in_table | {name for name, operator in OPERATORS.items() if operator in sampled}


def is_recorded(operator: Any, recorder: Recorder) -> bool:
    """Return True if an operator is recorded in traced programs, or decomposed into recorded operators."""
    name = recorder.name_of(operator)
    of_view = name.endswith("_copy") and hasattr(Tensor, name.removesuffix("_copy"))
    return is_python(operator) or of_view or recorder.has(name) or name in {*recorder.rules, *DECOMPOSITIONS}


def is_batched(operator: Any) -> bool:
    draws = "generator" in getattr(operator, "parameters", ())
    has_rule = name_in_maps(operator) in {*batching.rules, *batching.compositions}
    return is_python(operator) or draws or has_rule or getattr(operator, "batched", None) is not None


def having(test: Callable[[Any], bool]) -> Callable[[], set[str]]:
    return lambda: {name for name, operator in OPERATORS.items() if test(operator)}


OPERATORS = public_operators()
PROPERTIES = {
    "derivative": derivative_cases,
    "program": having(lambda operator: is_recorded(operator, ProgramTrace({}, {}))),
    "vmap": having(is_batched),
    "onnx": having(lambda operator: is_recorded(operator, FileTrace([]))),
    "example": having(lambda operator: EXAMPLE in (operator.__doc__ or "")),
}
# By property and reason, the operators without it.
LACKING_FILE = Path(__file__).parent / "completeness_exceptions.toml"
LACKING = tomllib.loads(LACKING_FILE.read_text())


@pytest.mark.parametrize("name", PROPERTIES)
def test_every_operator_has_a_property_test_or_a_listed_exception(name: str) -> None:
    lacking, listed = OPERATORS.keys() - PROPERTIES[name](), " ".join(LACKING[name].values()).split()
    where = f"[{name}] of {LACKING_FILE.name}"
    missing, needless = sorted(lacking - {*listed}), sorted({*listed} - lacking)
    assert not missing, f"add what these operators lack, or list them with a reason in {where}: {' '.join(missing)}"
    assert not needless, f"these operators lack nothing or do not exist, remove them from {where}: {' '.join(needless)}"
    assert len(listed) == len({*listed})
