"""Tests that public functions, classes and operators have a docstring and an example, and that the examples run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import flambeau as fb
from flambeau._examples import examples
from flambeau._operator import OPERATOR_TYPES

EXCEPTIONS_FILE = Path(__file__).parent / "docstring_exceptions.toml"
REFERENCE = re.compile(r"\bSee `([\w.]+)`\.")
EXCEPTIONS: dict[str, dict[str, str]] = tomllib.loads(EXCEPTIONS_FILE.read_text())


def modules() -> list[str]:
    """Return the public modules, without the aliases for PyTorch's names."""
    found = [module.name for module in pkgutil.walk_packages(fb.__path__, "flambeau.", onerror=lambda name: None)]
    optional = ("flambeau.torch", "flambeau.utils.tensorboard")
    return ["flambeau", *(name for name in found if "._" not in name and not name.startswith(optional))]


def names(module: ModuleType) -> list[str]:
    declared = dir(module) if module is fb else getattr(module, "__all__", ())
    return [name for name in declared if not name.startswith("_")]


def is_documented_here(value: Any) -> bool:
    """Return True if a value is a function, class or operator of this library."""
    home = getattr(value, "__module__", None) or "flambeau"
    return callable(value) and not isinstance(value, ModuleType) and str(home).partition(".")[0] == "flambeau"


def documentation(value: Any) -> str:
    """Return the docstring, which classes do not inherit here."""
    return (vars(value).get("__doc__") if isinstance(value, type) else value.__doc__) or ""


def public() -> dict[str, Any]:
    """Return the public objects, each by the shortest of its names."""
    found: dict[int, tuple[str, Any]] = {}
    for name in modules():
        module = importlib.import_module(name)
        for attribute in names(module):
            value, path = getattr(module, attribute), f"{name}.{attribute}".removeprefix("flambeau.")
            if is_documented_here(value) and (id(value) not in found or len(path) < len(found[id(value)][0])):
                found[id(value)] = (path, value)
    return dict(found.values())


def refers_to_another(name: str, text: str) -> bool:
    """Return True if an object is an in-place form, or its docstring refers to an object with an example.

    The docstring contains "See `X`.", where X is relative to one of the modules that contain the object.
    """
    if name.endswith("_") and "In-place form of " in text:
        return True
    parts = name.split(".")
    modules = ["".join(f"{part}." for part in parts[:length]) for length in range(len(parts))]
    targets = [f"{module}{target}" for module in modules for target in REFERENCE.findall(text)]
    return any(">>>" in documentation(PUBLIC[target]) for target in targets if target in PUBLIC)


def listed(part: str) -> tuple[set[str], tuple[str, ...]]:
    """Return the exceptions in a part of the list: full names, and prefixes, which end with a dot."""
    entries = " ".join(EXCEPTIONS[part].values()).split()
    return {each for each in entries if not each.endswith(".")}, tuple(each for each in entries if each.endswith("."))


PUBLIC = public()


def test_every_public_object_has_a_docstring() -> None:
    undocumented = {name for name, value in PUBLIC.items() if not documentation(value).strip()}
    assert undocumented == listed("docstring")[0]


def test_every_public_object_has_an_example_or_a_listed_exception() -> None:
    texts = {name: documentation(value) for name, value in PUBLIC.items()}
    lacking = {name for name, text in texts.items() if ">>>" not in text and not refers_to_another(name, text)}
    exceptions, prefixes = listed("example")
    lacking = {name for name in lacking if not name.startswith(prefixes)}
    assert sorted(lacking - exceptions) == [], f"add an example, or a reason in {EXCEPTIONS_FILE.name}"
    assert sorted(exceptions - lacking) == [], f"remove these from {EXCEPTIONS_FILE.name}"


@pytest.mark.parametrize("name", examples())
def test_examples_of_operators_run(name: str) -> None:
    namespace = {"fb": fb, "flambeau": fb}
    example = doctest.DocTestParser().get_doctest(f"{examples()[name]}\n", namespace, name, None, None)
    assert example.examples
    assert doctest.DocTestRunner().run(example).failed == 0


def test_examples_belong_to_operators() -> None:
    documented = {text for value in PUBLIC.values() if isinstance(value, OPERATOR_TYPES) for text in [value.__doc__]}
    methods = {value.__doc__ for value in vars(fb.Tensor).values() if isinstance(value, OPERATOR_TYPES)}
    unused = [name for name, text in examples().items() if not any(text in doc for doc in documented | methods)]
    assert unused == []
