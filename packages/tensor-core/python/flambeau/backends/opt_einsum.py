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


def flags(enabled: bool | None = None, strategy: str | None = None) -> AbstractContextManager[None]:
    """Return a context manager that changes the settings for a block. They have no effect."""
    module = sys.modules[__name__]
    return switched(
        module,
        enabled=module.enabled if enabled is None else enabled,
        strategy=module.strategy if strategy is None else strategy,
    )
