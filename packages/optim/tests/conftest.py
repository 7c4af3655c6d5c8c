"""Settings of the whole suite: random numbers repeat."""

import pytest

import flambeau as fb


@pytest.fixture(autouse=True)
def seeded():
    fb.manual_seed(0)
