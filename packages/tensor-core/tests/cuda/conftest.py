"""Tests of the CUDA backend: on a GPU, or with ``--emulated-gpu``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "emulator"))

from gpu_fixtures import gpu, host_calls, pytest_addoption, pytest_configure, without_cupy  # noqa: F401
