"""Remote procedure calls, which there are none of: as in a PyTorch that was built without them."""

__all__ = ["is_available"]


def is_available() -> bool:
    """Whether functions can be called in other processes: False.

    >>> is_available()
    False
    """
    return False
