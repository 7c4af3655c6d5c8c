"""Tests of the sentences that name what a machine lacks."""

import os
import sys
from pathlib import Path

import pytest

from .. import machine
from ..setting import Setting


def test_a_missing_driver_is_reported() -> None:
    found = machine.gpu_obstacle("libdriver-that-does-not-exist.so.1")
    assert found is not None and "There is no NVIDIA driver: libdriver-that-does-not-exist.so.1" in found


def test_a_missing_build_of_flambeau_is_reported(tmp_path: Path) -> None:
    expected = ["flambeau is not installed: run the stage build first."]
    assert machine.without_flambeau(Setting(tmp_path)) == expected
    assert machine.without_flambeau(Setting(tmp_path, given_python="/nonexistent")) == [
        "/nonexistent cannot import flambeau."
    ]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("raise ImportError", "PyTorch is not installed, so there is nothing to compare with."),
        ("class version: cuda = None\nclass cuda: is_available = lambda: False", "PyTorch is installed without CUDA"),
        ("class version: cuda = '13.0'\nclass cuda: is_available = lambda: False", "PyTorch for CUDA 13.0 cannot use"),
    ],
)
def test_pytorch_without_cuda_is_reported(
    source: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torch.py").write_text(source)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(machine, "without_gpu", lambda setting: [])
    (found,) = machine.without_pytorch(Setting(tmp_path, given_python=sys.executable))
    assert found.startswith(expected)


def test_a_missing_compute_sanitizer_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "without_gpu", lambda setting: [])
    monkeypatch.setattr(machine, "tool", lambda name: None)
    (found,) = machine.without_sanitizer(Setting(tmp_path))
    assert "compute-sanitizer is not found" in found


def test_programs_of_the_cuda_toolkit_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "compute-sanitizer"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", os.defpath)
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    assert machine.tool("compute-sanitizer") == str(program)
