"""Times, sizes and counts as text."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Format a time with three digits.

    >>> duration(1.2345e-5), duration(0.25)
    ('12.3 µs', '250 ms')
    """
    for unit, scale in (("ns", 1e-9), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0)):
        value = seconds / scale
        if value < 999.5 or unit == "s":
            break
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f} {unit}"


def size(nbytes: float) -> str:
    """Format a number of bytes with three digits, in units of 1000.

    >>> size(12), size(25_165_824)
    ('12 B', '25.2 MB')
    """
    if nbytes < 1000:
        return f"{nbytes:.0f} B"
    for unit, scale in (("kB", 1e3), ("MB", 1e6), ("GB", 1e9)):
        value = nbytes / scale
        if value < 999.5 or unit == "GB":
            break
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f} {unit}"


def count(n: int, noun: str) -> str:
    """Return a number with a noun in the singular or plural.

    >>> count(1, "kernel"), count(2, "kernel")
    ('1 kernel', '2 kernels')
    """
    return f"{n} {noun}{'' if n == 1 else 's'}"
