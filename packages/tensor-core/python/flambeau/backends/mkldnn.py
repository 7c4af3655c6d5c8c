"""Intel's library for networks (oneDNN): not there. Its switches are kept without effect."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager

from ._switches import switched

enabled = True
deterministic = False
allow_tf32 = True


def is_available() -> bool:
    """Whether the library is in use: False; convolutions are the library's own."""
    return False


def flags(enabled: bool = False, deterministic: bool = False, allow_tf32: bool = True) -> AbstractContextManager[None]:
    """Keeps the switches for a block."""
    return switched(sys.modules[__name__], enabled=enabled, deterministic=deterministic, allow_tf32=allow_tf32)
