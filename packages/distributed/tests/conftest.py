"""Fixtures for tests with several processes."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from rank_fixtures import _ended, ranks, three_ranks  # noqa: F401
