"""Parallel compilation of sources that have changed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path


class CompilationError(RuntimeError):
    """Error of a compiler or linker. The message contains the command's output."""


@dataclass(frozen=True)
class Step:
    """Command that creates a file from other files."""

    target: Path
    inputs: tuple[Path, ...]
    command: tuple[str, ...]

    @property
    def _record(self) -> Path:
        return self.target.with_name(f"{self.target.name}.command")

    @property
    def _dependencies(self) -> Path:
        return self.target.with_name(f"{self.target.name}.d")

    def is_current(self) -> bool:
        """Return True if this command created the file after the last change of all files that it depends on."""
        if not (self.target.exists() and self._record.exists()):
            return False
        if self._record.read_text() != shlex.join(self.command):
            return False
        written = self.target.stat().st_mtime_ns
        read = [*self.inputs, *_named_in(self._dependencies)]
        return all(path.exists() and path.stat().st_mtime_ns <= written for path in read)

    def run(self, verbose: bool = False) -> None:
        """Run the command. Raises: CompilationError if it fails."""
        self.target.parent.mkdir(parents=True, exist_ok=True)
        self._record.unlink(missing_ok=True)
        command = [*self.command, *(("-MD", "-MF", str(self._dependencies)) if "-c" in self.command else ())]
        if verbose:
            print(shlex.join(command), flush=True)
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            raise CompilationError(f"{shlex.join(command)}\n{done.stdout}")
        if done.stdout:
            print(done.stdout, end="", flush=True)
        self._record.write_text(shlex.join(self.command))


def _named_in(path: Path) -> list[Path]:
    """Return the files that are listed in a dependency file of the compiler (``-MD``)."""
    if not path.exists():
        return []
    listed = path.read_text().replace("\\\n", " ").partition(": ")[2]
    return [Path(name.replace("\\ ", " ")) for name in re.findall(r"(?:\\ |\S)+", listed)]


def run_outdated(steps: Sequence[Step], verbose: bool = False) -> bool:
    """Run the steps whose files are not current, in parallel on all processors or in at most MAX_JOBS processes.

    Returns: True if a step was run.
    Raises: CompilationError if a command fails.
    """
    outdated = [step for step in steps if not step.is_current()]
    jobs = int(os.environ.get("MAX_JOBS") or os.cpu_count() or 1)
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        for done in [pool.submit(step.run, verbose) for step in outdated]:
            done.result()
    return bool(outdated)
