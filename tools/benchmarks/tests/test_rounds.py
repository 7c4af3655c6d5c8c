"""Tests with real worker processes and a library of a few lines, which lacks most functions and can crash."""

import json
import os
from pathlib import Path

import pytest

from .. import process, rounds
from ..command_line import ALL_MET, NOT_ALL_MET, NOT_RUN, main
from ..process import Settings, Side, UnusableLibraryError, describe, readings
from ..workload import Workload
from ..workloads import WORKLOADS

LIBRARY = """
import os
import time
import numpy

__version__ = "1.0"
print("a library that prints")

def tensor(values):
    return numpy.asarray(values)

def zeros(*shape):
    return numpy.zeros(shape, numpy.float32)

def softmax(x, dim):
    os.abort()

def cat(tensors):
    time.sleep(60)
"""

QUICK = Settings(threads=1, quick=True)


@pytest.fixture
def side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Side:
    (tmp_path / "sparse_tensors.py").write_text(LIBRARY)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    return Side("sparse_tensors")


def chosen(*names: str) -> list[Workload]:
    return [row for row in WORKLOADS if row.group == "small operators" and row.name in names]


def test_a_library_reports_its_name_and_version(side: Side) -> None:
    assert describe(side, QUICK)["version"] == "1.0"


def test_the_error_names_a_missing_library(side: Side) -> None:
    with pytest.raises(UnusableLibraryError, match="No module named 'no_such_library'"):
        describe(Side("no_such_library"), QUICK)
    with pytest.raises(UnusableLibraryError, match="/no/such/python cannot be run"):
        describe(Side("sparse_tensors", "/no/such/python"), QUICK)


def test_a_missing_operator_or_a_crash_affects_only_its_workload(side: Side) -> None:
    keys = [f"small operators: {name}" for name in ("a + b", "a.exp()", "softmax(a, 1)", "zeros(4, 4)")]
    found = {reading["key"]: reading for reading in readings(side, QUICK, keys)}
    assert set(found) == set(keys)
    assert "has no attribute 'exp'" in found["small operators: a.exp()"]["missing"]
    assert found["small operators: softmax(a, 1)"]["missing"] == "the process died of SIGABRT"
    assert 0 < found["small operators: a + b"]["value"] < 1e-3
    assert 0 < found["small operators: zeros(4, 4)"]["value"] < 1e-3


def test_a_workload_that_hangs_is_ended(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "SECONDS_PER_WORKLOAD", 1.5)
    (reading,) = readings(side, QUICK, ["small operators: cat([a, b])"])
    assert reading["missing"].startswith("the process was killed")


def test_rounds_alternate_and_skip_missing_workloads(side: Side) -> None:
    steps: list[str] = []
    selected = chosen("a + b", "a.exp()")
    rows = rounds.run(selected, side, {"": side}, QUICK, 2, steps.append)
    measured = [f"sparse_tensors, {row.key}" for row in selected]
    assert steps == [*measured, *measured, measured[0], "sparse_tensors", measured[0], "sparse_tensors"]
    assert [len(values) for values in rows[0].values] == [2, 2]
    assert rows[1].status == "missing"


def test_the_command_prints_a_report_and_returns_an_exit_status(
    side: Side, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    same = ["--subject", side.library, "--baseline", side.library, "--output", str(output), "--quick", "--rounds", "1"]
    assert main([*same, "--only", "operators: zeros.4, 4"]) == NOT_ALL_MET
    result = json.loads((output / "results.json").read_text())
    assert [row["status"] for row in result["workloads"]] == ["missed"]
    assert "0 of 1 targets met" in capsys.readouterr().out
    assert main([*same, "--only", r"\(10, 1000\)|a\.t\(\)|a \+ 1"]) == ALL_MET


def test_selecting_no_workload_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "no such workload"]) == NOT_RUN
    assert main(["--subject", "no_such_library"]) == NOT_RUN
    assert "no_such_library cannot be imported" in capsys.readouterr().err


def test_every_key_is_unique_and_rows_with_a_unit_have_targets() -> None:
    keys = [row.key for row in WORKLOADS]
    assert len(set(keys)) == len(keys)
    assert all(row.at_most for row in WORKLOADS if row.unit is not None and not row.baselines)
