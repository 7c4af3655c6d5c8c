"""Builds of packages for one Python and one kind of machine."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Iterable
from pathlib import Path

from . import older_system

ROOT = Path(__file__).resolve().parents[2]
CROSS_COMPILERS = {"x86_64": "x86_64-linux-gnu-g++", "aarch64": "aarch64-linux-gnu-g++"}
PYTHON = f"cp{sys.version_info.major}{sys.version_info.minor}"
PYTHON_TAGS = f"{PYTHON}-{PYTHON}{sys.abiflags}"  # of the interpreter and its ABI, in the names of wheels


def run(*command: str | Path, **environment: str) -> None:
    """Run a Python module with arguments in the repository.

    Args:
        environment: additional environment variables.
    """
    subprocess.run([sys.executable, "-m", *command], cwd=ROOT, env={**os.environ, **environment}, check=True)


def distribution(package: str) -> str:
    """Return the name of a package in the names of its wheels, such as ``flambeau_tensor_core``."""
    project = tomllib.loads((ROOT / "packages" / package / "pyproject.toml").read_text())["project"]
    return str(project["name"]).replace("-", "_")


def is_native(package: str) -> bool:
    """Return whether a package contains compiled code."""
    return (ROOT / "packages" / package / "CMakeLists.txt").exists()


class Target:
    """Kind of machine for which wheels are built.

    Args:
        machine: ``x86_64`` or ``aarch64``. Wheels for another machine than this one are compiled with Debian's cross
            compiler.
        work: folder for build files.
    """

    def __init__(self, machine: str, work: Path) -> None:
        self.machine, self.work = machine, work
        self.is_host = machine == platform.machine()
        own = os.environ.get("CXX", "g++")
        self.compiler = older_system.Compiler(own if self.is_host else CROSS_COMPILERS[machine])
        self.wheels = work / f"wheels-{machine}"  # before they get the tag
        self.unpacked = work / f"unpacked-{machine}-{PYTHON_TAGS}"  # wheels that later builds link against
        self.flags = shlex.join(older_system.write(self.compiler, work / f"older-system-{machine}"))

    def settings(self) -> dict[str, str]:
        """Return CMake variables of the builds."""
        found = {"CMAKE_SHARED_LINKER_FLAGS": self.flags, "CMAKE_MODULE_LINKER_FLAGS": self.flags}
        if self.is_host:
            return found
        return {
            **found,
            "CMAKE_SYSTEM_NAME": "Linux",
            "CMAKE_SYSTEM_PROCESSOR": self.machine,
            "CMAKE_CXX_COMPILER": self.compiler.command,
            "CMAKE_NM": self.compiler.command.replace("g++", "nm"),
            "Python_EXECUTABLE": sys.executable,
            "Python_INCLUDE_DIR": sysconfig.get_path("include"),  # the same for all 64-bit machines with Linux
            "Python_SOABI": f"{sys.implementation.cache_tag}{sys.abiflags}-{self.machine}-linux-gnu",
            # The installed tensor-core, which announces a CMake config, is that of this machine.
            "flambeau_DIR": str(self.unpacked / "flambeau/lib/cmake/flambeau"),
        }

    def build_native(self, package: str, output: Path) -> None:
        """Build the wheel of a package with compiled code into a folder, and let later builds find it."""
        name = distribution(package)
        for earlier in [*self.wheels.glob(f"{name}-*"), *output.glob(f"{name}-*-{PYTHON_TAGS}-*_{self.machine}.whl")]:
            earlier.unlink()
        # As deep as that of `nox -s wheels`: ccache compares paths relative to it.
        folder = f"build/release-{PYTHON_TAGS}-linux_{self.machine}"
        options = [
            f"-Cbuild-dir={folder}",
            *(f"-Ccmake.define.{key}={value}" for key, value in self.settings().items()),
        ]
        foreign = {} if self.is_host else {"_PYTHON_HOST_PLATFORM": f"linux-{self.machine}"}
        run(*BUILD, "--wheel", "--outdir", self.wheels, *options, f"packages/{package}", **foreign)
        (wheel,) = self.wheels.glob(f"{name}-*.whl")
        if self.is_host:
            run("pip", "install", "--quiet", "--no-deps", "--force-reinstall", wheel)
        else:
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(self.unpacked)
        # The name of the result says which systems it runs on. auditwheel knows by name only those with this processor.
        run("auditwheel", "repair", "--plat", "auto", "--exclude", "libflambeau*.so", "--wheel-dir", output, wheel)


BUILD = ("build", "--no-isolation", "--skip-dependency-check")


def build(packages: Iterable[str], machines: Iterable[str], work: Path, output: Path) -> None:
    """Build wheels and source distributions into a folder.

    The builds are reproducible: the same commit, Python and compiler give the same files.

    Args:
        packages: names of folders of ``packages/``, each after those that its build requires.
        machines: kinds of machines.
        work: folder for build files.
        output: folder for the results.
    """
    os.environ["SOURCE_DATE_EPOCH"] = time_of_commit()
    targets = [Target(machine, work) for machine in sorted(machines, key=lambda each: each != platform.machine())]
    for package in packages:
        if not is_native(package):
            run(*BUILD, "--outdir", output, f"packages/{package}")
            continue
        run(*BUILD, "--sdist", "--outdir", output, f"packages/{package}")
        for target in targets:
            target.build_native(package, output)


def time_of_commit() -> str:
    """Return the time of the last commit in seconds since 1970, which becomes the time of all files in wheels."""
    command = ["git", "log", "-1", "--format=%ct"]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
