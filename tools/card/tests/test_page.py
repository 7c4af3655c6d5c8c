"""Tests of the command line and of the page, with stages that need no GPU."""

import sys
from pathlib import Path

import pytest

from .. import command_line, machine, page
from ..command_line import main
from ..steps import Stage, Step


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> dict[str, Stage]:
    def stage(name: str, code: str, missing: tuple[str, ...] = ()) -> Stage:
        step = Step("only | step", [sys.executable, "-c", code])
        return Stage(name, f"Title of {name}", lambda setting: [step], missing=lambda setting: list(missing))

    made = {
        "good": stage("good", "print('fine')"),
        "bad": stage("bad", "print('a\\nb'); raise SystemExit('wrong')"),
        "absent": stage("absent", "", ("compute-sanitizer is not found.",)),
    }
    for module in (command_line, page):
        monkeypatch.setattr(module, "STAGES", made)
    monkeypatch.setattr(machine, "describe", lambda setting: {"date": "today", "gpu": "none"})
    return made


@pytest.mark.usefixtures("stages")
def test_the_page_shows_all_stages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--output", str(tmp_path)]) == 1
    text = (tmp_path / "report.md").read_text()
    assert "| good | passed | 1 of 1 |" in text and "| bad | failed | 0 of 1 |" in text
    assert "| absent | unavailable |  | 0 s | compute-sanitizer is not found. |" in text
    assert "| only \\| step | passed |" in text and "    wrong" in text
    assert "absent: compute-sanitizer is not found." in capsys.readouterr().out


@pytest.mark.usefixtures("stages")
def test_selected_stages_determine_the_exit_status(tmp_path: Path) -> None:
    def status(*arguments: str) -> int:
        return main(["--output", str(tmp_path), *arguments])

    assert status("--stages", "good") == 0
    assert "| bad | not run |" in (tmp_path / "report.md").read_text()
    assert status("--stages", "absent,good") == 2
    assert status("--stages", "bad") == 1
    with pytest.raises(SystemExit):
        status("--stages", "other")


@pytest.mark.usefixtures("stages")
def test_steps_without_time_are_reported_as_cut_off(tmp_path: Path) -> None:
    assert main(["--output", str(tmp_path), "--stages", "good", "--minutes", "0"]) == 2
    assert (
        "| only \\| step | cut off | 0.0 s | not reached: the time was over |" in (tmp_path / "report.md").read_text()
    )
    assert main(["--output", str(tmp_path), "--stages", "good"]) == 0


@pytest.mark.usefixtures("stages")
def test_the_option_again_discards_earlier_results(tmp_path: Path, stages: dict[str, Stage]) -> None:
    assert main(["--output", str(tmp_path), "--stages", "bad"]) == 1
    stages["bad"] = Stage("bad", "Bad", stages["good"].steps)
    assert main(["--output", str(tmp_path), "--stages", "bad"]) == 1
    assert main(["--output", str(tmp_path), "--stages", "bad", "--again"]) == 0
