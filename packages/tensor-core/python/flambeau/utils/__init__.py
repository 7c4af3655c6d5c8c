"""Counterpart of ``torch.utils``. Other distributions add modules to it. Each module is imported on first use."""

import importlib
import pkgutil
from typing import Any

from flambeau import _public_names, _suggestions
from flambeau._distributions import DISTRIBUTIONS

from ._swapping import swap_tensors

__all__ = ["swap_tensors"]

__path__ = pkgutil.extend_path(__path__, __name__)


def __getattr__(name: str) -> Any:
    try:
        return importlib.import_module(f"flambeau.utils.{name}")  # `flambeau.torch` gives the module another name
    except ModuleNotFoundError as error:
        if error.name != f"flambeau.utils.{name}" or f"utils.{name}" in DISTRIBUTIONS:
            raise
        raise _suggestions.unknown_attribute(__name__, name) from None


def __dir__() -> list[str]:
    return _public_names.public_names(globals())
