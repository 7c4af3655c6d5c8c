"""Tests of the tutorials without Jupyter: cells run in seconds without warnings, and plots have descriptions."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.documentation import ROOT, cells

TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
CPU_SECONDS = 60  # 10 seconds on two idle cores are at most 20; a busy machine needs up to three times as many
OPTIONAL = {"gymnasium", "matplotlib"}  # the extra "examples"
# At the end of a program: its own CPU time, without the time of the compilers that it starts.
PRINT_TIME = "\nimport resource\nprint(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))\n"

each_tutorial = pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)


def needed(program: str) -> set[str]:
    """Return the optional packages that a program imports, or that it needs to compile C++."""
    imported = {match[1] for match in re.finditer(r"^\s*(?:import|from) (\w+)", program, re.MULTILINE)}
    return OPTIONAL & imported | ({"pybind11"} if "cpp_extension" in program else set())


@each_tutorial
def test_the_cells_of_tutorials_run_in_seconds(path: Path, tmp_path: Path) -> None:
    program = "\n".join(code for _, code in cells(path))
    for package in needed(program):
        pytest.importorskip(package)
    if "pybind11" in needed(program) and shutil.which(os.environ.get("CXX", "c++")) is None:
        pytest.skip("needs a C++ compiler")
    (tmp_path / "program.py").write_text(program + PRINT_TIME, encoding="utf-8")
    # matplotlib warns of legends that take a second to place, as they may on a busy machine.
    command = [sys.executable, "-W", "error", "-W", "ignore:Creating legend", "program.py"]
    settings = {**os.environ, "MPLBACKEND": "Agg", "TORCH_EXTENSIONS_DIR": str(tmp_path / "extensions")}
    done = subprocess.run(command, cwd=tmp_path, env=settings, stdout=subprocess.PIPE, text=True, check=True)
    assert float(done.stdout.split()[-1]) < CPU_SECONDS


@each_tutorial
def test_tutorial_plots_have_a_text_description(path: Path) -> None:
    shown = [(options, code) for options, code in cells(path) if "plt." in code and not only_defines(code)]
    assert [code for options, code in shown if "    alt: " not in options] == []


def only_defines(code: str) -> bool:
    """Return True if a cell consists of definitions and imports."""
    kinds = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
    return all(isinstance(statement, kinds) for statement in ast.parse(code).body)


def test_every_tutorial_is_listed() -> None:
    listed = re.findall(r"\(tutorials/(\w+)\.md\)", (ROOT / "docs" / "README.md").read_text(encoding="utf-8"))
    assert sorted(listed) == [path.stem for path in TUTORIALS]
