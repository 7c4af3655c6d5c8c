"""What programs ask PyTorch's private ``torch._subclasses.fake_tensor``: whether a tensor only pretends to hold values.

None does: a tensor without elements is one of the meta device, and says so.
"""

__all__ = ["is_fake"]


def is_fake(x: object) -> bool:
    """False."""
    return False
