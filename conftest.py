"""Settings of all tests: random numbers that do not depend on other tests, and records of the tests that ran."""

import random
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

pytest_plugins = ["tools.executed.plugin"]

KEPT: dict[str, list[tuple[np.random.Generator, Any]]] = {}


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Give a test the same random numbers, whichever tests ran before it in the same process."""
    random.seed(0)
    np.random.seed(0)
    flambeau = sys.modules.get("flambeau")
    if flambeau is not None and hasattr(flambeau, "manual_seed"):  # absent if flambeau.data is tested alone
        flambeau.manual_seed(0)
    module = getattr(item, "module", None)
    for generator, state in generators_of(module) if module is not None else []:
        generator.bit_generator.state = state


def generators_of(module: ModuleType) -> list[tuple[np.random.Generator, Any]]:
    """Return the NumPy generators that a module of tests keeps, with their states after its import."""
    if module.__name__ not in KEPT:
        found = [value for value in vars(module).values() if isinstance(value, np.random.Generator)]
        KEPT[module.__name__] = [(generator, generator.bit_generator.state) for generator in found]
    return KEPT[module.__name__]
