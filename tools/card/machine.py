"""Properties of the machine: GPU, driver and programs, determined without flambeau."""

from __future__ import annotations

import ctypes
import datetime
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

from .setting import ROOT, Setting

DRIVER = "libcuda.so.1"
NO_DEVICE = 100  # CUDA_ERROR_NO_DEVICE
QUERY = "name,driver_version,memory.total,compute_cap"
VERSIONS = """
import importlib.metadata, json
names = ("numpy", "torch", "cupy-cuda13x", "cupy-cuda12x", "pytest", "nvidia-cudnn-cu13", "nvidia-cublas")
installed = {d.name.lower(): d.version for d in importlib.metadata.distributions() if d.name}
print(json.dumps({name: installed[name] for name in names if name in installed}))
"""


def printed(command: list[str], environment: Mapping[str, str] | None = None, seconds: float = 60.0) -> str | None:
    """Return what a command prints, or None if it cannot be run, fails or takes too long."""
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=seconds, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def gpu_obstacle(driver: str = DRIVER) -> str | None:
    """Return a sentence that says why no GPU can be used, or None if the driver finds a GPU."""
    try:
        library = ctypes.CDLL(driver)
    except OSError:
        return f"There is no NVIDIA driver: {driver} cannot be opened. Use --emulated for a rehearsal without a GPU."
    count = ctypes.c_int(0)
    error = library.cuInit(0) or library.cuDeviceGetCount(ctypes.byref(count))
    if error == NO_DEVICE or (not error and not count.value):
        return "The NVIDIA driver finds no GPU."
    return f"The NVIDIA driver cannot be initialised: cuInit returned {error}." if error else None


def tool(name: str) -> str | None:
    """Return the path of a program of the driver or of the CUDA toolkit, or None if it is not found."""
    toolkits = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), "/usr/local/cuda", "/usr/local/nvidia"]
    folders = [os.environ.get("PATH", ""), *(f"{folder}/bin" for folder in toolkits if folder)]
    return shutil.which(name, path=os.pathsep.join(folders))


def without_flambeau(setting: Setting) -> list[str]:
    """Return a list with the reason why programs that use flambeau cannot run, or an empty list."""
    if setting.emulated or setting.given_python:
        missing = printed([setting.python, "-c", "import flambeau"]) is None
        return [f"{setting.python} cannot import flambeau."] if missing else []
    ready = setting.built_python.exists() and printed([setting.python, "-c", "import flambeau.nn, flambeau.optim"])
    return [] if ready is not None and ready is not False else ["flambeau is not installed: run the stage build first."]


def without_gpu(setting: Setting) -> list[str]:
    """Return sentences about everything that this machine lacks for a stage that runs flambeau on a GPU."""
    obstacle = None if setting.emulated else gpu_obstacle()
    return [obstacle] if obstacle else without_flambeau(setting)


def without_pytorch(setting: Setting) -> list[str]:
    """Return sentences about everything that this machine lacks to compare flambeau with PyTorch on a GPU."""
    if missing := without_gpu(setting):
        return missing
    code = "import torch; print(torch.version.cuda, torch.cuda.is_available())"
    output = printed([setting.python, "-c", code], setting.environment)
    if output is None:
        return ["PyTorch is not installed, so there is nothing to compare with."]
    build, usable = output.split()
    if build == "None":
        return ["PyTorch is installed without CUDA: install its CUDA build to compare with it."]
    return [] if usable == "True" else [f"PyTorch for CUDA {build} cannot use the GPU."]


def without_sanitizer(setting: Setting) -> list[str]:
    """Return sentences about everything that this machine lacks for a stage that runs under compute-sanitizer."""
    if missing := without_gpu(setting):
        return missing
    advice = "it is part of the CUDA toolkit (set CUDA_HOME if it is installed elsewhere)."
    return [] if tool("compute-sanitizer") else [f"compute-sanitizer is not found: {advice}"]


def describe(setting: Setting) -> dict[str, Any]:
    """Return a description of the machine, the versions and the commit for a result file."""
    smi, compiler = tool("nvidia-smi"), tool("nvcc")
    gpu = printed([smi, f"--query-gpu={QUERY}", "--format=csv,noheader"]) if smi else None
    release = re.search(r"release (.*)", printed([compiler, "--version"]) or "") if compiler else None
    return {
        "gpu": "emulated" if setting.emulated else gpu or gpu_obstacle() or "unknown: there is no nvidia-smi",
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "nvcc": release[1] if release else None,
        "compute-sanitizer": tool("compute-sanitizer"),
        "versions": printed([setting.python, "-c", VERSIONS]),
        "commit": printed(["git", "describe", "--always", "--dirty"]),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
