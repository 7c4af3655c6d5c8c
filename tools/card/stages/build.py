"""Build the wheels without an index, install them in an environment, and compile the most common kernels."""

from __future__ import annotations

import graphlib
import sys
import tomllib
from pathlib import Path

from ..machine import gpu_obstacle
from ..setting import ROOT, Setting
from ..steps import Ended, Outcome, Stage, Step, by_exit_status, failure

CPU_FLAGS = Path("/proc/cpuinfo")


def packages() -> list[str]:
    """Return the folders of all packages, in order of dependency."""
    projects = {
        path.parent.name: tomllib.loads(path.read_text(encoding="utf-8"))
        for path in sorted(ROOT.glob("packages/*/pyproject.toml"))
    }
    folders = {project["project"]["name"]: folder for folder, project in projects.items()}
    needs = {
        folder: [folders[name] for each in needed(project) if (name := each.partition("==")[0]) in folders]
        for folder, project in projects.items()
    }
    return list(graphlib.TopologicalSorter(needs).static_order())


def needed(project: dict[str, dict[str, list[str]]]) -> list[str]:
    return [*project["project"].get("dependencies", []), *project["build-system"]["requires"]]


def instruction_sets(flags: str) -> str:
    """Return the instruction set for which CPU kernels are compiled: only this processor's best, to save time."""
    return "avx512" if "avx512bw" in flags else "avx2" if "avx2" in flags else ""


def steps(setting: Setting) -> list[Step]:
    """Return the commands that build every package in a new environment and, if there is a GPU, compile its kernels."""
    flags = CPU_FLAGS.read_text() if CPU_FLAGS.exists() else ""
    programs = Path(__file__).parents[1] / "programs"
    environment = [sys.executable, str(programs / "make_environment.py"), str(setting.work / "venv")]
    commands = [Step("environment", environment, 120)]
    for package in packages():
        program = [
            str(setting.built_python),
            "-P",
            str(programs / "build_package.py"),
            str(ROOT / "packages" / package),
        ]
        commands.append(Step(package, [*program, str(setting.work), instruction_sets(flags)], 1800))
    commands.append(
        Step("report", [str(setting.built_python), "-P", "-m", "flambeau.cuda"], 60, read=status_and_output)
    )
    if gpu_obstacle() is None:
        warm = [str(setting.built_python), "-P", "-m", "flambeau.cuda", "warm"]
        commands.append(Step("kernels", warm, 540, read=compilation_outcome))
    return commands


def status_and_output(ended: Ended) -> Outcome:
    """Return an outcome whose note contains all lines of the output, for programs with a short output."""
    return by_exit_status(ended) | ({"note": "; ".join(ended.lines)} if ended.status == 0 else {})


def compilation_outcome(ended: Ended) -> Outcome:
    """Return the outcome of the compilation of kernels. A failed kernel fails the step, but other kernels compile."""
    failed = [line for line in ended.lines if line.startswith("failed: ")]
    compiled = [line for line in ended.lines if line.startswith("compiled ")]
    if failed or ended.status:
        return failure(ended, failed[0] if failed else ended.lines[-1] if ended.lines else "")
    return by_exit_status(ended) | {"note": compiled[-1] if compiled else ""}


STAGE = Stage("build", "Build and installation", steps, in_order=True)
