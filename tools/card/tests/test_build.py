"""Tests of the stage `build` on a machine without a package index: its environment, and wheels without hatchling."""

import importlib.util
import subprocess
import sys
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

from ..programs import build_package, make_environment
from ..setting import ROOT


def test_the_environment_sees_the_packages_of_this_interpreter(tmp_path: Path) -> None:
    packages = make_environment.make(tmp_path / "venv")
    code = "import sys, numpy; print(sys.prefix); print(numpy.__file__)"
    command = [str(tmp_path / "venv" / "bin" / "python"), "-c", code]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert printed[0] == str(tmp_path / "venv") and packages.is_relative_to(tmp_path)
    assert Path(printed[1]) == Path(str(importlib.util.find_spec("numpy").origin))  # type: ignore[union-attr]


@pytest.mark.parametrize("package", ["nn", "flambeau"])
def test_wheels_built_with_setuptools_have_the_files_and_metadata_of_the_sources(package: str, tmp_path: Path) -> None:
    folder = build_package.with_setuptools(ROOT / "packages" / package, tmp_path / package)
    code = f"import setuptools.build_meta as backend; backend.build_wheel({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    sources = ROOT / "packages" / package / "src"
    expected = {str(path.relative_to(sources)) for path in sources.rglob("*") if path.is_file()}
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        (metadata,) = (archive.read(name).decode() for name in archive.namelist() if name.endswith("/METADATA"))
        entries = [archive.read(name).decode() for name in archive.namelist() if name.endswith("/entry_points.txt")]
    assert names == {name for name in expected if "__pycache__" not in name}
    about = message_from_string(metadata)
    assert about["Version"] == "0.1.0" and "flambeau-autograd==0.1.0" in about.get_all("Requires-Dist", [])
    assert package != "nn" or "flambeau.nn._gpu_work:everything" in entries[0]
