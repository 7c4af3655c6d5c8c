"""Worker processes: start a worker, read its events, and continue after a crash."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SECONDS_PER_WORKLOAD = 180.0

# These variables are set before the process starts, because thread pools read them when they are loaded.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "FLAMBEAU_NUM_THREADS")


class UnusableLibraryError(Exception):
    """Error for a library that cannot be imported, so that nothing can be measured."""


@dataclass(frozen=True)
class Side:
    """One side of the comparison: a library, the interpreter in which it is installed, and how it runs models."""

    library: str
    python: str = sys.executable
    baseline: bool = False
    engine: str = "eager"

    @property
    def label(self) -> str:
        return f"{self.library}.compile" if self.engine == "compile" else self.library


@dataclass(frozen=True)
class Settings:
    """Settings that both sides share."""

    threads: int
    quick: bool = False
    device: str = "cpu"
    files: str = ""


def describe(side: Side, settings: Settings) -> dict[str, Any]:
    """Return the version and the number of threads of a side's library.

    Raises: UnusableLibraryError if the interpreter cannot be run or cannot import the library.
    """
    try:
        events = list(_events(side, settings, []))
    except OSError as error:
        raise UnusableLibraryError(f"{side.python} cannot be run: {error.strerror}") from error
    for event in events:
        if "about" in event:
            return dict(event["about"])
    why = events[-1].get("unusable") or events[-1].get("died")
    raise UnusableLibraryError(f"{side.library} cannot be imported by {side.python}: {why}")


def readings(side: Side, settings: Settings, keys: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Measure the workloads ``keys`` in one process. If it crashes, measure the remaining workloads in another process.

    Yields ``{"key", "value", "fingerprint"}`` or ``{"key", "missing"}`` for each of ``keys``.
    """
    waiting = list(keys)
    while waiting:
        current, ending = waiting[0], "the process ended early"
        for event in _events(side, settings, waiting):
            if "key" in event:
                waiting.remove(event["key"])
                yield event
            current = event.get("started", current)
            ending = event.get("unusable") or event.get("died") or ending
        if current in waiting:
            waiting.remove(current)
            yield {"key": current, "missing": ending}


def _events(side: Side, settings: Settings, keys: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the worker's lines, then ``{"died": reason}`` if it did not end normally."""
    request = {"library": side.library, "baseline": side.baseline, "engine": side.engine, **asdict(settings)}
    command = module_command(side, "worker", json.dumps({**request, "keys": list(keys)}))
    with (
        tempfile.TemporaryFile("w+") as complaints,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=complaints, text=True, env=environment(settings)
        ) as process,
    ):
        try:
            while (line := _line_in_time(process)).endswith("\n"):
                yield json.loads(line)
        except BaseException:  # an interrupt, or the caller closed this generator
            process.kill()
            raise
        if process.wait():
            complaints.seek(0)
            yield {"died": _describe_exit(process.returncode, complaints.read())}


def _line_in_time(process: subprocess.Popen[str]) -> str:
    """Return the next line. If a worker prints nothing for too long, it is killed, which ends its output."""
    assert process.stdout is not None
    watchdog = threading.Timer(SECONDS_PER_WORKLOAD, process.kill)
    watchdog.start()
    try:
        return process.stdout.readline()
    finally:
        watchdog.cancel()


def module_command(side: Side, module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of this package in a side's interpreter."""
    return [side.python, "-P", "-m", f"{__package__.rpartition('.')[2]}.{module}", *arguments]


def environment(settings: Settings) -> dict[str, str]:
    """Return the environment variables of a worker."""
    package = Path(__file__).resolve().parent
    threads = dict.fromkeys(THREAD_VARIABLES, str(settings.threads))
    search = [str(package.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, **threads, "PYTHONPATH": os.pathsep.join(search)}


def _describe_exit(status: int, complaints: str) -> str:
    """Return a description of how a process ended.

    >>> _describe_exit(-11, "")
    'the process died of SIGSEGV'
    """
    if status == -9:
        return f"the process was killed: out of memory, or silent for {SECONDS_PER_WORKLOAD:.0f} s"
    if status < 0:
        return f"the process died of {signal.Signals(-status).name}"
    last = complaints.strip().splitlines()[-1:] or [""]
    return f"the process ended with status {status}: {last[0]}".rstrip(": ")
