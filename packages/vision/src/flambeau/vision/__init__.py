"""Image datasets, transforms and models.

Each submodule is imported at first use, so reading a dataset does not import ``flambeau.nn``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from flambeau import _suggestions

if TYPE_CHECKING:
    from . import datasets, io, models, ops, transforms, tv_tensors, utils

__all__ = ["datasets", "io", "models", "ops", "transforms", "tv_tensors", "utils"]


def _load(name: str) -> Any:
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    if name == "__version__":  # all packages have the same version
        return importlib.import_module("flambeau").__version__
    raise _suggestions.unknown_attribute(__name__, name)


if TYPE_CHECKING:  # a type checker that sees __getattr__ does not report names that do not exist
    __version__: str
else:
    __getattr__ = _load


def __dir__() -> list[str]:
    return sorted(__all__)
