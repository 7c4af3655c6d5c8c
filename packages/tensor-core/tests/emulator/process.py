"""Run programs in separate processes, to configure the emulated GPU or to inject errors into its functions."""

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
    """Return environment variables that select the emulated GPU, with or without its cuBLASLt and cuDNN."""
    paths = {f"FLAMBEAU_{name}": str(library) for name in ("CUDA_DRIVER", "NVRTC", "NCCL")}
    # Without the libraries, flambeau uses its own kernels. "none" prevents it from loading installed libraries.
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
