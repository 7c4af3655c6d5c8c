"""Tests that steps end within their time limits, and that a later run continues with the unfinished steps."""

import json
import sys
import time
from pathlib import Path

import pytest

from .. import results, running
from ..running import run_stage
from ..setting import Setting
from ..steps import Stage, Step


def program(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def notes(number: str, folder: Path) -> list[str]:
    """Return a program that counts its runs in a file and prints how many there were."""
    file = str(folder / number)
    return program(f"n = open({file!r}, 'a+'); n.write('x'); n.seek(0); print(len(n.read()))")


def run(stage: Stage, folder: Path, seconds: float = 60) -> results.Result:
    run_stage(stage, Setting(folder), time.monotonic() + seconds, lambda line: None)
    found = results.read(folder, stage.name)
    assert found is not None
    return found


@pytest.fixture(autouse=True)
def quick_description(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running.machine, "describe", lambda setting: {"date": "today"})


def test_the_outcome_of_a_step_follows_its_exit_status(tmp_path: Path) -> None:
    steps = [
        Step("good", program("print('first'); print('all is well')")),
        Step("bad", program("raise ValueError('a wrong result')")),
        Step("absent", program("print('no such library'); raise SystemExit(77)")),
        Step("killed", program("import os; os.kill(os.getpid(), 11)")),
        Step("no program", ["/nonexistent/program"]),
    ]
    result = run(Stage("any", "Any", lambda setting: steps, jobs=3), tmp_path)
    found = {name: (outcome["status"], outcome["note"]) for name, outcome in result["steps"].items()}
    assert found["good"] == ("passed", "all is well")
    assert found["bad"] == ("failed", "ValueError: a wrong result (exit status 1)")
    assert found["absent"] == ("unavailable", "no such library")
    assert found["killed"][0] == "failed" and found["killed"][1].endswith("(killed by signal 11)")
    assert found["no program"][0] == "failed" and "cannot be run: No such file" in found["no program"][1]
    assert "Traceback" in result["steps"]["bad"]["output"] and result["status"] == "failed"


def test_a_step_that_does_not_end_fails_at_its_time_limit(tmp_path: Path) -> None:
    grandchild = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"
    start = time.monotonic()
    result = run(Stage("any", "Any", lambda setting: [Step("endless", program(grandchild), seconds=1.5)]), tmp_path)
    assert result["steps"]["endless"]["status"] == "failed" and time.monotonic() - start < 60
    assert result["steps"]["endless"]["note"] == "no end after 2 s"


def test_an_interrupted_run_continues(tmp_path: Path) -> None:
    def stage(seconds: int) -> Stage:
        slow = program(f"import time; print('half', flush=True); time.sleep({seconds}); print('done')")
        steps = [Step("first", notes("first", tmp_path)), Step("slow", slow), Step("last", notes("last", tmp_path))]
        return Stage("any", "Any", lambda setting: steps)

    cut = run(stage(600), tmp_path, seconds=4)
    assert [cut["steps"][name]["status"] for name in ("first", "slow", "last")] == ["passed", "cut off", "cut off"]
    assert cut["steps"]["slow"]["note"].endswith("; last line: half")
    assert cut["status"] == "cut off" and cut["steps"]["last"]["note"].startswith("not reached")
    whole = run(stage(0), tmp_path)
    assert whole["status"] == "passed" and [step["note"] for step in whole["steps"].values()] == ["1", "done", "1"]


def test_failed_steps_are_kept_unless_later_ones_depend_on_them(tmp_path: Path) -> None:
    def stage(name: str, in_order: bool) -> Stage:
        steps = [Step("bad", program("raise SystemExit(3)")), Step("next", notes(name, tmp_path))]
        return Stage(name, "Any", lambda setting: steps, in_order=in_order)

    for _ in range(2):
        result = run(stage("free", False), tmp_path)
        assert result["steps"]["next"]["note"] == "1" and result["status"] == "failed"
        result = run(stage("ordered", True), tmp_path)
        assert list(result["steps"]) == ["bad"] and result["status"] == "cut off"


def test_exclusive_steps_do_not_overlap(tmp_path: Path) -> None:
    code = (
        f"import os, time; os.mkdir({str(tmp_path / 'held')!r}); time.sleep(0.2); os.rmdir({str(tmp_path / 'held')!r})"
    )
    steps = [Step(f"{number}", program(code), alone=True) for number in range(3)]
    assert run(Stage("any", "Any", lambda setting: steps, jobs=3), tmp_path)["status"] == "passed"


def test_a_stage_without_its_requirements_is_unavailable(tmp_path: Path) -> None:
    stage = Stage("any", "Any", lambda setting: [Step("a", program(""))], missing=lambda setting: ["There is no GPU."])
    result = run(stage, tmp_path)
    assert (result["status"], result["missing"], result["steps"]) == ("unavailable", ["There is no GPU."], {})


def test_a_damaged_result_is_measured_again(tmp_path: Path) -> None:
    stage = Stage("any", "Any", lambda setting: [Step("a", program("print(1)"))])
    for damaged in ("", "[1]", json.dumps({"stage": "any"})):
        (tmp_path / "any.json").write_text(damaged)
        assert run(stage, tmp_path)["status"] == "passed"
