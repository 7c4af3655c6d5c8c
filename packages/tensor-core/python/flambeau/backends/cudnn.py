"""NVIDIA's library for networks: not there. Its switches are kept without effect."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from typing import Any

from ._switches import switched

enabled = True
deterministic = False
benchmark = False
benchmark_limit = 10
allow_tf32 = True


def is_available() -> bool:
    """Whether the library is there: False."""
    return False


def version() -> int | None:
    """The library's version: None."""
    return None


def is_acceptable(tensor: Any) -> bool:
    """Whether the library takes a tensor: False."""
    return False


def flags(
    enabled: bool = False,
    benchmark: bool = False,
    benchmark_limit: int = 10,
    deterministic: bool = False,
    allow_tf32: bool = True,
) -> AbstractContextManager[None]:
    """Keeps the switches for a block."""
    return switched(
        sys.modules[__name__],
        enabled=enabled,
        benchmark=benchmark,
        benchmark_limit=benchmark_limit,
        deterministic=deterministic,
        allow_tf32=allow_tf32,
    )
