"""Builds of packages for one Python and several platforms."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable
from pathlib import Path

from .commands import ROOT, run
from .targets import HOST, Target, make_target

PYTHON = f"cp{sys.version_info.major}{sys.version_info.minor}"
PYTHON_TAGS = f"{PYTHON}-{PYTHON}{sys.abiflags}"  # tags of the interpreter and its ABI in the names of wheels
BUILD = ("build", "--no-isolation", "--skip-dependency-check")


def distribution(package: str) -> str:
    """Return the name of a package in the names of its wheels, such as ``flambeau_tensor_core``."""
    project = tomllib.loads((ROOT / "packages" / package / "pyproject.toml").read_text())["project"]
    return str(project["name"]).replace("-", "_")


def is_native(package: str) -> bool:
    """Return True if a package contains compiled code."""
    return (ROOT / "packages" / package / "CMakeLists.txt").exists()


def build_native(package: str, target: Target, output: Path) -> None:
    """Build the wheel of a package with compiled code into a folder. Later builds can find the package.

    Args:
        package: name of a folder of ``packages/``.
        target: platform of the wheel.
        output: folder for the wheel.
    """
    name = distribution(package)
    unfinished = target.work / "wheels"
    for earlier in [*unfinished.glob(f"{name}-*"), *output.glob(f"{name}-*-{PYTHON_TAGS}-{target.wheels}.whl")]:
        earlier.unlink()
    unpacked = target.work / f"unpacked-{PYTHON_TAGS}"
    settings = target.settings()
    if not target.is_host:  # the CMake config of the installed tensor-core is for this machine
        settings["flambeau_DIR"] = str(unpacked / "flambeau/lib/cmake/flambeau")
    # The folder has the same depth as the folder of `nox -s wheels`, because ccache compares paths relative to it.
    folder = f"build/release-{PYTHON_TAGS}-{target.name}"
    options = [f"-Cbuild-dir={folder}", *(f"-Ccmake.define.{key}={value}" for key, value in settings.items())]
    run(*BUILD, "--wheel", "--outdir", unfinished, *options, f"packages/{package}", **target.environment)
    (wheel,) = unfinished.glob(f"{name}-*.whl")
    if target.is_host:
        run("pip", "install", "--quiet", "--no-deps", "--force-reinstall", wheel)
    else:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(unpacked)
    target.finish(wheel, output)


def build(packages: Iterable[str], platforms: Iterable[str], work: Path, output: Path) -> None:
    """Build wheels and source distributions into a folder.

    The builds are reproducible: the same commit, Python and compiler give the same files.

    Args:
        packages: names of folders of ``packages/``. A package follows the packages that its build requires.
        platforms: names of platforms in ``targets.PLATFORMS``.
        work: folder for build files.
        output: folder for the results.
    """
    os.environ["SOURCE_DATE_EPOCH"] = time_of_commit()
    targets = [make_target(each, work) for each in sorted(platforms, key=lambda each: each != HOST)]
    for package in packages:
        if not is_native(package):
            run(*BUILD, "--outdir", output, f"packages/{package}")
            continue
        run(*BUILD, "--sdist", "--outdir", output, f"packages/{package}")
        for target in targets:
            build_native(package, target, output)


def time_of_commit() -> str:
    """Return the time of the last commit in seconds since 1970. All files in wheels have this time."""
    command = ["git", "log", "-1", "--format=%ct"]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
