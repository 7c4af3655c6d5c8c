"""A context manager for backend settings that have no effect."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import ModuleType
from typing import Any


@contextlib.contextmanager
def switched(module: ModuleType, **switches: Any) -> Iterator[None]:
    """Set attributes of a module and restore them at the end of the block."""
    former = {name: getattr(module, name) for name in switches}
    for name, value in switches.items():
        setattr(module, name, value)
    try:
        yield
    finally:
        for name, value in former.items():
            setattr(module, name, value)
