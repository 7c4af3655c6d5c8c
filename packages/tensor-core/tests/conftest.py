"""Settings of the whole suite: Hypothesis is seeded, and the global state a test changes is put back."""

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import flambeau as fb

sys.path.insert(0, str(Path(__file__).parent))  # what tests share lies beside them
sys.path.insert(0, str(Path(__file__).parent / "emulator"))

from machine import library, machine  # noqa: F401

settings.register_profile(
    "repeatable",
    derandomize=True,
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],  # both measure time, and a machine may be busy
)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def unchanged_state():
    threads, dtype = fb.get_num_threads(), fb.get_default_dtype()
    yield
    fb.set_default_dtype(dtype)
    if fb.get_num_threads() != threads:
        fb.set_num_threads(threads)
