"""Platforms for which wheels are built, and how this machine compiles for each of them."""

from __future__ import annotations

import os
import platform
import shlex
import sys
import sysconfig
from abc import ABC, abstractmethod
from pathlib import Path

from . import macos, musl, older_system, windows
from .commands import run

HOST = f"linux-{platform.machine()}"
PLATFORMS = ("linux-x86_64", "linux-aarch64", "musllinux-x86_64", "macos-arm64", "windows-x86_64")
CROSS_COMPILERS = {"x86_64": "x86_64-linux-gnu-g++", "aarch64": "aarch64-linux-gnu-g++"}  # names in Debian


def python_settings(system: str) -> dict[str, str]:
    """Return CMake variables that describe the Python of another platform.

    Args:
        system: the platform in the names of its extension modules.
    """
    return {
        "Python_EXECUTABLE": sys.executable,
        # The headers of Python for this machine and for another 64-bit machine differ only in configuration macros that
        # extension modules do not read.
        "Python_INCLUDE_DIR": sysconfig.get_path("include"),
        "Python_SOABI": f"{sys.implementation.cache_tag}{sys.abiflags}-{system}",
    }


def name_after_system(wheel: Path, output: Path) -> None:
    """Run auditwheel, which writes a wheel to a folder under the name of the oldest system on which it runs."""
    # auditwheel considers only systems with the processor of the wheel.
    run("auditwheel", "repair", "--plat", "auto", "--exclude", "libflambeau*.so", "--wheel-dir", output, wheel)


class Target(ABC):
    """Platform for which wheels are built.

    Args:
        name: one of ``PLATFORMS``.
        wheels: pattern of the platform in the names of finished wheels.
        work: folder for build files.

    Attributes:
        is_host: True if this machine can load the libraries.
        environment: additional environment variables of the builds.
    """

    def __init__(self, name: str, wheels: str, work: Path) -> None:
        self.name, self.wheels = name, wheels
        self.work = work / name
        self.is_host = name == HOST
        self.environment: dict[str, str] = {}

    @abstractmethod
    def settings(self) -> dict[str, str]:
        """Return CMake variables of the builds."""

    @abstractmethod
    def finish(self, wheel: Path, output: Path) -> None:
        """Check the libraries in a wheel, and write the wheel to a folder under its final name."""


class Linux(Target):
    """Linux with glibc 2.28 or later, on one machine architecture.

    Args:
        machine: ``x86_64`` or ``aarch64``. If this machine has another architecture, Debian's cross compiler is used.
        work: folder for build files.
    """

    def __init__(self, machine: str, work: Path) -> None:
        super().__init__(f"linux-{machine}", f"manylinux*_{machine}", work)
        self.machine = machine
        host_compiler = os.environ.get("CXX", "g++")
        self.compiler = older_system.Compiler(host_compiler if self.is_host else CROSS_COMPILERS[machine])
        self.flags = shlex.join(older_system.write(self.compiler, self.work / "older-system"))
        if not self.is_host:
            self.environment = {"_PYTHON_HOST_PLATFORM": f"linux-{machine}"}

    def settings(self) -> dict[str, str]:
        """Return CMake variables of the builds."""
        options = {"CMAKE_SHARED_LINKER_FLAGS": self.flags, "CMAKE_MODULE_LINKER_FLAGS": self.flags}
        if self.is_host:
            return options
        return {
            **options,
            "CMAKE_SYSTEM_NAME": "Linux",
            "CMAKE_SYSTEM_PROCESSOR": self.machine,
            "CMAKE_CXX_COMPILER": self.compiler.command,
            "CMAKE_NM": self.compiler.command.replace("g++", "nm"),
            **python_settings(f"{self.machine}-linux-gnu"),
        }

    def finish(self, wheel: Path, output: Path) -> None:
        """Write the wheel with the platform tag of the oldest system on which it runs, which auditwheel determines."""
        name_after_system(wheel, output)


class Musl(Target):
    """Linux with musl 1.2 or later, such as Alpine, on x86-64. The compiler is Zig, which contains Clang and musl.

    Args:
        work: folder for build files.
    """

    def __init__(self, work: Path) -> None:
        super().__init__("musllinux-x86_64", musl.PLATFORM, work)
        self.compiler = musl.write_compiler(self.work)
        self.libc = musl.write_libc(self.compiler, self.work)
        # For a platform name with musl, scikit-build-core omits Python's ABI tag. auditwheel detects musl later.
        self.environment = {"_PYTHON_HOST_PLATFORM": "linux-x86_64"}

    def settings(self) -> dict[str, str]:
        """Return CMake variables of the builds."""
        return {
            "CMAKE_SYSTEM_NAME": "Linux",
            "CMAKE_SYSTEM_PROCESSOR": "x86_64",
            "CMAKE_CXX_COMPILER": str(self.compiler),
            "CMAKE_CXX_STANDARD_LIBRARIES": shlex.quote(str(self.libc)),
            # Do not link CMake's test programs. Zig would compile its C++ library again for the tests of link-time
            # optimisation, which no target uses.
            "CMAKE_TRY_COMPILE_TARGET_TYPE": "STATIC_LIBRARY",
            **python_settings("x86_64-linux-musl"),
        }

    def finish(self, wheel: Path, output: Path) -> None:
        """Check the libraries that the wheel's libraries load, and write the wheel under auditwheel's name."""
        musl.check_wheel(wheel)
        name_after_system(wheel, output)


class MacOS(Target):
    """macOS on Apple's own processors. The compiler is Zig, which contains Clang and the symbols of macOS.

    Args:
        work: folder for build files.
    """

    def __init__(self, work: Path) -> None:
        super().__init__("macos-arm64", macos.PLATFORM.replace("-", "_").replace(".", "_"), work)
        self.compiler = macos.write_compiler(self.work)
        self.environment = {"_PYTHON_HOST_PLATFORM": macos.PLATFORM}

    def settings(self) -> dict[str, str]:
        """Return CMake variables of the builds."""
        nothing = "/bin/true"
        return {
            "CMAKE_SYSTEM_NAME": "Darwin",
            "CMAKE_SYSTEM_PROCESSOR": "arm64",
            "CMAKE_CXX_COMPILER": str(self.compiler),
            # macOS requires signed libraries on these processors. The linker signs them. Later changes, for example by
            # strip, would invalidate the signature.
            "CMAKE_BUILD_WITH_INSTALL_RPATH": "ON",
            "CMAKE_INSTALL_NAME_TOOL": nothing,
            "CMAKE_STRIP": nothing,
            # If these variables are not set, CMake asks Xcode for their values.
            "CMAKE_OSX_SYSROOT": "",
            "CMAKE_OSX_DEPLOYMENT_TARGET": "",
            "CMAKE_OSX_ARCHITECTURES": "",
            **python_settings("darwin"),
        }

    def finish(self, wheel: Path, output: Path) -> None:
        """Check the load commands of the libraries."""
        macos.check_wheel(wheel)
        wheel.rename(output / wheel.name)


class Windows(Target):
    """Windows 10 or later on x86-64. The compiler is Zig, which contains Clang and the import libraries of Windows.

    Args:
        work: folder for build files.
    """

    def __init__(self, work: Path) -> None:
        super().__init__("windows-x86_64", windows.PLATFORM.replace("-", "_"), work)
        self.compiler = windows.write_compiler(self.work)
        self.headers = windows.write_headers(self.work)
        self.python = windows.write_import_library(self.work)
        self.environment = {"_PYTHON_HOST_PLATFORM": windows.PLATFORM}

    def settings(self) -> dict[str, str]:
        """Return CMake variables of the builds."""
        nothing = "/bin/true"
        return {
            "CMAKE_SYSTEM_NAME": "Windows",
            "CMAKE_SYSTEM_PROCESSOR": "AMD64",
            "CMAKE_CXX_COMPILER": str(self.compiler),
            "CMAKE_RC_COMPILER": nothing,  # there are no resources to compile
            "CMAKE_STRIP": nothing,
            "CMAKE_SHARED_LINKER_FLAGS": "-s",
            "CMAKE_MODULE_LINKER_FLAGS": "-s",
            "CMAKE_CXX_STANDARD_LIBRARIES": "",  # Zig links the libraries of Windows that are needed
            "CMAKE_TRY_COMPILE_TARGET_TYPE": "STATIC_LIBRARY",
            **python_settings("windows"),
            "Python_INCLUDE_DIR": str(self.headers),
            "Python_LIBRARY": str(self.python),
            "Python_SOABI": f"cp{sys.version_info.major}{sys.version_info.minor}-{self.wheels}",
        }

    def finish(self, wheel: Path, output: Path) -> None:
        """Check the DLLs that the wheel's DLLs load."""
        windows.check_wheel(wheel)
        wheel.rename(output / wheel.name)


def make_target(name: str, work: Path) -> Target:
    """Return one of the platforms.

    Args:
        name: one of ``PLATFORMS``.
        work: folder for build files.
    """
    system, _, machine = name.partition("-")
    if system == "linux":
        return Linux(machine, work)
    return {"musllinux": Musl, "macos": MacOS, "windows": Windows}[system](work)
