"""GPU devices: enumeration, properties, and the current device of a thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import flambeau
from flambeau import _core

_AMPERE = (8, 0)  # the first compute capability with bfloat16 and TensorFloat32 matrix products


def is_available() -> bool:
    """Return True if at least one GPU can be used."""
    return _core._cuda_device_count() > 0


def is_initialized() -> bool:
    """Return True if GPUs are ready for use, which is the case whenever a GPU is available."""
    return is_available()


def init() -> None:
    """Load the driver, which otherwise happens on first use. Raise RuntimeError if no GPU is available."""
    require_gpu()


def lazy_call(callable: Callable[[], object], **kwargs: Any) -> None:
    """Call a function immediately if a GPU is available. Otherwise, never call it."""
    if is_initialized():
        callable()


def device_count() -> int:
    """Return the number of usable GPUs."""
    return _core._cuda_device_count()


def require_gpu() -> None:
    """Raise RuntimeError with the cause if no GPU is available."""
    if not is_available():
        raise RuntimeError(f"CUDA is not available: {_core._cuda_obstacle()}")


def index_of(device: Any = None) -> int:
    """Return the index of a GPU. The default is the current GPU of this thread.

    Args:
        device: an index, a ``flambeau.device`` or its name, or None.
    Raises: RuntimeError if the GPU does not exist; ValueError if ``device`` is not a CUDA device.
    """
    require_gpu()
    if device is None:
        return _core._cuda_current_device()
    if isinstance(device, int) and not isinstance(device, bool):
        index: int | None = device
    else:
        named = flambeau.device(device)
        if named.type != "cuda":
            raise ValueError(f"Expected a cuda device, but got: {named}")
        index = named.index
    if index is None:
        return _core._cuda_current_device()
    if not 0 <= index < device_count():
        raise RuntimeError(
            f"CUDA error: invalid device ordinal: there is no GPU {index}, the number of GPUs is {device_count()}"
        )
    return index


def current_device() -> int:
    """Return the index of this thread's current GPU."""
    require_gpu()
    return _core._cuda_current_device()


def set_device(device: Any) -> None:
    """Set this thread's current GPU, to which ``"cuda"`` refers. A negative index changes nothing."""
    if not _is_none(device):
        _core._cuda_set_device(index_of(device))


def _is_none(device: Any) -> bool:
    return isinstance(device, int) and not isinstance(device, bool) and device < 0


class device:
    """Context manager that changes this thread's current GPU. None or a negative index changes nothing.

    >>> with flambeau.cuda.device(0):
    ...     x = flambeau.zeros(3, device="cuda")
    >>> x.device
    device(type='cuda', index=0)
    """

    def __init__(self, device: Any) -> None:
        self.idx = -1 if device is None or _is_none(device) else index_of(device)
        self.prev_idx = -1

    def __enter__(self) -> Self:
        if self.idx >= 0:
            self.prev_idx = current_device()
            set_device(self.idx)
        return self

    def __exit__(self, *error: object) -> None:
        set_device(self.prev_idx)


class device_of(device):
    """Context manager that makes the GPU of a tensor or storage current. A tensor on the CPU changes nothing."""

    def __init__(self, obj: Any) -> None:
        super().__init__(obj.device.index if obj.device.type == "cuda" else None)


@dataclass(frozen=True, repr=False)
class _CudaDeviceProperties:
    """Properties of a GPU. Sizes are in bytes."""

    name: str
    major: int
    minor: int
    total_memory: int
    multi_processor_count: int
    max_threads_per_multi_processor: int
    shared_memory_per_block: int
    regs_per_multiprocessor: int
    L2_cache_size: int
    warp_size: int
    is_integrated: int
    uuid: Any = field(compare=False)
    is_multi_gpu_board: int = 0

    def __repr__(self) -> str:
        return (
            f"_CudaDeviceProperties(name='{self.name}', major={self.major}, minor={self.minor}, "
            f"total_memory={self.total_memory >> 20}MB, multi_processor_count={self.multi_processor_count}, "
            f"uuid={self.uuid}, L2_cache_size={self.L2_cache_size >> 20}MB)"
        )


def get_device_properties(device: Any = None) -> _CudaDeviceProperties:
    """Return the properties of a GPU, such as its name, memory size and number of multiprocessors."""
    import uuid

    known = dict(_core._cuda_properties(index_of(device)))
    return _CudaDeviceProperties(**{**known, "uuid": uuid.UUID(bytes=known["uuid"])})


def get_device_name(device: Any = None) -> str:
    """Return the name of a GPU."""
    return get_device_properties(device).name


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """Return the compute capability of a GPU as ``(major, minor)``, for example ``(9, 0)``."""
    known = get_device_properties(device)
    return known.major, known.minor


def get_arch_list() -> list[str]:
    """Return the architectures that kernels can be compiled for: ``["sm_75", ...]``. Empty without a GPU."""
    return [f"sm_{number}" for number in _core._cuda_architectures()] if is_available() else []


def get_gencode_flags() -> str:
    """Return the ``-gencode`` compiler flags for the architectures of `get_arch_list`."""
    numbers = (name.removeprefix("sm_") for name in get_arch_list())
    return " ".join(f"-gencode compute=compute_{number},code=sm_{number}" for number in numbers)


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Return True if the current GPU supports bfloat16, natively or (``including_emulation``) through float32."""
    return is_available() and (including_emulation or get_device_capability() >= _AMPERE)


def is_tf32_supported() -> bool:
    """Return True if the current GPU supports matrix products in TensorFloat32."""
    return is_available() and get_device_capability() >= _AMPERE


def can_device_access_peer(device: Any, peer_device: Any) -> bool:
    """Return False: flambeau does not use peer access; the driver chooses the path of copies between GPUs."""
    index_of(device), index_of(peer_device)
    return False


def synchronize(device: Any = None) -> None:
    """Wait until all work on a GPU is complete.

    Raises: errors that kernels detected in the meantime, such as IndexError for an index out of range.
    """
    _core._cuda_synchronize(index_of(device))


def ipc_collect() -> None:
    """Do nothing. Other processes receive copies of GPU tensors, so there is no shared GPU memory to release."""


def host_calls() -> dict[str, int]:
    """Return, for each operator, how many calls with GPU tensors were computed on the CPU.

    An operator without a GPU kernel for its arguments still gives the correct result. It copies the arguments to the
    CPU and the result back, which waits for the GPU. Check these counts if a program is slow.

    >>> flambeau.cuda.reset_host_calls()
    >>> x = flambeau.eye(3, device="cuda")
    >>> y = flambeau.kron(x, x)
    >>> flambeau.cuda.host_calls()
    {'kron': 1}
    """
    return dict(_core._cuda_host_calls())


def reset_host_calls() -> None:
    """Reset the counts of `host_calls` to zero."""
    _core._cuda_forget_host_calls()
