"""Apple's graphics: not there."""


def is_available() -> bool:
    """Whether tensors can live there: False."""
    return False


def is_built() -> bool:
    """Whether there is a backend for it: False."""
    return False


def is_macos_or_newer(major: int, minor: int) -> bool:
    """Whether this is macOS of at least that version: False."""
    return False
