"""Tests of modules in several processes, which tensor-core's tests know how to start."""

import sys
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path[:0] = [str(FOLDER), str(FOLDER.parents[2] / "tensor-core" / "tests" / "distributed")]

from rank_fixtures import _ended, one_process, ranks, three_ranks  # noqa: E402, F401
