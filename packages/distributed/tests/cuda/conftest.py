"""Fixtures for tests with several processes that each use one GPU, or an emulated one with ``--emulated-gpu``."""

import importlib.util
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "tensor-core" / "tests" / "emulator"))
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

import pytest
from gpu_fixtures import gpu, host_calls, pytest_addoption, pytest_configure  # noqa: F401
from rank_fixtures import _ended, pool  # noqa: F401

import flambeau as fb


def _ranks(size, backend, monkeypatch):
    """Return ranks whose emulated GPUs, if they are emulated, delay work as long as possible."""
    if "FLAMBEAU_CUDA_DRIVER" not in os.environ and fb.cuda.device_count() < size:
        pytest.skip(f"needs {size} GPUs, or --emulated-gpu")
    if not fb._core._cuda_nccl_version():
        pytest.skip("NCCL is not installed")
    monkeypatch.setenv("FLAMBEAU_EMULATED_DEVICES", str(size))
    monkeypatch.setenv("FLAMBEAU_EMULATED_DEFERRED", "1")
    return pool(size, backend)


@pytest.fixture
def ranks(_ended, monkeypatch):  # noqa: F811
    """Two ranks that use NCCL only."""
    return _ranks(2, "nccl", monkeypatch)


@pytest.fixture
def three_ranks(_ended, monkeypatch):  # noqa: F811
    """Three ranks that use NCCL only."""
    return _ranks(3, "nccl", monkeypatch)


@pytest.fixture
def mixed_ranks(_ended, monkeypatch):  # noqa: F811
    """Two ranks that use MPI for CPU tensors and NCCL for GPU tensors."""
    if importlib.util.find_spec("mpi4py") is None:
        pytest.skip("mpi4py is not installed")
    return _ranks(2, "cpu:gloo,cuda:nccl", monkeypatch)
