"""Run the steps of a stage with time limits, and store the outcomes of finished steps."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import machine, results
from .results import Result
from .setting import ROOT, Setting
from .steps import CUT_OFF, FAILED, PASSED, TAIL, UNAVAILABLE, Ended, Outcome, Stage, Step

NOT_REACHED = "not reached: the time was over"
RUNNING: set[int] = set()  # process groups of the steps that are running
Progress = Callable[[str], None]


def run_stage(
    stage: Stage, setting: Setting, deadline: float, progress: Progress, written: Callable[[], None] = lambda: None
) -> Result:
    """Run the unfinished steps of a stage until the deadline (a time of `time.monotonic`), and return its result.

    Args:
        progress: function that is called with a line of text for each step.
        written: function that is called after each change of the result file.
    """
    result = load_or_begin(stage, setting)
    if result["missing"]:
        results.write(setting.output, result)
        written()
        return result
    steps = stage.steps(setting)
    lock, start, before = threading.Lock(), time.monotonic(), result["seconds"]

    def record(step: Step, outcome: Outcome) -> None:
        with lock:
            result["steps"][step.name] = outcome
            result["seconds"] = round(before + time.monotonic() - start, 1)
            result["status"] = results.status_of([each.name for each in steps], result["steps"])
            results.write(setting.output, result)
            written()
            progress(f"{stage.name}: {step.name}: {outcome['status']}  {outcome['note']}".rstrip())

    result["steps"] = {step.name: result["steps"][step.name] for step in steps if step.name in result["steps"]}
    run_steps(stage, setting, results.steps_to_run(stage, steps, result["steps"]), deadline, record)
    result["status"] = results.status_of([step.name for step in steps], result["steps"])
    return result


def load_or_begin(stage: Stage, setting: Setting) -> Result:
    """Return the earlier result of a stage, or a new result, with the machine and the requirements that it lacks."""
    result = results.read(setting.output, stage.name) or {"stage": stage.name, "seconds": 0.0, "steps": {}}
    missing = stage.missing(setting)
    if setting.emulated and not stage.emulated:
        missing = ["The emulated GPU cannot run this stage."]
    result |= {"machine": machine.describe(setting), "missing": missing}
    result["status"] = UNAVAILABLE if missing else result.get("status", CUT_OFF)
    return result


def run_steps(
    stage: Stage,
    setting: Setting,
    steps: Sequence[Step],
    deadline: float,
    record: Callable[[Step, Outcome], None],
) -> None:
    """Run steps: first the steps that must run alone, then the other steps, several at a time."""
    folder = setting.work / "logs" / stage.name
    jobs = 1 if setting.emulated else min(stage.jobs, os.cpu_count() or 1)

    def run(step: Step) -> bool:
        outcome = run_step(step, setting, folder, deadline)
        record(step, outcome)
        return outcome["status"] in (PASSED, UNAVAILABLE)

    for step in steps:
        if (step.alone or jobs == 1) and not run(step) and stage.in_order:
            return
    if jobs > 1:
        with ThreadPoolExecutor(jobs) as pool:
            try:
                list(pool.map(run, [step for step in steps if not step.alone]))
            except BaseException:  # an interrupt: end the processes, because the threads would wait for them
                pool.shutdown(wait=False, cancel_futures=True)
                for group in tuple(RUNNING):
                    kill(group)
                raise


def run_step(step: Step, setting: Setting, folder: Path, deadline: float) -> Outcome:
    """Run one step, until the deadline at the latest, and return its outcome."""
    start = time.monotonic()
    limit = min(step.seconds, deadline - start)
    if limit < 1:
        return {"status": CUT_OFF, "note": NOT_REACHED, "seconds": 0.0}
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{re.sub(r'[^A-Za-z0-9_-]+', '-', step.name)}.log"
    status = process(step, {**setting.environment, **step.environment}, log, limit)
    if status is not None:
        outcome = step.read(Ended(status, log))
    elif limit < step.seconds:
        last = (Ended(0, log).lines or [""])[-1][:200]
        outcome = {"status": CUT_OFF, "note": f"the time was over after {limit:.0f} s; last line: {last}"}
    else:
        text = log.read_text(encoding="utf-8", errors="replace")
        outcome = {"status": FAILED, "note": f"no end after {limit:.0f} s", "output": text[-TAIL:]}
    return {**outcome, "seconds": round(time.monotonic() - start, 1)}


def process(step: Step, environment: dict[str, str], log: Path, seconds: float) -> int | None:
    """Run a step's command with its output in a log, and return its exit status, or None if it was killed.

    The command has a separate process group, so that a kill reaches its child processes.
    """
    with log.open("w", encoding="utf-8") as file:
        try:
            running = subprocess.Popen(
                list(step.command),
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        except OSError as error:
            file.write(f"{step.command[0]} cannot be run: {error.strerror}\n")
            return 127
    RUNNING.add(running.pid)
    try:
        return running.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        RUNNING.discard(running.pid)
        kill(running.pid)
        running.wait()


def kill(group: int) -> None:
    """Kill all processes of a process group that are still running."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
