"""Shared fixtures: the packages of the repository, as described by their pyproject.toml files."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

import flambeau as fb

ROOT = Path(__file__).resolve().parents[1]
PROJECTS = {
    path.parent.name: tomllib.loads(path.read_text()) for path in sorted(ROOT.glob("packages/*/pyproject.toml"))
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test with a parameter ``package`` once for every package."""
    if "package" in metafunc.fixturenames:
        metafunc.parametrize("package", PROJECTS)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Seed the random number generators, so that tests are repeatable."""
    fb.manual_seed(0)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def projects() -> dict[str, dict[str, Any]]:
    """Return the parsed pyproject.toml of each package by its folder."""
    return PROJECTS
