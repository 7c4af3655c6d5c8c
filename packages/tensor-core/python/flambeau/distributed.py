"""Programs on several machines: what they ask before they use them, and that they are not there."""

from __future__ import annotations

__all__ = ["is_available", "is_initialized"]


def is_available() -> bool:
    """Whether processes can talk to each other through this package: False."""
    return False


def is_initialized() -> bool:
    """Whether a group of processes was made: False."""
    return False


def is_torchelastic_launched() -> bool:
    """Whether a launcher started this process as one of several: False."""
    return False


def is_nccl_available() -> bool:
    """Whether GPUs of several processes can talk to each other: False."""
    return False


is_mpi_available = is_gloo_available = is_nccl_available
