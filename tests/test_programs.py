"""Programs written for PyTorch, in tests/programs, run unchanged: ``python -m flambeau.torch program.py``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = sorted((Path(__file__).parent / "programs").glob("*.py"))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.stem)
def test_program(program: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-m", "flambeau.torch", "--report", str(program)]
    done = subprocess.run(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.stem)
def test_a_program_knows_nothing_of_flambeau(program: Path) -> None:
    text = program.read_text()
    assert "flambeau" not in text and "import torch" in text and "assert" in text
