from __future__ import annotations

import doctest
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from published_files import every_dataset

import flambeau as fb
import flambeau.vision

MODULES = [module.name for module in pkgutil.walk_packages(flambeau.vision.__path__, "flambeau.vision.")]


@pytest.fixture(scope="module")
def datasets_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write small datasets to a folder ``data``, and return the folder above it."""
    above = tmp_path_factory.mktemp("examples")
    every_dataset(above / "data")
    return above


@pytest.fixture
def in_datasets_folder(datasets_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run examples next to small datasets, so that ``download=True`` finds all files."""
    monkeypatch.chdir(datasets_folder)
    monkeypatch.setattr("flambeau.vision.datasets._download.download", None)


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.usefixtures("in_datasets_folder")
def test_examples_in_docstrings_run(name: str) -> None:
    if name == "flambeau.vision.models.feature_extraction":
        pytest.importorskip("flambeau.fx", reason="needs flambeau-export, which flambeau-vision does not require")
    runner = doctest.DocTestRunner()
    for example in examples(importlib.import_module(name)):
        assert runner.run(example).failed == 0, example.name


def examples(module: ModuleType) -> list[doctest.DocTest]:
    """Return the examples of a module, including those of decorated functions, which doctest.testmod ignores."""
    finder, namespace = doctest.DocTestFinder(), {**vars(module), "fb": fb}
    found = finder.find(module, globs=namespace)
    for name, value in vars(module).items():
        if hasattr(value, "__wrapped__") and value.__module__ == module.__name__:
            found += finder.find(value, f"{module.__name__}.{name}", module=False, globs=namespace)
    return found


def test_reading_a_dataset_imports_neither_models_nor_network_modules() -> None:
    code = "import sys; from flambeau.vision.datasets import Digits; Digits(); print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"flambeau.nn", "flambeau.autograd", "tqdm", "urllib.request"} & set(out.stdout.split())


def test_an_unknown_attribute_of_vision_raises_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"module 'flambeau.vision' has no attribute 'sounds'"):
        _ = flambeau.vision.sounds
    assert dir(flambeau.vision) == sorted(flambeau.vision.__all__)
