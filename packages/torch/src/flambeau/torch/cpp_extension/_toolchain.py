"""Compiler of extensions, and folders of the headers and libraries that extensions need."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import flambeau

STANDARD = "-std=c++20"  # required by flambeau's headers
_OWN = Path(__file__).parents[1] / "include"
NO_CUDA = (
    "CUDA_HOME environment variable is not set. Please set it to your CUDA install root. (flambeau compiles C++ "
    "extensions for the CPU only: build the CPU version of this extension with CppExtension.)"
)


def include_paths(device_type: str = "cpu", torch_include_dirs: bool = True) -> list[str]:
    """Return the folders with ``torch/extension.h``, flambeau's headers and pybind11's headers.

    Args:
        device_type: ``"cpu"``.
        torch_include_dirs: if False, return an empty list.
    Raises: OSError for another device, ModuleNotFoundError if pybind11 is not installed.
    """
    _require_cpu(device_type)
    return (
        [str(_OWN), *(str(path / "include") for path in _installed()), pybind11_include()] if torch_include_dirs else []
    )


def library_paths(
    device_type: str = "cpu", torch_include_dirs: bool = True, cross_target_platform: Any = None
) -> list[str]:
    """Return the folders of the libraries that extensions are linked to.

    Raises: OSError for devices other than the CPU.
    """
    _require_cpu(device_type)
    return [str(path / "lib") for path in _installed()] if torch_include_dirs else []


def _require_cpu(device_type: Any) -> None:
    if device_type is True or (isinstance(device_type, str) and device_type != "cpu"):
        raise OSError(NO_CUDA)


def _installed() -> list[Path]:
    """Return the folders of the package flambeau that have C++ headers."""
    return [path for path in map(Path, flambeau.__path__) if (path / "include" / "flambeau" / "tensor.h").exists()]


def pybind11_include() -> str:
    """Return the folder of pybind11's headers. Raises: ModuleNotFoundError if pybind11 is not installed."""
    spec = importlib.util.find_spec("pybind11")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("C++ extensions need pybind11: pip install flambeau-torch[cpp]", name="pybind11")
    return str(Path(spec.origin).parent / "include")


def get_cxx_compiler() -> str:
    """Return the command of the C++ compiler: the environment variable CXX, or ``c++`` if it is not set."""
    return os.environ.get("CXX", "c++")


def compiler_command() -> list[str]:
    """Return the command of the compiler as a list of words. Raises: RuntimeError if the compiler is not found."""
    words = shlex.split(get_cxx_compiler())
    if not words or shutil.which(words[0]) is None:
        raise RuntimeError(
            f"C++ extensions need a C++ compiler, but the command {get_cxx_compiler()!r} was not found; set the "
            "environment variable CXX to another one"
        )
    return words


def with_standard(flags: Iterable[str]) -> list[str]:
    """Return compiler flags that select C++20, which flambeau's headers require, or a later standard in ``flags``."""
    all_flags = list(flags)
    newer = [flag for flag in all_flags if re.fullmatch(r"-std=(?:c|gnu)\+\+2\w", flag)]
    others = [flag for flag in all_flags if not flag.startswith("-std=")]
    return [*others, newer[-1] if newer else STANDARD]


def python_include() -> str:
    """Return the folder of Python's headers."""
    return sysconfig.get_path("include")


def macros_of(name: str) -> list[tuple[str, str | None]]:
    """Return the macros with which an extension module ``name`` is compiled."""
    return [("TORCH_API_INCLUDE_EXTENSION_H", None), ("TORCH_EXTENSION_NAME", name.rpartition(".")[2])]


def is_ninja_available() -> bool:
    """Return True if the build tool ninja is installed. Extensions do not need it."""
    return shutil.which("ninja") is not None


def verify_ninja_availability() -> None:
    """Raise RuntimeError if the build tool ninja is not installed."""
    if not is_ninja_available():
        raise RuntimeError("Ninja is required to load C++ extensions (pip install ninja to get it)")


def check_compiler_is_gcc(compiler: str) -> bool:
    """Return True if a compiler is GCC."""
    words = shlex.split(compiler)
    if not words or shutil.which(words[0]) is None:
        return False
    output = subprocess.run([*words, "--version"], capture_output=True, text=True, check=False).stdout
    return "Free Software Foundation" in output


def check_compiler_ok_for_platform(compiler: str) -> bool:
    """Return True if ``compiler`` can compile extensions."""
    words = shlex.split(compiler)
    return bool(words) and shutil.which(words[0]) is not None


def get_compiler_abi_compatibility_and_version(compiler: str) -> tuple[bool, tuple[int, ...]]:
    """Return True if ``compiler`` can compile extensions, else False, and its version."""
    if not check_compiler_ok_for_platform(compiler):
        return False, (0,)
    command = [*shlex.split(compiler), "-dumpfullversion", "-dumpversion"]
    output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return True, tuple(map(int, re.findall(r"\d+", output)[:3])) or (0,)
