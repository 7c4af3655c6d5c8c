"""Intel oneDNN (MKL-DNN), which flambeau does not use. The settings have no effect."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager

from ._switches import switched

enabled = True
deterministic = False
allow_tf32 = True


def is_available() -> bool:
    """Return False: convolutions use flambeau's own kernels."""
    return False


def flags(enabled: bool = False, deterministic: bool = False, allow_tf32: bool = True) -> AbstractContextManager[None]:
    """Return a context manager that changes the settings for a block. They have no effect."""
    return switched(sys.modules[__name__], enabled=enabled, deterministic=deterministic, allow_tf32=allow_tf32)
