"""OpenMP: not used."""


def is_available() -> bool:
    """Whether operators run in OpenMP's threads: False; the library has a pool of its own."""
    return False
