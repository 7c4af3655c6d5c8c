"""Fixtures for tests of data-parallel modules in several processes."""

import sys
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path[:0] = [str(FOLDER), str(FOLDER.parent)]

from rank_fixtures import _ended, one_process, ranks, three_ranks  # noqa: E402, F401
