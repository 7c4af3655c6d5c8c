"""Environment report for bug reports: ``python -m flambeau.utils.collect_env`` prints it.

It does not contain the names of the user or the machine, or the identifier of a GPU.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import flambeau

__all__ = ["SystemEnv", "get_env_info", "get_pretty_env_info", "main"]

_PACKAGES = ("flambeau", "torch", "numpy", "scipy", "cupy", "nvidia", "safetensors", "mypy", "onnx", "triton")
_FORMAT = """\
flambeau version: {flambeau_version}
Instruction set: {instruction_set}
Threads: {num_threads}

OS: {os}
GCC version: {gcc_version}
Clang version: {clang_version}
CMake version: {cmake_version}
Libc version: {libc_version}

Python version: {python_version}
Python platform: {python_platform}
Is CUDA available: {is_cuda_available}
CUDA runtime version: {cuda_runtime_version}
CUDA_MODULE_LOADING set to: {cuda_module_loading}
GPU models and configuration: {nvidia_gpu_models}
Nvidia driver version: {nvidia_driver_version}
cuDNN version: {cudnn_version}

CPU:
{cpu_info}

Versions of relevant libraries:
{pip_packages}
"""


class SystemEnv(NamedTuple):
    """Description of the environment. None means that a value could not be determined.

    >>> from flambeau.utils.collect_env import SystemEnv
    >>> SystemEnv._fields[:3]
    ('flambeau_version', 'instruction_set', 'num_threads')
    """

    flambeau_version: str
    instruction_set: str
    num_threads: int
    os: str
    gcc_version: str | None
    clang_version: str | None
    cmake_version: str | None
    libc_version: str
    python_version: str
    python_platform: str
    is_cuda_available: bool
    cuda_runtime_version: str | None
    cuda_module_loading: str
    nvidia_gpu_models: str | None
    nvidia_driver_version: str | None
    cudnn_version: int | None
    cpu_info: str
    pip_packages: str


def get_env_info() -> SystemEnv:
    """Return a description of the environment.

    >>> from flambeau.utils.collect_env import get_env_info
    >>> get_env_info().flambeau_version
    '0.1.0'
    """
    return SystemEnv(
        flambeau_version=flambeau.__version__,
        instruction_set=flambeau.backends.cpu.get_cpu_capability(),
        num_threads=flambeau.get_num_threads(),
        os=_system(),
        gcc_version=_reported("gcc", r"gcc (.*)"),
        clang_version=_reported("clang", r"clang version (.*)"),
        cmake_version=_reported("cmake", r"cmake version (.*)"),
        libc_version="-".join(platform.libc_ver()),
        python_version=f"{' '.join(sys.version.split())} ({sys.maxsize.bit_length() + 1}-bit runtime)",
        python_platform=platform.platform(),
        is_cuda_available=flambeau.cuda.is_available(),
        cuda_runtime_version=flambeau.version.cuda,
        cuda_module_loading=os.environ.get("CUDA_MODULE_LOADING", "N/A"),
        nvidia_gpu_models=_gpus(),
        nvidia_driver_version=_driver(),
        cudnn_version=flambeau.backends.cudnn.version(),
        cpu_info=_processor(),
        pip_packages=_installed(),
    )


def get_pretty_env_info() -> str:
    """Return the description of the environment as text.

    >>> from flambeau.utils.collect_env import get_pretty_env_info
    >>> get_pretty_env_info().splitlines()[0]
    'flambeau version: 0.1.0'
    """
    known = get_env_info()._asdict()
    if not known["is_cuda_available"]:
        known.update(dict.fromkeys(("cuda_runtime_version", "nvidia_gpu_models", "cudnn_version"), "No CUDA"))
    return _FORMAT.format(**{name: _display(value) for name, value in known.items()})


def _display(value: object) -> str:
    if isinstance(value, bool):
        return "Yes" if value else "No"
    return "Could not collect" if value in (None, "") else str(value)


def _output(*command: str) -> str | None:
    """Return the output of a program, or None if it does not exist or fails."""
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout.strip() if done.returncode == 0 else None


def _reported(program: str, pattern: str) -> str | None:
    """Return the version that ``pattern`` finds in the output of ``program --version``, or None."""
    match = re.search(pattern, _output(program, "--version") or "")
    return match[1] if match else None


def _system() -> str:
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        name = platform.system()
    return f"{name} ({platform.machine()})"


def _gpus() -> str | None:
    cuda = flambeau.cuda
    models = [f"GPU {index}: {cuda.get_device_name(index)}" for index in range(cuda.device_count())]
    return "\n".join(models) or None


def _driver() -> str | None:
    output = _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    return output.splitlines()[0] if output else None


def _processor() -> str:
    """Return the output of ``lscpu`` or, if not available, the processor model."""
    if output := _output("lscpu"):
        return output
    known = Path("/proc/cpuinfo")
    match = re.search(r"model name\s*:\s*(.*)", known.read_text()) if known.exists() else None
    return match[1] if match else platform.processor()


def _installed() -> str:
    names = {(each.metadata["Name"] or "").lower(): each.version for each in metadata.distributions()}
    lines = [f"[pip3] {name}=={names[name]}" for name in sorted(names) if any(part in name for part in _PACKAGES)]
    return "\n".join(lines) or "No relevant packages"


def main() -> None:
    """Print the description of the environment.

    >>> import contextlib, io
    >>> from flambeau.utils import collect_env
    >>> with contextlib.redirect_stdout(io.StringIO()) as output:
    ...     collect_env.main()
    >>> output.getvalue().splitlines()[:2]
    ['Collecting environment information...', 'flambeau version: 0.1.0']
    """
    print("Collecting environment information...")
    print(get_pretty_env_info(), end="")


if __name__ == "__main__":
    main()
