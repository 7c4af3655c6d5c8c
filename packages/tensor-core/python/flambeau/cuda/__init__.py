"""CUDA GPUs: devices, streams, events, memory and graphs.

Names and behaviour match ``torch.cuda``. Without a GPU, query functions (counts, memory, supported features)
return 0, False or empty results. Functions that need a GPU raise RuntimeError with the cause. The driver is loaded on
the first use of this module's functions.

``python -m flambeau.cuda`` prints the detected GPUs. docs/cuda.md describes the implementation.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from flambeau import _suggestions
from flambeau._core import OutOfMemoryError, default_generator

from ._devices import (
    can_device_access_peer,
    current_device,
    device,
    device_count,
    device_of,
    get_arch_list,
    get_device_capability,
    get_device_name,
    get_device_properties,
    get_gencode_flags,
    host_calls,
    init,
    ipc_collect,
    is_available,
    is_bf16_supported,
    is_initialized,
    is_tf32_supported,
    reset_host_calls,
    set_device,
    synchronize,
)
from ._errors import CudaError, check_error, cudart, cudaStatus
from .graphs import CUDAGraph, graph, graph_pool_handle, make_graphed_callables
from .memory import (
    device_memory_used,
    empty_cache,
    get_allocator_backend,
    get_per_process_memory_fraction,
    max_memory_allocated,
    max_memory_cached,
    max_memory_reserved,
    mem_get_info,
    memory_allocated,
    memory_cached,
    memory_reserved,
    memory_stats,
    memory_stats_as_nested_dict,
    memory_summary,
    reset_accumulated_memory_stats,
    reset_max_memory_allocated,
    reset_max_memory_cached,
    reset_peak_memory_stats,
    set_per_process_memory_fraction,
)
from .random import (
    get_rng_state,
    get_rng_state_all,
    initial_seed,
    manual_seed,
    manual_seed_all,
    seed,
    seed_all,
    set_rng_state,
    set_rng_state_all,
)
from .streams import (
    Event,
    ExternalStream,
    Stream,
    StreamContext,
    current_stream,
    default_stream,
    get_stream_from_external,
    is_current_stream_capturing,
    set_stream,
    stream,
)

if TYPE_CHECKING:
    from flambeau._core import Generator
    from flambeau._tensor_types import tensortype
    from flambeau.cuda import amp as amp, comm as comm, nccl as nccl, nvtx as nvtx, profiler as profiler

    default_generators: tuple[Generator, ...]
    BFloat16Tensor: tensortype
    BoolTensor: tensortype
    ByteTensor: tensortype
    CharTensor: tensortype
    DoubleTensor: tensortype
    FloatTensor: tensortype
    HalfTensor: tensortype
    IntTensor: tensortype
    LongTensor: tensortype
    ShortTensor: tensortype

__all__ = [
    "CUDAGraph",
    "CudaError",
    "Event",
    "ExternalStream",
    "OutOfMemoryError",
    "Stream",
    "StreamContext",
    "amp",
    "can_device_access_peer",
    "check_error",
    "comm",
    "cudaStatus",
    "cudart",
    "current_device",
    "current_stream",
    "default_generators",
    "default_stream",
    "device",
    "device_count",
    "device_memory_used",
    "device_of",
    "empty_cache",
    "get_allocator_backend",
    "get_arch_list",
    "get_device_capability",
    "get_device_name",
    "get_device_properties",
    "get_gencode_flags",
    "get_per_process_memory_fraction",
    "get_rng_state",
    "get_rng_state_all",
    "get_stream_from_external",
    "graph",
    "graph_pool_handle",
    "graphs",
    "host_calls",
    "init",
    "initial_seed",
    "ipc_collect",
    "is_available",
    "is_bf16_supported",
    "is_current_stream_capturing",
    "is_initialized",
    "is_tf32_supported",
    "make_graphed_callables",
    "manual_seed",
    "manual_seed_all",
    "max_memory_allocated",
    "max_memory_cached",
    "max_memory_reserved",
    "mem_get_info",
    "memory",
    "memory_allocated",
    "memory_cached",
    "memory_reserved",
    "memory_stats",
    "memory_stats_as_nested_dict",
    "memory_summary",
    "nccl",
    "nvtx",
    "profiler",
    "random",
    "reset_accumulated_memory_stats",
    "reset_host_calls",
    "reset_max_memory_allocated",
    "reset_max_memory_cached",
    "reset_peak_memory_stats",
    "seed",
    "seed_all",
    "set_device",
    "set_per_process_memory_fraction",
    "set_rng_state",
    "set_rng_state_all",
    "set_stream",
    "stream",
    "streams",
    "synchronize",
]


if not TYPE_CHECKING:  # hidden from type checkers, which then report names that do not exist

    def __getattr__(name: str) -> Any:
        if name in ("amp", "comm", "nccl", "nvtx", "profiler"):
            return importlib.import_module(f"flambeau.cuda.{name}")
        if name == "default_generators":  # all GPUs share the default generator of the CPU
            return (default_generator,) * device_count()
        if name == "_initialized":  # programs that implement activation checkpoints read it
            return is_initialized()
        if name == "_lazy_call":
            return importlib.import_module("flambeau.cuda._devices").lazy_call
        from flambeau._tensor_types import CUDA_TENSOR_TYPES

        if name in CUDA_TENSOR_TYPES:
            return CUDA_TENSOR_TYPES[name]
        from flambeau._storage_types import STORAGE_TYPES, cuda_storage_type

        if name in STORAGE_TYPES:
            return cuda_storage_type(name)
        raise _suggestions.unknown_attribute(__name__, name)


def __dir__() -> list[str]:
    return __all__
