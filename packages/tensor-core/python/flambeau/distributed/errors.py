"""What goes wrong between processes."""

__all__ = ["DistBackendError", "DistError", "DistNetworkError", "DistStoreError"]


class DistError(RuntimeError):
    """Something went wrong between processes."""

    __module__ = "flambeau.distributed"


class DistBackendError(DistError):
    """What carries messages between processes (MPI, NCCL) failed, or other processes did not answer in time."""

    __module__ = "flambeau.distributed"


class DistStoreError(DistError):
    """A store did not have what was waited for in time."""

    __module__ = "flambeau.distributed"


class DistNetworkError(DistError):
    """Another machine or process could not be reached."""

    __module__ = "flambeau.distributed"
