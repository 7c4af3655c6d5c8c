"""Programs in processes of their own, which ask for an emulated GPU of another kind, or make its functions fail."""

import os
import subprocess
import sys

PRELUDE = """
import ctypes, os
import flambeau as fb
emulator = ctypes.CDLL(os.environ["FLAMBEAU_CUDA_DRIVER"])
fail = lambda name, error, after=1: emulator.emulated_fail(name.encode(), error, after)
counts = lambda name: emulator.emulated_counts(name.encode())
"""


def variables(library, with_libraries=False):
    """Return the environment variables of a process that has the emulated GPU, with or without its libraries."""
    paths = {f"FLAMBEAU_{name}": str(library) for name in ("CUDA_DRIVER", "NVRTC", "NCCL")}
    # flambeau's own kernels are tested without the libraries, and no other libraries are to be found.
    others = {f"FLAMBEAU_{name}": str(library) if with_libraries else "none" for name in ("CUBLASLT", "CUDNN")}
    return {**paths, **others, "FLAMBEAU_CACHE": str(library.parent / "cache")}


def run(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + code],
        env={**os.environ, **{name: str(value) for name, value in environment.items()}},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
