"""Result files: one JSON file for each stage, replaced after every step."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .steps import CUT_OFF, FAILED, PASSED, UNAVAILABLE, Outcome, Stage, Step

Result = dict[str, Any]  # "stage", "status", "steps", "missing", "machine", "seconds"


def path_of(output: Path, stage: str) -> Path:
    return output / f"{stage}.json"


def read(output: Path, stage: str) -> Result | None:
    """Return the result of a stage, or None if the stage has not run or the file is damaged."""
    try:
        result: Result = json.loads(path_of(output, stage).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return result if isinstance(result, dict) and isinstance(result.get("steps"), dict) else None


def write(output: Path, result: Result) -> None:
    """Replace the result file of a stage atomically, so that an interruption does not destroy the earlier file."""
    output.mkdir(parents=True, exist_ok=True)
    path = path_of(output, result["stage"])
    new = path.with_suffix(".new")
    new.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(new, path)


def steps_to_run(stage: Stage, steps: Sequence[Step], outcomes: Mapping[str, Outcome]) -> list[Step]:
    """Return the steps that have to run, because they have no final outcome.

    The steps of a stage with ``in_order`` depend on each other. If a step of such a stage failed, it runs again.
    """
    final = (PASSED,) if stage.in_order else (PASSED, FAILED)
    return [step for step in steps if outcomes.get(step.name, {}).get("status") not in final]


def status_of(names: Iterable[str], steps: Mapping[str, Outcome]) -> str:
    """Return the status of a stage from the statuses of its steps."""
    statuses = [steps[name]["status"] if name in steps else CUT_OFF for name in names]
    if not statuses:
        return UNAVAILABLE
    return next((status for status in (CUT_OFF, FAILED, PASSED) if status in statuses), UNAVAILABLE)
