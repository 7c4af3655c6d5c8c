"""Names of ``torch.utils._import_utils``: functions that find out whether a package is installed."""

import functools
import importlib.util

__all__ = ["_check_module_exists", "dill_available"]


@functools.cache
def _check_module_exists(name: str) -> bool:
    """Return True if a top-level module can be imported, without importing it."""
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):  # a module that was set to None, or made without a description
        return False


def dill_available() -> bool:
    """Return True if the package dill is installed."""
    return _check_module_exists("dill")
