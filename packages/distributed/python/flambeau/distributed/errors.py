"""Errors of communication between processes."""

__all__ = ["DistBackendError", "DistError", "DistNetworkError", "DistStoreError"]


class DistError(RuntimeError):
    """Base class of errors of communication between processes."""

    __module__ = "flambeau.distributed"


class DistBackendError(DistError):
    """Error of a backend (MPI, NCCL), or timeout of the wait for other processes."""

    __module__ = "flambeau.distributed"


class DistStoreError(DistError):
    """Timeout of the wait for a key of a store."""

    __module__ = "flambeau.distributed"


class DistNetworkError(DistError):
    """Failure to connect to another machine or process."""

    __module__ = "flambeau.distributed"
