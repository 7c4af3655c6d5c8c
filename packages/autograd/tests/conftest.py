"""Make shared test modules importable. Fixtures: restore global state after each test, and measure allocated memory."""

import gc
import sys
from pathlib import Path

import pytest

import flambeau as fb

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def unchanged_state():
    threads = fb.get_num_threads()
    yield
    assert fb.is_grad_enabled()
    if fb.get_num_threads() != threads:
        fb.set_num_threads(threads)


@pytest.fixture
def allocated():
    """Return a function that measures the bytes allocated for tensors since the test began."""
    gc.collect()
    before = fb.memory_allocated()
    return lambda: fb.memory_allocated() - before
