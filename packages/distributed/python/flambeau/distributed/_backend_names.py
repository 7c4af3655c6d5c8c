"""Names of backends and the device types that they support."""

from __future__ import annotations

from typing import ClassVar, Self

import flambeau

from . import _mpi_start

__all__ = ["Backend", "backends_by_device", "is_gloo_available", "is_mpi_available", "is_nccl_available"]

_DEVICES = {"gloo": "cpu", "mpi": "cpu", "nccl": "cuda"}


class Backend(str):
    """Name of a backend in lower case.

    >>> flambeau.distributed.Backend("NCCL")
    'nccl'
    """

    UNDEFINED: ClassVar[str] = "undefined"
    GLOO: ClassVar[str] = "gloo"
    MPI: ClassVar[str] = "mpi"
    NCCL: ClassVar[str] = "nccl"
    default_device_backend_map: ClassVar[dict[str, str]] = {"cpu": "gloo", "cuda": "nccl"}

    def __new__(cls, name: str) -> Self:
        if not isinstance(name, str):
            raise ValueError(f"Backend constructor parameter must be a string, got {type(name).__name__}")
        return super().__new__(cls, name.lower())


def is_mpi_available() -> bool:
    """Return True if mpi4py is installed, so that processes can exchange CPU tensors.

    >>> processes = 4 if flambeau.distributed.is_mpi_available() else 1
    """
    return _mpi_start.is_available()


def is_gloo_available() -> bool:
    """Return True if the backend ``"gloo"``, a synonym of ``"mpi"``, is available. See `is_mpi_available`."""
    return _mpi_start.is_available()


def is_nccl_available() -> bool:
    """Return True if NCCL and a GPU are available, so that processes can exchange GPU tensors.

    >>> backend = "nccl" if flambeau.distributed.is_nccl_available() else "gloo"
    """
    if not flambeau.cuda.is_available():
        return False
    try:
        flambeau.cuda.nccl.version()
    except RuntimeError:
        return False
    return True


def backends_by_device(backend: str | None) -> dict[str, str]:
    """Return the backend of each device type.

    Args:
        backend: ``"gloo"``, ``"mpi"`` or ``"nccl"``; or a backend for each device type, such as
            ``"cpu:gloo,cuda:nccl"``; or None or ``"undefined"`` for all available backends.
    Raises: ValueError for other names.
    """
    if backend is None or backend == Backend.UNDEFINED:
        return {"cpu": "gloo", **({"cuda": "nccl"} if is_nccl_available() else {})}
    if not isinstance(backend, str):
        raise ValueError(f"backend should be a string, got {type(backend).__name__}")
    name = backend.lower()
    if name in _DEVICES:
        return {_DEVICES[name]: name}
    backends = dict(part.split(":", 1) for part in name.split(",") if ":" in part)
    if not backends or any(_DEVICES.get(each) != device for device, each in backends.items()):
        raise ValueError(
            f"backend should be 'gloo', 'mpi', 'nccl' or a list such as 'cpu:gloo,cuda:nccl', got {backend!r}"
        )
    return backends
