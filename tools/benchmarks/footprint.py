"""Import time, installed size and memory: what a library costs before it computes anything.

1 MB is 10**6 bytes. Import time and memory are measured in separate processes that do nothing else.
"""

from __future__ import annotations

import importlib.metadata as metadata
import json
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

IMPORT_TIME = """
import time, numpy
start = time.perf_counter_ns()
import {name}
print((time.perf_counter_ns() - start) / 1e6)
"""

FIRST_USE = """
import time, numpy, {name}
start = time.perf_counter_ns()
x = {name}.ones(4, device="cuda")
assert (x + x).sum().item() == 8.0
print((time.perf_counter_ns() - start) / 1e6)
"""

RESIDENT_MEMORY = """
import {name}, sys
try:
    with open("/proc/self/status") as status:
        print(next(int(line.split()[1]) * 1024 / 1e6 for line in status if line.startswith("VmRSS:")))
except FileNotFoundError:
    import resource
    unit = 1 if sys.platform == "darwin" else 1024
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6)
"""


def import_ms(name: str, repeats: int = 7, environment: Mapping[str, str] = MappingProxyType({})) -> float:
    """Return the median time in ms of ``import name`` after NumPy is imported, with the files in the page cache."""
    _run_and_read(IMPORT_TIME, name, environment)
    return statistics.median(_run_and_read(IMPORT_TIME, name, environment) for _ in range(repeats))


def gpu_import_ms(name: str) -> float:
    """Return the time in ms that visible GPUs add to ``import name``, compared with an import without GPUs."""
    return import_ms(name) - import_ms(name, environment={"CUDA_VISIBLE_DEVICES": ""})


def first_use_ms(name: str, repeats: int = 3) -> float:
    """Return the median time in ms from ``import name`` to the first result from the GPU, with warm caches."""
    _run_and_read(FIRST_USE, name)
    return statistics.median(_run_and_read(FIRST_USE, name) for _ in range(repeats))


def resident_mb(name: str, repeats: int = 3) -> float:
    """Return the median resident memory in MB of a process after ``import name``."""
    return statistics.median(_run_and_read(RESIDENT_MEMORY, name) for _ in range(repeats))


def installed_mb(name: str) -> float:
    """Return the size in MB of the files of a distribution and its dependencies, without NumPy and Pillow."""
    return sum(map(_size, _closure(_roots(name), without={"numpy", "pillow"}))) / 1e6


def _run_and_read(program: str, name: str, environment: Mapping[str, str] = MappingProxyType({})) -> float:
    command = [sys.executable, "-P", "-c", program.format(name=name)]
    child = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})
    if child.returncode:
        last_line = (child.stderr.strip() or f"exit status {child.returncode}").splitlines()[-1]
        raise RuntimeError(last_line)
    return float(child.stdout)


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _roots(name: str) -> list[str]:
    """Return ``[name]`` if this distribution is installed, otherwise the installed distributions ``name-...``."""
    installed = {_canonical(distribution.name) for distribution in metadata.distributions()}
    roots = [name] if name in installed else sorted(other for other in installed if other.startswith(f"{name}-"))
    if not roots:
        raise metadata.PackageNotFoundError(name)
    return roots


def _closure(roots: Iterable[str], without: set[str]) -> list[metadata.Distribution]:
    """Return the installed distributions reachable from ``roots`` through requirements that are not extras."""
    waiting, distributions = list(roots), dict[str, metadata.Distribution]()
    while waiting:
        name = _canonical(waiting.pop())
        if name in distributions or name in without:
            continue
        try:
            distributions[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # a requirement of another platform
        for requirement in distributions[name].requires or ():
            if not re.search(r"\bextra\s*==", requirement):
                waiting.append(re.split(r"[^\w.-]", requirement, maxsplit=1)[0])
    return list(distributions.values())


def _size(distribution: metadata.Distribution) -> int:
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    if origin.get("dir_info", {}).get("editable"):
        raise RuntimeError(f"{distribution.name} is an editable install, its wheel's size is not known")
    if distribution.files is None:
        raise RuntimeError(f"{distribution.name} does not list its files")
    paths = (Path(str(file.locate())) for file in distribution.files)
    return sum(path.stat().st_size for path in paths if path.exists())
