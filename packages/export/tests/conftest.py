"""Settings of the whole suite: the tables of layers that nn's tests have are found, and random numbers repeat."""

import sys
from pathlib import Path

import pytest

import flambeau as fb

sys.path.insert(0, str(Path(__file__).parents[2] / "nn" / "tests"))


@pytest.fixture(autouse=True)
def seeded():
    fb.manual_seed(0)
