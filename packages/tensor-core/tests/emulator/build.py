"""Builds the emulated CUDA driver and NVRTC: one shared library, with the prelude of the kernels beside it."""

import fcntl
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
LIBRARY = "libemulatedcuda.so"
DRIVER = ("state", "memory", "devices", "copies", "streams", "graphs", "modules")
OTHERS = tuple(HERE / f"{name}.cpp" for name in ("nvrtc", "execution", "fiber"))
PRELUDE = ("emulation.h", "emulated_functions.h", "kernel_interface.h")
KERNEL_OPTIONS = ["-std=c++20", "-O1", "-fPIC", "-w", "-fno-exceptions", "-ffp-contract=off"]
KERNEL_OPTIONS += ["-fno-gnu-unique", "-fvisibility=hidden"]  # modules share nothing
KERNEL_OPTIONS += [
    "-fsanitize=alignment,bounds,shift-exponent",
    "-fno-sanitize-recover=all",
]  # emulation.h reports them
if " fma " in Path("/proc/cpuinfo").read_text():  # the functions of fused products are then instructions, as on a GPU
    KERNEL_OPTIONS.append("-mfma")


def build(folder):
    """The path of libemulatedcuda.so in ``folder``, compiled there if its sources are newer.

    Processes may share a folder: the first compiles. FLAMBEAU_CUDA_DRIVER and FLAMBEAU_NVRTC name the library to
    flambeau.
    """
    folder = Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return compile_into(folder)


def compile_into(folder):
    library = folder / LIBRARY
    newest = max(path.stat().st_mtime for path in HERE.iterdir() if path.is_file())
    if library.exists() and library.stat().st_mtime > newest:
        return library
    compiler = os.environ.get("CXX") or "g++"
    for name in PRELUDE:
        shutil.copy2(HERE / name, folder)
    # Compiled together the driver's files take a third of the time, most of which goes into the same headers.
    driver = folder / "driver.cpp"
    driver.write_text("".join(f'#include "{name}.cpp"\n' for name in DRIVER))
    options = ", ".join(f'"{option}"' for option in KERNEL_OPTIONS)
    common = [compiler, "-std=c++20", "-O1", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror", f"-I{HERE}"]
    common.append(f"-DEMULATED_KERNEL_OPTIONS={options}")
    objects = [str(folder / f"{source.stem}.o") for source in (driver, *OTHERS)]
    commands = [
        [*common, "-c", str(source), "-o", object] for source, object in zip((driver, *OTHERS), objects, strict=True)
    ]
    # A compiler takes the precompiled prelude only with the options that it was made with.
    prelude = folder / "emulation.h"
    commands.insert(1, [compiler, *KERNEL_OPTIONS, "-x", "c++-header", str(prelude), "-o", f"{prelude}.gch"])
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, commands))
    run([compiler, "-shared", *objects, "-o", str(library), "-ldl", "-pthread"])
    return library


def run(command):
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{result.stdout}{result.stderr}")


if __name__ == "__main__":
    print(build(sys.argv[1]))
