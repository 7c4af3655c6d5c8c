"""Errors of communication between processes."""

__all__ = ["DistBackendError", "DistError", "DistNetworkError", "DistStoreError"]


class DistError(RuntimeError):
    """Base class of errors of communication between processes."""

    __module__ = "flambeau.distributed"


class DistBackendError(DistError):
    """An error of a backend (MPI, NCCL), or a timeout while waiting for other processes."""

    __module__ = "flambeau.distributed"


class DistStoreError(DistError):
    """A timeout while waiting for a key of a store."""

    __module__ = "flambeau.distributed"


class DistNetworkError(DistError):
    """A failure to connect to another machine or process."""

    __module__ = "flambeau.distributed"
