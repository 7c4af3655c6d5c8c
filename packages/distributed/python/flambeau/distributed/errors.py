"""Errors of communication between processes."""

__all__ = ["DistBackendError", "DistError", "DistNetworkError", "DistStoreError"]


class DistError(RuntimeError):
    """Base class of errors of communication between processes.

    >>> try:
    ...     flambeau.distributed.HashStore(timeout=0.01).get("missing")
    ... except flambeau.distributed.DistError as error:
    ...     print(error)
    wait timeout after 0.01 s, waiting for keys: missing
    """

    __module__ = "flambeau.distributed"


class DistBackendError(DistError):
    """Error of a backend (MPI, NCCL), or timeout of the wait for other processes.

    >>> try:
    ...     flambeau.distributed.barrier()  # a group of one process, so none is missing
    ... except flambeau.distributed.DistBackendError as error:
    ...     print("a process is missing:", error)
    """

    __module__ = "flambeau.distributed"


class DistStoreError(DistError):
    """Timeout of the wait for a key of a store.

    >>> flambeau.distributed.HashStore(timeout=0.01).get("missing")
    Traceback (most recent call last):
        ...
    flambeau.distributed.DistStoreError: wait timeout after 0.01 s, waiting for keys: missing
    """

    __module__ = "flambeau.distributed"


class DistNetworkError(DistError):
    """Failure to connect to another machine or process.

    >>> try:
    ...     flambeau.distributed.TCPStore("localhost", 1, timeout=0.01)
    ... except flambeau.distributed.DistNetworkError:
    ...     print("no store responds at port 1")
    no store responds at port 1
    """

    __module__ = "flambeau.distributed"
