"""The command line: select stages, run their unfinished steps and write the page."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from . import page, results
from .running import run_stage
from .setting import Setting
from .stages import STAGES
from .steps import FAILED, PASSED, Stage

EVERYTHING_PASSED, SOMETHING_FAILED, NOT_COMPLETE = 0, 1, 2
STAGE_MINUTES = 9.0  # some machines end commands after ten minutes


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the stages. Return 0 if all passed, 1 if a stage failed, 2 if a stage was cut off or did not run."""
    options = parser().parse_args(arguments)
    setting = Setting(options.output.resolve(), options.emulated, options.python)
    stages = [STAGES[name] for name in options.stages]
    if options.again:
        for stage in stages:
            results.path_of(setting.output, stage.name).unlink(missing_ok=True)
    end = time.monotonic() + 60 * options.minutes
    try:
        for stage in stages:
            run(stage, setting, min(end, time.monotonic() + 60 * options.stage_minutes))
    except KeyboardInterrupt:
        print("interrupted; the same command continues", file=sys.stderr)
    print(f"written to {page.write(setting.output)}")
    return exit_status([(results.read(setting.output, stage.name) or {}).get("status") for stage in stages])


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command-line options."""
    options = argparse.ArgumentParser(
        prog="card",
        description="Verify and measure the CUDA backend on this machine. Finished steps are kept: the same command "
        "continues where an earlier one ended.",
        epilog="Exit status: 0 everything passed, 1 something failed, 2 something was cut off or could not run.",
    )
    add = options.add_argument
    add(
        "--output", metavar="DIR", type=Path, default=Path("runs/card"), help="folder of results (default: %(default)s)"
    )
    add("--stages", metavar="A,B", type=stage_names, default=list(STAGES), help=f"default: {','.join(STAGES)}")
    add("--minutes", type=float, default=float("inf"), help="stop after this time (default: no limit)")
    add("--stage-minutes", type=float, default=STAGE_MINUTES, help="time limit of each stage (default: %(default)g)")
    add("--again", action="store_true", help="discard earlier results of the chosen stages")
    add("--resume", action="store_true", help="keep the results of finished steps (the default)")
    add("--python", metavar="EXE", help="interpreter that has flambeau, instead of the stage build")
    add("--emulated", action="store_true", help="run the stages that the emulated GPU supports on it")
    return options


def stage_names(text: str) -> list[str]:
    """Split a list of stages, and return the names in the order in which the stages run."""
    chosen = [name.strip() for name in text.split(",")]
    if unknown := [name for name in chosen if name not in STAGES]:
        raise argparse.ArgumentTypeError(f"no stage is named {', '.join(unknown)}; there are {', '.join(STAGES)}")
    return [name for name in STAGES if name in chosen]


def run(stage: Stage, setting: Setting, deadline: float) -> None:
    """Run one stage and print its progress and its status."""
    page.write(setting.output)
    result = run_stage(stage, setting, deadline, lambda line: print(line, flush=True))
    page.write(setting.output)
    for sentence in result["missing"]:
        print(f"{stage.name}: {sentence}", flush=True)
    print(f"{stage.name}: {result['status']} ({result['seconds']:.0f} s)", flush=True)


def exit_status(statuses: Sequence[str | None]) -> int:
    """Return the exit status for the statuses of the chosen stages. The status is None if a stage did not start."""
    if FAILED in statuses:
        return SOMETHING_FAILED
    return EVERYTHING_PASSED if all(status == PASSED for status in statuses) else NOT_COMPLETE
