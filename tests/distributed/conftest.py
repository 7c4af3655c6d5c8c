"""Fixtures for tests with several processes, from the tests of flambeau-distributed."""

import sys
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path[:0] = [str(FOLDER), str(FOLDER.parents[1] / "packages" / "distributed" / "tests")]

from rank_fixtures import _ended, ranks, three_ranks  # noqa: E402, F401
