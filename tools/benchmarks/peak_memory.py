"""Peak memory of a model's calls: ``python -m benchmarks.peak_memory LIBRARY ENGINE THREADS KEY`` prints it in MB.

The program runs only on Linux, since it reads the resident memory and its peak from /proc and resets the peak there.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from .process import Settings, Side, environment, module_command

WARM_UP, CALLS = 2, 3
IDLE_SECONDS = 2.0  # time after which allocators have returned unused memory


def measure_peak(library: str, engine: str, threads: int, key: str) -> float:
    """Return the peak increase of resident memory during calls of a model in a new process, in MB (10^6 bytes)."""
    command = module_command(Side(library), "peak_memory", library, engine, str(threads), key)
    child = subprocess.run(command, capture_output=True, text=True, env=environment(Settings(threads)))
    if child.returncode:
        raise RuntimeError((child.stderr.strip() or f"exit status {child.returncode}").splitlines()[-1])
    return float(child.stdout.split()[-1])


def process_memory(field: str) -> float:
    """Return a field of the process's status, VmRSS or VmHWM, in MB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(f"{field}:"))


def main() -> None:
    """Print the peak of this process's memory during calls of a compiled model, minus its memory before."""
    from .worker import describe
    from .workload import Library
    from .workloads import compiled

    name, engine, threads, key = sys.argv[1:]
    library, model = Library(name, engine=engine), compiled.model_of(key)
    describe(library, int(threads))
    inputs = model.inputs(library, model.batch)
    call = library.compiled(compiled.network(library, model), fullgraph=True)
    time.sleep(IDLE_SECONDS)
    before = process_memory("VmRSS")
    for _ in range(WARM_UP):
        call(*inputs)
    time.sleep(IDLE_SECONDS)
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    for _ in range(CALLS):
        call(*inputs)
    print(process_memory("VmHWM") - before)


if __name__ == "__main__":
    main()
