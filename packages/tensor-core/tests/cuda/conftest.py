"""Tests of the CUDA backend: on a GPU, or with ``--emulated-gpu``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "emulator"))

from gpu_fixtures import (  # noqa: F401
    gpu,
    host_calls,
    matrix_dtype,
    pytest_addoption,
    pytest_configure,
    tf32,
    without_cupy,
)
