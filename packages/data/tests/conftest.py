"""Fixtures. Every test of this folder passes with and without tensor-core installed."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

FLAMBEAU = importlib.import_module("flambeau")


@pytest.fixture
def has_tensors() -> bool:
    return hasattr(FLAMBEAU, "Tensor")


@pytest.fixture(autouse=True)
def seeded(has_tensors: bool) -> None:
    """Seed the default generators, so that shuffles without a generator are reproducible."""
    np.random.seed(0)
    if has_tensors:
        FLAMBEAU.manual_seed(0)


@pytest.fixture
def fb(has_tensors: bool) -> ModuleType:
    if not has_tensors:
        pytest.skip("flambeau-tensor-core is not installed")
    return FLAMBEAU


@pytest.fixture
def same(has_tensors: bool) -> Callable[[Any, np.ndarray], bool]:
    """Return a function that checks the type, values and dtype of a batch."""

    def check(batch: Any, expected: np.ndarray) -> bool:
        array = np.asarray(batch)
        kind = isinstance(batch, FLAMBEAU.Tensor) if has_tensors else type(batch) is np.ndarray
        return kind and (array.dtype, array.shape) == (expected.dtype, expected.shape) and (array == expected).all()

    return check
