"""Image datasets, transforms and models.

Each part loads on first use: reading a dataset does not import ``flambeau.nn``.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

__all__ = ["datasets", "io", "models", "ops", "transforms", "tv_tensors", "utils"]


def __getattr__(name: str) -> ModuleType | str:
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    if name == "__version__":  # all packages have one
        return importlib.import_module("flambeau").__version__  # type: ignore[no-any-return]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=sys.modules[__name__])


def __dir__() -> list[str]:
    return sorted(__all__)
