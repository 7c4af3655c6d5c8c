"""Memory errors and races in the kernels of each family of operators, found by compute-sanitizer."""

from __future__ import annotations

import re
from functools import partial

from ..machine import tool, without_sanitizer
from ..setting import Setting
from ..steps import Ended, Outcome, Stage, Step, by_exit_status, failure

FOUND = 86  # the exit status of a program in which an error was found
SUMMARIES = {
    "memcheck": re.compile(r"ERROR SUMMARY: (\d+) error"),
    "racecheck": re.compile(r"RACECHECK SUMMARY: (\d+) hazard"),
}
# Use flambeau's kernels instead of NVIDIA's libraries, so that flambeau's kernels are checked.
OWN_KERNELS = {"FLAMBEAU_CUBLASLT": "none", "FLAMBEAU_CUDNN": "none"}


def steps(setting: Setting) -> list[Step]:
    program = tool("compute-sanitizer")
    commands = []
    for name in setting.checks("on_gpu"):
        for checker in SUMMARIES:
            # API errors are not reported, because some of the backend's calls may fail, such as allocations.
            options = ["--tool", checker, "--error-exitcode", str(FOUND), "--print-limit", "20"]
            options += ["--report-api-errors", "no"] if checker == "memcheck" else []
            command = [str(program), *options, *setting.program("on_gpu", name)]
            read = partial(outcome, checker)
            commands.append(Step(f"{checker}, {name}", command, 300, environment=OWN_KERNELS, read=read))
    return sorted(commands, key=lambda step: not step.name.startswith("memcheck"))


def outcome(checker: str, ended: Ended) -> Outcome:
    """Return the outcome from the summary that compute-sanitizer prints."""
    summary = SUMMARIES[checker].search(ended.text)
    if summary is None:
        complaints = [line for line in ended.lines if line.startswith("=====")]
        return failure(ended, (complaints or ended.lines or ["no output"])[-1].strip("= "))
    if int(summary[1]) or ended.status == FOUND:
        details = [line for line in ended.lines if re.match(r"=+ (Invalid|Error:|Warning:|Race|Misaligned)", line)]
        first = f": {details[0].strip('= ')}" if details else ""
        return failure(ended, f"{summary[0]}s{first}")
    if ended.status:
        return by_exit_status(ended)
    return {"status": "passed", "note": "nothing found"}


STAGE = Stage("sanitizer", "compute-sanitizer", steps, missing=without_sanitizer, jobs=6)
