"""The package opt_einsum, which flambeau does not use. The settings have no effect."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager

from ._switches import switched

enabled = True
strategy: str | None = "auto"


def is_available() -> bool:
    """Return False: the package opt_einsum is not used."""
    return False


def set_flags(_enabled: bool | None = None, _strategy: str | None = None) -> tuple[bool, str | None]:
    """Change the settings that are not None, and return their previous values. They have no effect.

    >>> fb.backends.opt_einsum.set_flags(True)
    (True, 'auto')
    """
    global enabled, strategy
    former = enabled, strategy
    enabled = enabled if _enabled is None else _enabled
    strategy = strategy if _strategy is None else _strategy
    return former


def flags(enabled: bool | None = None, strategy: str | None = None) -> AbstractContextManager[None]:
    """Return a context manager that changes the settings for a block. They have no effect."""
    module = sys.modules[__name__]
    return switched(
        module,
        enabled=module.enabled if enabled is None else enabled,
        strategy=module.strategy if strategy is None else strategy,
    )
