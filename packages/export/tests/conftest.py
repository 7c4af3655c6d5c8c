"""Settings of all tests: import paths of nn's tables of layers and of this folder, and fixed seeds."""

import sys
from pathlib import Path

import pytest

import flambeau as fb

sys.path[:0] = [str(Path(__file__).parents[2] / "nn" / "tests"), str(Path(__file__).parent)]


@pytest.fixture(autouse=True)
def seeded():
    fb.manual_seed(0)
