"""Tests that a test that runs in no session is found, and that one that ran in another session does not run again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.executed.__main__ import find_unrun_tests, matches
from tools.executed.records import Record, read

ROOT = Path(__file__).resolve().parents[3]
FILE = """
import pytest

@pytest.mark.parametrize("n", [1, 2])
def test_a(n):
    if n == 2:
        pytest.skip("no two")

@pytest.mark.xfail
def test_b():
    assert False
"""


def run(path: Path, *options: str) -> None:
    own = ["-p", "tools.executed.plugin", "-p", "no:cacheprovider", f"--rootdir={path.parent}"]
    command = [sys.executable, "-m", "pytest", "-q", *own, *options, str(path)]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


@pytest.fixture
def record(tmp_path: Path) -> tuple[Path, Path]:
    """Run a test file; return its path and the folder of its record."""
    path = tmp_path / "test_file.py"
    path.write_text(FILE)
    run(path, f"--record-executed={tmp_path / 'records' / 'one.json'}")
    return path, tmp_path / "records"


def test_the_record_distinguishes_runs_from_skips(record: tuple[Path, Path]) -> None:
    expected: Record = {
        "test_file.py::test_a[1]": None,
        "test_file.py::test_a[2]": "no two",
        "test_file.py::test_b": None,
    }
    assert read(record[1]) == expected


def test_failures_are_listed_with_their_errors(tmp_path: Path) -> None:
    path = tmp_path / "test_file.py"
    path.write_text("def test_a(): pass\ndef test_b(): raise ValueError('wrong\\nat length')\n")
    with pytest.raises(subprocess.CalledProcessError):
        run(path, f"--record-executed={tmp_path / 'records' / 'one.json'}")
    command = [sys.executable, "-m", "tools.executed", str(tmp_path / "records"), "--failures"]
    printed = subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True).stdout
    assert printed == "Failed tests: 1\n  test_file.py::test_b: ValueError: wrong\n"


def test_only_tests_that_did_not_run_are_run_again(record: tuple[Path, Path]) -> None:
    path, folder = record
    path.write_text(FILE.replace("pytest.skip", "print"))
    options = [f"--not-executed-in={folder}", f"--record-executed={folder / 'two.json'}"]
    run(path, *options)
    assert read(folder)["test_file.py::test_a[2]"] is None


def test_a_test_that_never_ran_is_found() -> None:
    record: Record = {
        "a/test_x.py::test_one": None,
        "a/test_x.py::test_two[3]": "no GPU",
        "a/test_y.py": "no module",
        "a/test_z.py": "no module",
        "a/test_z.py::test_three": None,
    }
    files = ["a/test_w.py", "a/test_x.py", "a/test_y.py", "a/test_z.py"]
    found = find_unrun_tests(record, files)
    assert found == {
        "a/test_x.py::test_two[3]": "no GPU",
        "a/test_y.py": "no module",
        "a/test_w.py": "no session collects it",
    }


@pytest.mark.parametrize("pattern", ["a/test_x.py", "a/*", "a/test_x.py::test_two", "a/test_x.py::test_t*"])
def test_patterns_match_files_and_tests(pattern: str) -> None:
    assert matches("a/test_x.py::test_two[b::c]", pattern)
    assert not matches("b/test_x.py::test_two[3]", pattern)
