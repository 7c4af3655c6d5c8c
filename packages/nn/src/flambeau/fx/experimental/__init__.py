"""What PyTorch keeps under this name; each module loads when it is used."""

from __future__ import annotations

import importlib
from typing import Any

from flambeau import _public_names

__all__ = ["optimization"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'", name=name)


def __dir__() -> list[str]:
    return _public_names.public_names(globals(), __all__)
