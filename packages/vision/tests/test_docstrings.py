from __future__ import annotations

import doctest
import importlib
import pkgutil
import subprocess
import sys

import pytest

import flambeau as fb
import flambeau.vision

MODULES = [module.name for module in pkgutil.walk_packages(flambeau.vision.__path__, "flambeau.vision.")]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name: str) -> None:
    if name == "flambeau.vision.models.feature_extraction":
        pytest.importorskip("flambeau.fx", reason="needs flambeau-export, which flambeau-vision does not require")
    assert doctest.testmod(importlib.import_module(name), extraglobs={"fb": fb}).failed == 0


def test_reading_a_dataset_imports_no_networks_and_no_network() -> None:
    code = "import sys; from flambeau.vision.datasets import Digits; Digits(); print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"flambeau.nn", "flambeau.autograd", "tqdm", "urllib.request"} & set(out.stdout.split())


def test_an_unknown_part_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"module 'flambeau.vision' has no attribute 'sounds'"):
        _ = flambeau.vision.sounds
    assert dir(flambeau.vision) == ["datasets", "io", "models", "ops", "transforms", "tv_tensors", "utils"]
