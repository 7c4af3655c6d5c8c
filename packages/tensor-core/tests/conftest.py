"""Settings of the whole suite: Hypothesis is deterministic, and global state is restored after each test."""

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import flambeau as fb

sys.path.insert(0, str(Path(__file__).parent))  # for modules that several tests share
sys.path.insert(0, str(Path(__file__).parent / "emulator"))

from example_kernels import image, module  # noqa: F401
from machine import library, machine  # noqa: F401

settings.register_profile(
    "repeatable",
    derandomize=True,
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],  # depends on time, and the machine may be busy
)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def unchanged_state():
    threads, dtype = fb.get_num_threads(), fb.get_default_dtype()
    yield
    fb.set_default_dtype(dtype)
    if fb.get_num_threads() != threads:
        fb.set_num_threads(threads)
