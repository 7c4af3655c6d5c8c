"""GPU memory: statistics, limits and the cache of the allocator."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from flambeau import _core
from flambeau._formatting import memory_text

from ._devices import index_of, is_available

# Maps PyTorch's names to the current and peak counters of the allocator.
_CURRENT_AND_PEAK = {
    "allocated_bytes": ("allocated", "peak_allocated"),
    "active_bytes": ("allocated", "peak_allocated"),
    "reserved_bytes": ("reserved", "peak_reserved"),
}


def _statistics(device: Any) -> dict[str, int]:
    return dict(_core._cuda_memory_statistics(index_of(device)))


def memory_allocated(device: Any = None) -> int:
    """Return the number of bytes of GPU memory that tensors occupy, or 0 without a GPU."""
    return _statistics(device)["allocated"] if is_available() else 0


def max_memory_allocated(device: Any = None) -> int:
    """Return the largest value of `memory_allocated` since the start or since `reset_peak_memory_stats`."""
    return _statistics(device)["peak_allocated"] if is_available() else 0


def memory_reserved(device: Any = None) -> int:
    """Return the bytes of GPU memory that this process holds, in use or cached for reuse, or 0 without a GPU."""
    return _statistics(device)["reserved"] if is_available() else 0


def max_memory_reserved(device: Any = None) -> int:
    """Return the largest value of `memory_reserved` since the start or since `reset_peak_memory_stats`."""
    return _statistics(device)["peak_reserved"] if is_available() else 0


memory_cached, max_memory_cached = memory_reserved, max_memory_reserved


def memory_stats(device: Any = None) -> OrderedDict[str, Any]:
    """Return the statistics of the memory allocator under PyTorch's names. Empty without a GPU.

    The allocator does not separate small and large blocks, so only the statistics of the pool ``all`` exist.
    """
    if not is_available():
        return OrderedDict()
    counters = _statistics(device)
    stats: dict[str, int] = {}
    for name, (current, peak) in _CURRENT_AND_PEAK.items():
        stats[f"{name}.all.current"] = counters[current]
        stats[f"{name}.all.peak"] = counters[peak]
    stats["allocation.all.current"] = counters["allocations"] - counters["frees"]
    stats["allocation.all.allocated"] = counters["allocations"]
    stats["allocation.all.freed"] = counters["frees"]
    stats["segment.all.current"] = counters["segments"]
    stats["inactive_split_bytes.all.current"] = counters["reserved"] - counters["allocated"]
    stats["largest_free_block_bytes"] = counters["largest_free"]
    stats["num_alloc_retries"] = counters["retries"]
    stats["num_ooms"] = counters["out_of_memory"]
    return OrderedDict(sorted(stats.items()))


def memory_stats_as_nested_dict(device: Any = None) -> dict[str, Any]:
    """Return `memory_stats` as nested dictionaries."""
    nested: dict[str, Any] = {}
    for name, value in memory_stats(device).items():
        inner, *path = name.split(".")
        node = nested
        for part in path:
            node, inner = node.setdefault(inner, {}), part
        node[inner] = value
    return nested


def memory_summary(device: Any = None, abbreviated: bool = False) -> str:
    """Return a readable table of the memory statistics of a GPU."""
    index = index_of(device)
    stats = memory_stats(index)
    free, total = mem_get_info(index)
    rows = [
        ("in tensors", stats["allocated_bytes.all.current"], stats["allocated_bytes.all.peak"]),
        ("reserved", stats["reserved_bytes.all.current"], stats["reserved_bytes.all.peak"]),
        ("reserved, not in use", stats["inactive_split_bytes.all.current"], None),
    ]
    if not abbreviated:
        rows += [
            ("largest block not in use", stats["largest_free_block_bytes"], None),
            ("free on the GPU", free, None),
            ("the whole GPU", total, None),
        ]
    lines = [
        f"Memory of cuda:{index}",
        f"{'':26}{'now':>14}{'at most':>14}",
        *(
            f"{name:26}{memory_text(now):>14}{'' if most is None else memory_text(most):>14}"
            for name, now, most in rows
        ),
        f"{stats['allocation.all.current']} allocations in {stats['segment.all.current']} segments; "
        f"{stats['num_alloc_retries']} were repeated after the cache was emptied, {stats['num_ooms']} failed",
    ]
    return "\n".join(line.rstrip() for line in lines)


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """Return the free and the total memory of a GPU in bytes."""
    free, total = _core._cuda_memory_info(index_of(device))
    return free, total


def device_memory_used(device: Any = None) -> int:
    """Return the number of bytes of a GPU's memory that all processes together use."""
    free, total = mem_get_info(device)
    return total - free


def get_allocator_backend() -> str:
    """Return the name of the allocator: ``"native"``, flambeau's own allocator."""
    return "native"


def get_per_process_memory_fraction(device: Any = None) -> float:
    """Return the fraction of a GPU's memory that this process may use. The default is 1.0."""
    return _core._cuda_memory_fraction(index_of(device))


def set_per_process_memory_fraction(fraction: float, device: Any = None) -> None:
    """Limit this process to a fraction of a GPU's memory. Requests beyond the limit raise OutOfMemoryError.

    Memory that is in use stays allocated. Cached memory counts toward the limit and is released before a request fails.

    Raises: TypeError if ``fraction`` is not a float; ValueError if it is not between 0 and 1.
    """
    index = index_of(device)
    if not isinstance(fraction, float):
        raise TypeError(f"Invalid type for fraction argument, must be `float`, got {type(fraction).__name__}")
    if not 0 <= fraction <= 1:
        raise ValueError(f"Invalid fraction value: {fraction}. Allowed range: 0~1")
    _core._cuda_set_memory_fraction(index, fraction)


def empty_cache() -> None:
    """Release cached memory to the driver so that other processes can use it. Does nothing without a GPU."""
    if is_available():
        _core._cuda_empty_cache()


def reset_peak_memory_stats(device: Any = None) -> None:
    """Reset the peak values of the memory statistics to the current values. Does nothing without a GPU."""
    if is_available():
        _core._cuda_reset_peak_memory(index_of(device))


# The counts of allocations and retries start with the process: these functions reset only the peak values.
reset_accumulated_memory_stats = reset_max_memory_allocated = reset_max_memory_cached = reset_peak_memory_stats
