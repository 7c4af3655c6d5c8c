"""Tests of optimizers in several processes, which tensor-core's tests know how to start."""

import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
sys.path[:0] = [str(FOLDER), str(FOLDER.parents[2] / "tensor-core" / "tests" / "distributed")]

from rank_fixtures import _ended, ranks, three_ranks  # noqa: E402, F401

from flambeau import distributed  # noqa: E402


@pytest.fixture
def one_process():
    """A group of this process alone, which needs no MPI."""
    distributed.init_process_group(store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()
