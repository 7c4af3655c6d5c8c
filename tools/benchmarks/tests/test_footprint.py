"""Tests of installed sizes and import times, with distributions that the tests create."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from .. import footprint


def install(site: Path, name: str, size: int, requires: Sequence[str] = (), editable: bool = False) -> None:
    """Install a distribution with one module of ``size`` bytes."""
    (site / f"{name}.py").write_text("#" * size)
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    required = "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{required}")
    (info / "RECORD").write_text(f"{name}.py,,\n{name}-absent.py,,\n")
    if editable:
        (info / "direct_url.json").write_text(json.dumps({"url": "file:///", "dir_info": {"editable": True}}))


def test_size_follows_requirements_but_not_extras_nor_numpy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    install(tmp_path, "top", 1000, ["Middle_Part>=1; python_version > '3'", "numpy", 'tool; extra == "tools"', "gone"])
    install(tmp_path, "middle_part", 200, ["top"])
    install(tmp_path, "tool", 50)
    install(tmp_path, "numpy", 7)
    assert footprint.installed_mb("top") == pytest.approx(1200e-6)


def test_the_size_includes_packages_without_the_metapackage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    install(tmp_path, "stack_core", 100)
    install(tmp_path, "stack_data", 10)
    assert footprint.installed_mb("stack") == pytest.approx(110e-6)


def test_an_editable_install_has_no_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    install(tmp_path, "top", 1000, editable=True)
    with pytest.raises(RuntimeError, match="top is an editable install"):
        footprint.installed_mb("top")


def test_import_time_and_memory_of_a_module_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "patient.py").write_text("import time\ntime.sleep(0.05)\nkept = bytearray(b'x' * 100_000_000)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert 50 <= footprint.import_ms("patient", repeats=1) < 10_000
    assert 100 <= footprint.resident_mb("patient", repeats=1) < 200


def test_a_module_that_fails_to_import_reports_the_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken.py").write_text("raise OSError('libnothing.so is missing')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(RuntimeError, match=r"libnothing\.so is missing"):
        footprint.import_ms("broken")
