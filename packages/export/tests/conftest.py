"""Settings of the whole suite: the tables of layers that nn's tests have, and files beside this one, are found, and
random numbers repeat."""

import sys
from pathlib import Path

import pytest

import flambeau as fb

sys.path[:0] = [str(Path(__file__).parents[2] / "nn" / "tests"), str(Path(__file__).parent)]


@pytest.fixture(autouse=True)
def seeded():
    fb.manual_seed(0)
