"""The GPUs: which there are, what is known of them, and which one a thread works on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

import flambeau
from flambeau import _core

_AMPERE = (8, 0)  # the first that multiply matrices in bfloat16 and TensorFloat32


def is_available() -> bool:
    """Whether tensors can live on a GPU."""
    return _core._cuda_device_count() > 0


def is_initialized() -> bool:
    """Whether GPUs can be used from here on without further ado: they can where there are any."""
    return is_available()


def init() -> None:
    """Opens the driver, which is otherwise done when a GPU is first used. RuntimeError where there is none."""
    demand()


def device_count() -> int:
    """The number of GPUs that can be used."""
    return _core._cuda_device_count()


def demand() -> None:
    """RuntimeError that says what is missing, where there is no GPU."""
    if not is_available():
        raise RuntimeError(f"CUDA is not available: {_core._cuda_obstacle()}")


def index_of(device: Any = None) -> int:
    """The number of a GPU, of this thread's where none is named.

    Args:
        device: a number, ``flambeau.device`` or its name, or None.
    Raises: RuntimeError where there is no such GPU; ValueError for a device that is none.
    """
    demand()
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
            f"CUDA error: invalid device ordinal: there is no GPU {index}; their number is {device_count()}"
        )
    return index


def current_device() -> int:
    """The number of this thread's GPU."""
    demand()
    return _core._cuda_current_device()


def set_device(device: Any) -> None:
    """Chooses this thread's GPU: the one that ``"cuda"`` means. A negative number changes nothing."""
    if not _is_none(device):
        _core._cuda_set_device(index_of(device))


def _is_none(device: Any) -> bool:
    return isinstance(device, int) and not isinstance(device, bool) and device < 0


class device:
    """A block in which another GPU is this thread's. None or a negative number changes nothing.

    >>> with flambeau.cuda.device(1):
    ...     x = flambeau.zeros(3, device="cuda")  # on cuda:1
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
    """A block in which the GPU of a tensor or a storage is this thread's; one of the CPU changes nothing."""

    def __init__(self, obj: Any) -> None:
        super().__init__(obj.device.index if obj.device.type == "cuda" else None)


@dataclass(frozen=True, repr=False)
class _CudaDeviceProperties:
    """What is known of a GPU. Sizes are in bytes."""

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
    """What is known of a GPU: its name, memory, multiprocessors."""
    import uuid

    known = dict(_core._cuda_properties(index_of(device)))
    return _CudaDeviceProperties(**{**known, "uuid": uuid.UUID(bytes=known["uuid"])})


def get_device_name(device: Any = None) -> str:
    """The name of a GPU."""
    return get_device_properties(device).name


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """The version of a GPU's instruction set: ``(9, 0)``."""
    known = get_device_properties(device)
    return known.major, known.minor


def get_arch_list() -> list[str]:
    """The architectures that kernels can be compiled for: ``["sm_75", ...]``; none where there is no GPU."""
    return [f"sm_{number}" for number in _core._cuda_architectures()] if is_available() else []


def get_gencode_flags() -> str:
    """The compiler's flags for those architectures."""
    numbers = (name.removeprefix("sm_") for name in get_arch_list())
    return " ".join(f"-gencode compute=compute_{number},code=sm_{number}" for number in numbers)


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether a GPU computes in bfloat16: with its own instructions, or by way of float32."""
    return is_available() and (including_emulation or get_device_capability() >= _AMPERE)


def is_tf32_supported() -> bool:
    """Whether the current GPU multiplies matrices in TensorFloat32."""
    return is_available() and get_device_capability() >= _AMPERE


def can_device_access_peer(device: Any, peer_device: Any) -> bool:
    """Whether a GPU reaches another's memory: False, copies between GPUs pass through what the driver chooses."""
    index_of(device), index_of(peer_device)
    return False


def synchronize(device: Any = None) -> None:
    """Waits until a GPU has done all of its work.

    Raises: what its kernels have found wrong meanwhile, such as IndexError for an index out of range.
    """
    _core._cuda_synchronize(index_of(device))


def ipc_collect() -> None:
    """Gives back GPU memory that other processes held: they get copies, so there is none."""


def host_calls() -> dict[str, int]:
    """How often each operator was given GPU tensors and computed on the CPU, by its name.

    An operator that has no kernel for what it was asked gives the right result all the same: its arguments are copied
    to the CPU's memory and the result back, which waits for the GPU. So this is where to look when a program is slow.

    >>> flambeau.cuda.reset_host_calls()
    >>> x = flambeau.linalg.eigvals(flambeau.eye(3, device="cuda"))
    >>> flambeau.cuda.host_calls()
    {'eig': 1}
    """
    return dict(_core._cuda_host_calls())


def reset_host_calls() -> None:
    """Sets the counts of `host_calls` to zero."""
    _core._cuda_forget_host_calls()
