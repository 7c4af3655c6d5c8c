"""OpenMP, which flambeau does not use."""


def is_available() -> bool:
    """Return False: operators run in flambeau's own thread pool."""
    return False
