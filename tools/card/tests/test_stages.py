"""Tests that the stages interpret the output of their programs, and name programs and files that exist."""

import json
from pathlib import Path

import pytest

from ..setting import ROOT, Setting
from ..stages import STAGES, benchmark, build, examples, operator_tests, sanitizer
from ..steps import Ended

# As compute-sanitizer 2025.3 prints them (its documentation, "Sample output").
INVALID_READ = """========= COMPUTE-SANITIZER
========= Invalid __global__ read of size 4 bytes
=========     at row_kernel(float*)+0x40
=========     by thread (3,0,0) in block (0,0,0)
=========     Access at 0x7f6510c00003 is misaligned
========= ERROR SUMMARY: 1 error
"""
HAZARD = """========= COMPUTE-SANITIZER
========= Error: Race reported between Write access at sum(int*)+0xa0 in race.cu:14
=========     and Read access at sum(int*)+0x150 in race.cu:21 [508 hazards]
=========
========= RACECHECK SUMMARY: 1 hazard displayed (1 error, 0 warnings)
"""
CLEAN = "========= COMPUTE-SANITIZER\n3 results\n========= {}\n"
NO_ERROR, NO_HAZARD = "ERROR SUMMARY: 0 errors", "RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)"
UNSUPPORTED = "========= COMPUTE-SANITIZER\n========= Error: Device not supported. Please refer to the documentation.\n"


def ended(folder: Path, text: str, status: int) -> Ended:
    log = folder / "log"
    log.write_text(text)
    return Ended(status, log)


@pytest.mark.parametrize(
    ("checker", "text", "status", "expected"),
    [
        ("memcheck", CLEAN.format(NO_ERROR), 0, ("passed", "nothing found")),
        ("racecheck", CLEAN.format(NO_HAZARD), 0, ("passed", "nothing found")),
        ("memcheck", INVALID_READ, 86, ("failed", "Invalid __global__ read of size 4 bytes")),
        ("racecheck", HAZARD, 86, ("failed", "Race reported between Write access at sum(int*)+0xa0")),
        ("memcheck", UNSUPPORTED, 1, ("failed", "Device not supported")),
        ("memcheck", "", 1, ("failed", "no output")),
        ("memcheck", f"ValueError: wrong\n========= {NO_ERROR}\n", 1, ("failed", NO_ERROR)),
    ],
)
def test_reports_of_the_compute_sanitizer_are_parsed(
    checker: str, text: str, status: int, expected: tuple[str, str], tmp_path: Path
) -> None:
    outcome = sanitizer.outcome(checker, ended(tmp_path, text, status))
    assert outcome["status"] == expected[0] and expected[1] in outcome["note"]


def test_failed_tests_are_listed_with_their_first_line(tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    record.write_text(json.dumps({"t.py::a": None, "t.py::b": None, "t.py::c": "needs two GPUs"}))
    record.with_suffix(".failed").write_text("t.py::b: AssertionError: assert 1 == 2\n")
    outcome = operator_tests.outcome(record, ended(tmp_path, "", 1))
    assert (outcome["status"], outcome["note"]) == ("failed", "1 passed, 1 failed, 1 skipped")
    assert operator_tests.report({"t.py": outcome})[0] == "1 passed, 1 failed, 1 skipped."
    assert "- t.py::b: AssertionError: assert 1 == 2" in operator_tests.report({"t.py": outcome})


def test_a_crash_names_the_test_that_was_running(tmp_path: Path) -> None:
    text = "t.py::a PASSED\nt.py::b \nFatal Python error: Segmentation fault\n"
    outcome = operator_tests.outcome(tmp_path / "absent.json", ended(tmp_path, text, -11))
    assert outcome["note"] == "pytest ended during or after t.py::b (killed by signal 11)"


def test_the_test_stages_run_all_test_files(tmp_path: Path) -> None:
    names = {step.name for step in operator_tests.steps(Setting(tmp_path))}
    assert "tests/cuda/test_networks.py" in names and len(names) > 40
    files = {path.name for folder in operator_tests.FOLDERS for path in (ROOT / folder).iterdir()}
    assert files.issuperset((*operator_tests.EMULATED, *operator_tests.NOT_PARALLEL))


def test_a_missed_target_passes_and_a_missing_row_fails_the_stage(tmp_path: Path) -> None:
    row = {"group": "GPU, products", "name": "a @ b", "unit": "s", "subject_median": 2e-3, "baseline_median": 1e-3}
    row |= {"ratio": 2.0, "ratio_spread": [1.9, 2.1], "at_most": 1.05, "status": "missed", "note": None}
    file = tmp_path / "results.json"
    for status, expected in (("missed", "passed"), ("missing", "failed")):
        file.write_text(json.dumps({"workloads": [{**row, "status": status}]}))
        outcome = benchmark.outcome(file, ended(tmp_path, "", 1))
        assert outcome["status"] == expected and outcome["note"] == f"1 {status}"
    assert benchmark.line(row) == "| products: a @ b | 2 ms | 1 ms | 2.00 | 1.90 to 2.10 | 1.05 | missed |"
    assert benchmark.outcome(file, ended(tmp_path, "", 2))["status"] == "failed"


def test_every_example_with_a_device_has_settings() -> None:
    assert {path.stem for path in examples.with_device()} == set(examples.SETTINGS)


def test_packages_are_built_after_those_that_they_need() -> None:
    order = build.packages()
    assert order[0] in ("data", "tensor-core") and order[-1] == "flambeau"
    assert order.index("tensor-core") < order.index("autograd") < order.index("nn") < order.index("vision")


def test_a_kernel_that_does_not_compile_fails_the_build(tmp_path: Path) -> None:
    text = "[1/1] float32 exp\ncompiled 0 modules; 0 are in /cache\nfailed: float32 exp: NVRTC failed\n"
    outcome = build.compilation_outcome(ended(tmp_path, text, 0))
    assert outcome["status"] == "failed" and outcome["note"].startswith("failed: float32 exp: NVRTC failed")
    assert (
        build.compilation_outcome(ended(tmp_path, text.partition("failed")[0], 0))["note"]
        == "compiled 0 modules; 0 are in /cache"
    )


def test_stages_have_the_documented_names() -> None:
    documented = (ROOT / "docs" / "cuda.md").read_text()
    assert list(STAGES) == ["build", "smoke", "tests", "sanitizer", "benchmark", "examples", "stress"]
    assert all(f"| `{name}` |" in documented for name in STAGES)
