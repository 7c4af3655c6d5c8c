"""The tests of the CUDA backend, one file at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from ..machine import without_gpu
from ..setting import ROOT, Setting
from ..steps import Ended, Outcome, Stage, Step, by_exit_status, failure

FOLDERS = ("packages/tensor-core/tests/cuda", "tests/cuda")
EMULATED = ("test_softmax.py", "test_scans.py")  # files that run on the emulated GPU
# These files measure free GPU memory, which other processes change.
NOT_PARALLEL = ("test_memory.py", "test_streams.py")
NOTHING_SELECTED = 5  # pytest's exit status


def steps(setting: Setting) -> list[Step]:
    files = [path for folder in FOLDERS for path in sorted((ROOT / folder).glob("test_*.py"))]
    chosen = [path for path in files if not setting.emulated or path.name in EMULATED]
    return [step(path, setting) for path in chosen]


def step(path: Path, setting: Setting) -> Step:
    """Return the step that runs a file of tests."""
    name = str(path.relative_to(ROOT))
    record = setting.work / "executed" / f"{name.replace('/', '-').removesuffix('.py')}.json"
    record.unlink(missing_ok=True)  # the record of an earlier run
    options = ["-v", "--tb=short", "--no-header", "-p", "no:cacheprovider", "-o", "faulthandler_timeout=120"]
    options += [f"--record-executed={record}", *(["--emulated-gpu"] if setting.emulated else [])]
    command = [setting.python, "-m", "pytest", name, *options]
    return Step(name, command, 300, alone=path.name in NOT_PARALLEL, read=partial(outcome, record))


def outcome(record: Path, ended: Ended) -> Outcome:
    """Return how many tests passed and were skipped, and the first line of each failure."""
    if not record.exists() or ended.status not in (0, 1, NOTHING_SELECTED):
        started = [line for line in ended.lines if "::" in line]
        return failure(ended, f"pytest ended during or after {started[-1]}" if started else "no test was run")
    tests = json.loads(record.read_text(encoding="utf-8"))
    skipped = sum(reason is not None for reason in tests.values())
    failed = record.with_suffix(".failed").read_text(encoding="utf-8").splitlines()
    counts = {"passed": len(tests) - skipped - len(failed), "failed": len(failed), "skipped": skipped}
    note = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    status = failure(ended, note) if failed or ended.status == 1 else by_exit_status(ended) | {"status": "passed"}
    return {**status, "note": note, **counts, "failures": failed}


def report(outcomes: Mapping[str, Outcome]) -> list[str]:
    """Return the totals and a list of the failed tests."""
    totals = {name: sum(o.get(name, 0) for o in outcomes.values()) for name in ("passed", "failed", "skipped")}
    lines = [", ".join(f"{count} {name}" for name, count in totals.items()) + "."]
    failures = [line for o in outcomes.values() for line in o.get("failures", [])]
    return [*lines, *(["", "Failed tests:", ""] if failures else []), *(f"- {line}" for line in failures)]


STAGE = Stage("tests", "Operator tests", steps, missing=without_gpu, jobs=10, emulated=True, report=report)
