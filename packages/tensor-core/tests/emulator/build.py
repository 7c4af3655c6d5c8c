"""Build the emulated CUDA driver, NVRTC and libraries: one shared library, next to a copy of the kernels' prelude."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
DRIVER = ("state", "memory", "devices", "copies", "streams", "graphs", "modules")
OTHERS = tuple(HERE / f"{name}.cpp" for name in ("nvrtc", "execution", "fiber", "cublaslt", "cudnn", "cudnn_graph"))
OTHERS += tuple(HERE / f"{name}.cpp" for name in ("nccl", "nccl_communicator_group"))
PRELUDE = ("emulation.h", "emulated_functions.h", "emulated_matrix_units.h", "kernel_interface.h")
KERNEL_OPTIONS = ["-std=c++20", "-O1", "-fPIC", "-w", "-fno-exceptions"]
KERNEL_OPTIONS += ["-fwrapv", "-ffp-contract=fast"]  # the arithmetic of a GPU
KERNEL_OPTIONS += ["-fno-gnu-unique", "-fvisibility=hidden"]  # modules share no symbols
KERNEL_OPTIONS += ["-fsanitize=alignment,bounds,shift-exponent", "-fno-sanitize-recover=all"]  # see emulation.h
if " fma " in Path("/proc/cpuinfo").read_text():  # fma() is then an instruction, as on a GPU
    KERNEL_OPTIONS.append("-mfma")


def build(folder=None):
    """Return the path of libemulatedcuda.so, compiling it if ``folder`` has no build of these sources.

    Several processes may use the same folder; the first one compiles. By default it is in the folder for temporary
    files, one per user. To use the library, set FLAMBEAU_CUDA_DRIVER, FLAMBEAU_NVRTC etc. to its path. The emulated
    driver loads only kernels that the emulated NVRTC compiled.
    """
    folder = Path(folder or Path(tempfile.gettempdir()) / f"flambeau-emulator-{os.getuid()}").resolve()
    digest = hashlib.sha256(repr(KERNEL_OPTIONS).encode())
    for path in (*sorted(HERE.glob("*.cpp")), *sorted(HERE.glob("*.h")), Path(__file__)):
        digest.update(path.read_bytes())
    folder = folder / digest.hexdigest()[:16]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    library = folder / "libemulatedcuda.so"
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not library.exists():
            compile_into(folder, library)
    return library


def compile_into(folder, library):
    for name in PRELUDE:
        shutil.copy2(HERE / name, folder)
    # The driver's files are compiled together, which takes a third of the time, because they share most headers.
    driver = folder / "driver.cpp"
    driver.write_text("".join(f'#include "{name}.cpp"\n' for name in DRIVER))
    options = ", ".join(f'"{option}"' for option in KERNEL_OPTIONS)
    common = ["g++", "-std=c++20", "-O1", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra", f"-I{HERE}"]
    common += [f"-DEMULATED_KERNEL_OPTIONS={options}", f'-DEMULATED_BUILD="{folder.name}"']
    objects = {source: str(folder / f"{source.stem}.o") for source in (driver, *OTHERS)}
    commands = [[*common, "-c", str(source), "-o", object] for source, object in objects.items()]
    # The precompiled prelude must be compiled with the same options as the kernels.
    prelude = folder / "emulation.h"
    commands.insert(1, ["g++", *KERNEL_OPTIONS, "-x", "c++-header", str(prelude), "-o", f"{prelude}.gch"])
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, commands))
    run(["g++", "-shared", *objects.values(), "-o", str(library), "-ldl", "-pthread"])


def run(command):
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{result.stdout}{result.stderr}")


if __name__ == "__main__":
    print(build(*sys.argv[1:]))
