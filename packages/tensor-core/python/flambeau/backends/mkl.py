"""Intel's library for products: not there."""


def is_available() -> bool:
    """Whether the library is in use: False; products are OpenBLAS's and the library's own."""
    return False
