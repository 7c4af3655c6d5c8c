"""Make this folder and nn's tables of layers importable, and seed the random numbers before each test."""

import sys
from pathlib import Path

import pytest

import flambeau as fb

sys.path[:0] = [str(Path(__file__).parents[2] / "nn" / "tests"), str(Path(__file__).parent)]


@pytest.fixture(autouse=True)
def seeded():
    fb.manual_seed(0)
