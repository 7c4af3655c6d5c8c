"""Distributed tensors together with plain ones."""

import contextlib
from collections.abc import Iterator

__all__ = ["implicit_replication"]


@contextlib.contextmanager
def implicit_replication() -> Iterator[None]:
    """Within it plain tensors count as ones that all processes have. There are no others."""
    yield
