"""Functions that disable ``__torch_dispatch__`` and compare modes, as in PyTorch's ``torch.utils._mode_utils``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from flambeau import _core

__all__ = ["all_same_mode", "no_dispatch"]


@contextlib.contextmanager
def no_dispatch() -> Iterator[None]:
    """Disable ``__torch_dispatch__`` of all modes and classes during a ``with`` block.

    In the block, wrapper tensors without memory act as tensors on the meta device.
    """
    enabled = _core._dispatch_enabled(False)
    try:
        yield
    finally:
        _core._dispatch_enabled(enabled)


def all_same_mode(modes: Sequence[object]) -> bool:
    """Return True if all modes are the same object."""
    return all(mode is modes[0] for mode in modes)
