"""Names of ``torch.utils._import_utils``: functions that check if a package is installed."""

import functools
import importlib.util

__all__ = ["_check_module_exists", "dill_available"]


@functools.cache
def _check_module_exists(name: str) -> bool:
    """Return True if a top-level module can be imported, without importing it."""
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):  # sys.modules has None for the name, or a module without __spec__
        return False


def dill_available() -> bool:
    """Return True if the package dill is installed."""
    return _check_module_exists("dill")
