"""Settings of a run: folders, the interpreter that has flambeau, and the GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EMULATOR = ROOT / "packages" / "tensor-core" / "tests" / "emulator"
EMULATOR_VARIABLES = "import json, build, process; print(json.dumps(process.variables(build.build())))"


@dataclass(frozen=True)
class Setting:
    """Folders and interpreters of a run.

    Args:
        output: folder of the results.
        emulated: if True, use the emulated GPU, with few and small steps.
        given_python: an interpreter that has flambeau, instead of the interpreter that the stage `build` installs.
    """

    output: Path
    emulated: bool = False
    given_python: str | None = None

    @property
    def work(self) -> Path:
        """The folder of all files except for the results: wheels, the environment, kernels, logs."""
        return self.output / "work"

    @property
    def built_python(self) -> Path:
        """The interpreter of the environment that the stage `build` creates."""
        return self.work / "venv" / "bin" / "python"

    @property
    def python(self) -> str:
        """The interpreter that has flambeau."""
        if self.given_python:
            return self.given_python
        return sys.executable if self.emulated else str(self.built_python)

    @cached_property
    def environment(self) -> dict[str, str]:
        """The environment variables of all steps."""
        programs = [str(self.built_python.parent), str(Path(sys.executable).parent), os.environ.get("PATH", "")]
        variables = {
            **os.environ,
            "PATH": os.pathsep.join(programs),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
            "PYTHONUNBUFFERED": "1",
            "PYTHONFAULTHANDLER": "1",
            "FLAMBEAU_CACHE": str(self.work / "cache"),
        }
        return variables | (self._emulator() if self.emulated else {})

    def _emulator(self) -> dict[str, str]:
        """Compile the emulated GPU and return the variables that select it."""
        command = [self.python, "-c", EMULATOR_VARIABLES]
        done = subprocess.run(command, cwd=EMULATOR, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"the emulated GPU cannot be built: {done.stderr.strip()[-500:]}")
        environment: dict[str, str] = json.loads(done.stdout)
        return environment

    def program(self, name: str, *arguments: str) -> list[str]:
        """Return the command that runs a module of `tools.card.programs`."""
        return [self.python, "-P", "-m", f"tools.card.programs.{name}", *arguments]

    def checks(self, program: str) -> list[str]:
        """Return the names of the checks that a program has."""
        command = self.program(program, "--list")
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"tools.card.programs.{program} cannot run: {done.stderr.strip()[-500:]}")
        names: list[str] = json.loads(done.stdout)
        return names
