"""Definitions of stages and steps, and the statuses of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .setting import Setting

PASSED, FAILED, UNAVAILABLE, CUT_OFF = "passed", "failed", "unavailable", "cut off"
UNAVAILABLE_STATUS = 77  # the exit status of a program that cannot run on this machine, as in Automake
TAIL = 2000  # number of characters that a result keeps of a failed step's output

Outcome = dict[str, Any]  # "status", "note", "seconds", and other results of a step


@dataclass(frozen=True)
class Ended:
    """Finished process: its exit status and its output."""

    status: int
    log: Path

    @property
    def text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    @property
    def lines(self) -> list[str]:
        return [line.strip() for line in self.text.splitlines() if line.strip()]


def by_exit_status(ended: Ended) -> Outcome:
    """Return the outcome of a program whose last line describes its result or its error."""
    note = ended.lines[-1] if ended.lines else ""
    if ended.status == 0:
        return {"status": PASSED, "note": note}
    if ended.status == UNAVAILABLE_STATUS:
        return {"status": UNAVAILABLE, "note": note}
    return failure(ended, note)


def failure(ended: Ended, note: str) -> Outcome:
    """Return the outcome of a failed program, with the end of its output."""
    ending = f"exit status {ended.status}" if ended.status >= 0 else f"killed by signal {-ended.status}"
    return {"status": FAILED, "note": f"{note} ({ending})".strip(), "output": ended.text[-TAIL:]}


@dataclass(frozen=True)
class Step:
    """One process of a stage.

    Args:
        name: name, unique in the stage.
        command: program and arguments. It runs at the top of the repository.
        seconds: time limit. A step that exceeds it has failed.
        environment: environment variables in addition to the variables of the setting.
        alone: if True, no other step of the stage runs at the same time.
        read: function that returns the outcome of the finished process.
    """

    name: str
    command: Sequence[str]
    seconds: float = 120.0
    environment: Mapping[str, str] = field(default_factory=dict)
    alone: bool = False
    read: Callable[[Ended], Outcome] = by_exit_status


def nothing_missing(setting: Setting) -> list[str]:
    return []


@dataclass(frozen=True)
class Stage:
    """Part of the verification.

    Args:
        name: name for ``--stages`` and the result file.
        title: heading on the page.
        steps: function that returns the steps for a setting.
        missing: function that returns sentences about everything that the machine lacks for the stage.
        jobs: number of steps that run at the same time on a GPU. On an emulated GPU, steps run one by one.
        in_order: if True, a step that does not pass ends the stage.
        emulated: True if the emulated GPU can run the stage.
        report: function that returns Markdown lines for the outcomes of the steps. None means a table of the steps.
    """

    name: str
    title: str
    steps: Callable[[Setting], list[Step]]
    missing: Callable[[Setting], list[str]] = nothing_missing
    jobs: int = 1
    in_order: bool = False
    emulated: bool = False
    report: Callable[[Mapping[str, Outcome]], list[str]] | None = None
