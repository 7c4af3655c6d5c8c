"""Intel MKL, which flambeau does not use."""


def is_available() -> bool:
    """Return False: matrix products use OpenBLAS and flambeau's own kernels."""
    return False
