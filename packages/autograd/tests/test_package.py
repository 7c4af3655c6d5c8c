"""The installed package: its public names, its examples, and tensor-core's errors if it is not installed."""

import doctest
import importlib
import pkgutil
import subprocess
import sys
import textwrap
from importlib import metadata
from pathlib import Path

import pytest

import flambeau
from flambeau import autograd, func, library, profiler

BLOCKED = """
    import sys
    import flambeau as fb

    sys.meta_path.insert(0, sys.meta_path[-1])  # the finder that reports missing packages

    x = fb.ones(3)
    assert (x * 2).sum().item() == 6 and not x.requires_grad

    def message(call):
        try:
            call()
        except ImportError as error:
            return str(error)
        raise AssertionError("no ImportError")

    for call in (
        lambda: fb.ones(3, requires_grad=True),
        lambda: x.requires_grad_(),
        lambda: setattr(x, "requires_grad", True),
        lambda: x.backward(),
        lambda: x.register_hook(print),
        lambda: fb.autograd,
    ):
        assert "flambeau-autograd" in message(call), call
    assert not x.requires_grad and x.requires_grad_(False) is x
    with fb.no_grad():
        x += 1
    assert x.tolist() == [2, 2, 2]
"""


def run(program):
    return subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=600)


def test_without_autograd_backward_names_the_package_to_install():
    done = run(BLOCKED)
    assert done.returncode == 0, done.stderr


def test_importing_flambeau_does_not_load_autograd():
    done = run("""
        import sys, flambeau as fb
        (fb.ones(3) * 2).sum()
        assert "flambeau.autograd" not in sys.modules
        fb.ones(3, requires_grad=True)
        assert "flambeau.autograd" in sys.modules
    """)
    assert done.returncode == 0, done.stderr


PACKAGES = (autograd, func, library, profiler)


@pytest.mark.parametrize("module", PACKAGES, ids=lambda m: m.__name__)
def test_public_names_of_autograd_exist_and_are_documented(module):
    assert all(getattr(module, name).__doc__ for name in module.__all__)


MODULES = [
    *PACKAGES,
    *(
        importlib.import_module(found.name)
        for package in PACKAGES
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    ),
]


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.__name__)
def test_examples_in_autograd_docstrings_run(module):
    examples = doctest.DocTestFinder().find(module, extraglobs={"fb": flambeau, "flambeau": flambeau})
    for example in examples:
        if ".nn." in example.docstring:  # the example uses modules, which are in another distribution
            pytest.importorskip("flambeau.nn")
        assert doctest.DocTestRunner().run(example).failed == 0, example.name


def test_the_example_of_the_readme_runs():
    readme = (
        metadata.metadata("flambeau-autograd").get_payload() or metadata.metadata("flambeau-autograd")["Description"]
    )
    source = Path(__file__).parent.parent / "README.md"
    text = source.read_text() if source.exists() else readme
    examples = doctest.DocTestParser().get_doctest(text.replace("```", ""), {}, "README.md", "README.md", 0)
    assert examples.examples
    assert doctest.DocTestRunner().run(examples).failed == 0
