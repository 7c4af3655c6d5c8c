"""A fixture for tests in which flambeau draws the random numbers of PyTorch."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import flambeau as fb


@pytest.fixture
def pytorch_streams() -> Iterator[None]:
    fb.random.use_pytorch_streams()
    yield
    fb.random.use_pytorch_streams(False)
