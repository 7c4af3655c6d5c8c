"""The package opt_einsum, which orders products for ``einsum``: not used. Its switches are kept without effect."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager

from ._switches import switched

enabled = True
strategy: str | None = "auto"


def is_available() -> bool:
    """Whether the package opt_einsum is used: False."""
    return False


def flags(enabled: bool | None = None, strategy: str | None = None) -> AbstractContextManager[None]:
    """Keeps the switches for a block."""
    module = sys.modules[__name__]
    return switched(
        module,
        enabled=module.enabled if enabled is None else enabled,
        strategy=module.strategy if strategy is None else strategy,
    )
