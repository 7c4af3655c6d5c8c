"""Apple's Metal Performance Shaders, which flambeau does not support."""


def is_available() -> bool:
    """Return False: MPS devices are not supported."""
    return False


def is_built() -> bool:
    """Return False: MPS devices are not supported."""
    return False


def is_macos_or_newer(major: int, minor: int) -> bool:
    """Return False: MPS devices are not supported."""
    return False
