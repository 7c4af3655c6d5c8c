"""The page: the results of all stages as one Markdown file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from . import results
from .results import Result
from .stages import STAGES
from .steps import CUT_OFF, FAILED, PASSED, Outcome, Stage

NAME = "report.md"
OUTPUT_LINES = 15  # number of lines that the page shows of the output of a failed step


def write(output: Path) -> Path:
    """Write the page of all results in a folder and return its path."""
    results_of_stages = [(stage, results.read(output, stage.name)) for stage in STAGES.values()]
    lines = ["# Verification of flambeau's CUDA backend", "", *summary(results_of_stages)]
    for stage, result in results_of_stages:
        if result is not None:
            lines += ["", f"## {stage.title}", "", *section(stage, result)]
    output.mkdir(parents=True, exist_ok=True)
    path = output / NAME
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def summary(stages: list[tuple[Stage, Result | None]]) -> list[str]:
    """Return a table with a row for each stage, and the machines on which they ran."""
    rows = ["| stage | status | steps passed | time | |", "|---|---|---|---|---|"]
    for stage, result in stages:
        if result is None:
            rows.append(f"| {stage.name} | not run | | | |")
            continue
        passed = sum(outcome["status"] == PASSED for outcome in result["steps"].values())
        count = f"{passed} of {len(result['steps'])}" if result["steps"] else ""
        cells = [stage.name, result["status"], count, f"{result['seconds']:.0f} s", " ".join(result["missing"])]
        rows.append(f"| {' | '.join(map(cell, cells))} |")
    return [*rows, "", *machines([result for _, result in stages if result is not None])]


def machines(all_results: list[Result]) -> list[str]:
    """Return a paragraph for each machine, with the stages that ran there."""
    stages: dict[str, list[str]] = {}
    for result in all_results:
        about = {name: value for name, value in result["machine"].items() if name != "date" and value}
        text = "; ".join(f"{name}: {value}" for name, value in about.items())
        stages.setdefault(text, []).append(f"{result['stage']} ({result['machine']['date']})")
    return [line for text, names in stages.items() for line in (f"{', '.join(names)}: {text}", "")][:-1]


def section(stage: Stage, result: Result) -> list[str]:
    """Return the lines of a stage: its own report or a table of its steps, and the output of failed steps."""
    outcomes: Mapping[str, Outcome] = result["steps"]
    lines: list[str] = [f"Status: {result['status']}."] + result["missing"]
    if result["missing"] and not outcomes:
        return lines
    report = stage.report(outcomes) if stage.report else []
    return [*lines, "", *report, *([""] if report else []), *table(outcomes), *failures(outcomes)]


def table(outcomes: Mapping[str, Outcome]) -> list[str]:
    """Return a table of steps. Steps that failed or were cut off come first."""
    order = [FAILED, CUT_OFF]
    rank = {name: order.index(o["status"]) if o["status"] in order else len(order) for name, o in outcomes.items()}
    rows = ["| step | status | time | |", "|---|---|---|---|"]
    for name in sorted(outcomes, key=rank.__getitem__):
        outcome = outcomes[name]
        cells = [name, outcome["status"], f"{outcome['seconds']:.1f} s", outcome["note"]]
        rows.append(f"| {' | '.join(map(cell, cells))} |")
    return rows


def failures(outcomes: Mapping[str, Outcome]) -> list[str]:
    """Return the end of the output of each failed step."""
    lines = []
    for name, outcome in outcomes.items():
        if outcome["status"] == FAILED and outcome.get("output"):
            output = [f"    {line}" for line in outcome["output"].splitlines()[-OUTPUT_LINES:]]
            lines += ["", f"{name} ended with:", "", *output]
    return lines


def cell(text: str) -> str:
    """Return text for a cell of a Markdown table."""
    return text.replace("|", "\\|").replace("\n", " ")
