"""Fixtures for tests with several processes that each use one GPU, or an emulated one with ``--emulated-gpu``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "tensor-core" / "tests" / "emulator"))
sys.path.insert(0, str(Path(__file__).parents[1]))

from gpu_fixtures import gpu, host_calls, pytest_addoption, pytest_configure  # noqa: F401
from rank_fixtures import _ended  # noqa: F401
