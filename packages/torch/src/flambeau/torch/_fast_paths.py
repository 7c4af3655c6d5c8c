"""Module ``torch.backends.mha``: the switch of a fast path of attention.

flambeau always computes attention in the same way, so the switch has no effect.
"""

__all__ = ["get_fastpath_enabled", "set_fastpath_enabled"]

_is_enabled = True


def get_fastpath_enabled() -> bool:
    """Return the last value that ``set_fastpath_enabled`` was given, True by default."""
    return _is_enabled


def set_fastpath_enabled(value: bool) -> None:
    """Store ``value``. It does not change how attention is computed."""
    global _is_enabled
    _is_enabled = value
