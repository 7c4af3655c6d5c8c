"""Names of PyTorch's remote procedure calls, which flambeau does not support. They raise an error when used."""

from ._missing import unavailable_names

_REASON = "flambeau has no remote procedure calls; use distributed.send() and recv(), or another library"
_FUNCTIONS = ("get_worker_info", "init_rpc", "remote", "rpc_async", "rpc_sync", "shutdown")
_CLASSES = ("RpcBackendOptions", "TensorPipeRpcBackendOptions", "WorkerInfo")
globals().update(unavailable_names(__name__, _REASON, _FUNCTIONS, _CLASSES))

__all__ = ["is_available", *_FUNCTIONS, *_CLASSES]


def is_available() -> bool:
    """Return False, because remote procedure calls are not supported.

    >>> is_available()
    False
    """
    return False
