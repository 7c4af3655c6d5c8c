"""What programs ask PyTorch's private ``torch._subclasses.fake_tensor``: whether a tensor only pretends to hold values.

None does: a tensor without elements is one of the meta device, and says so.
"""

from typing import Any

__all__ = ["active_fake_mode", "detect_fake_mode", "is_fake"]


def is_fake(x: object) -> bool:
    """False."""
    return False


def active_fake_mode() -> None:
    """Return None: no mode makes tensors without values."""


def detect_fake_mode(inputs: Any = None) -> None:
    """Return None: no tensor among the inputs belongs to such a mode."""
