"""The memory of GPUs: how much is in use, and how much is kept for reuse."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from flambeau import _core

from ._devices import index_of, is_available

# What the allocator counts, under the names that PyTorch has for it.
_CURRENT_AND_PEAK = {
    "allocated_bytes": ("allocated", "peak_allocated"),
    "active_bytes": ("allocated", "peak_allocated"),
    "reserved_bytes": ("reserved", "peak_reserved"),
}


def _counted(device: Any) -> dict[str, int]:
    return dict(_core._cuda_memory_statistics(index_of(device)))


def memory_allocated(device: Any = None) -> int:
    """Bytes of a GPU's memory that tensors take; 0 where there is no GPU."""
    return _counted(device)["allocated"] if is_available() else 0


def max_memory_allocated(device: Any = None) -> int:
    """The most that `memory_allocated` has been since the beginning or `reset_peak_memory_stats`."""
    return _counted(device)["peak_allocated"] if is_available() else 0


def memory_reserved(device: Any = None) -> int:
    """Bytes of a GPU's memory that this process holds, in use or for reuse; 0 where there is no GPU."""
    return _counted(device)["reserved"] if is_available() else 0


def max_memory_reserved(device: Any = None) -> int:
    """The most that `memory_reserved` has been since the beginning or `reset_peak_memory_stats`."""
    return _counted(device)["peak_reserved"] if is_available() else 0


memory_cached, max_memory_cached = memory_reserved, max_memory_reserved


def memory_stats(device: Any = None) -> OrderedDict[str, Any]:
    """What is known of a GPU's memory, under PyTorch's names; nothing where there is no GPU.

    PyTorch's division into small and large blocks is not made, so of its pools there is ``all`` alone.
    """
    if not is_available():
        return OrderedDict()
    counted = _counted(device)
    found: dict[str, int] = {}
    for name, (current, peak) in _CURRENT_AND_PEAK.items():
        found[f"{name}.all.current"] = counted[current]
        found[f"{name}.all.peak"] = counted[peak]
    found["allocation.all.current"] = counted["allocations"] - counted["frees"]
    found["allocation.all.allocated"] = counted["allocations"]
    found["allocation.all.freed"] = counted["frees"]
    found["segment.all.current"] = counted["segments"]
    found["inactive_split_bytes.all.current"] = counted["reserved"] - counted["allocated"]
    found["largest_free_block_bytes"] = counted["largest_free"]
    found["num_alloc_retries"] = counted["retries"]
    found["num_ooms"] = counted["out_of_memory"]
    return OrderedDict(sorted(found.items()))


def memory_stats_as_nested_dict(device: Any = None) -> dict[str, Any]:
    """`memory_stats` as dictionaries in dictionaries."""
    nested: dict[str, Any] = {}
    for name, value in memory_stats(device).items():
        inner, *path = name.split(".")
        place = nested
        for part in path:
            place, inner = place.setdefault(inner, {}), part
        place[inner] = value
    return nested


def memory_summary(device: Any = None, abbreviated: bool = False) -> str:
    """A table of what is known of a GPU's memory, for people."""
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
        *(f"{name:26}{_readable(now):>14}{'' if most is None else _readable(most):>14}" for name, now, most in rows),
        f"{stats['allocation.all.current']} allocations in {stats['segment.all.current']} segments; "
        f"{stats['num_alloc_retries']} were repeated after the cache was emptied, {stats['num_ooms']} failed",
    ]
    return "\n".join(line.rstrip() for line in lines)


def _readable(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.{0 if unit == 'B' else 1}f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """The bytes of a GPU's memory that no process has, and all that it has."""
    free, total = _core._cuda_memory_info(index_of(device))
    return free, total


def device_memory_used(device: Any = None) -> int:
    """The bytes of a GPU's memory that are in use, by all processes."""
    free, total = mem_get_info(device)
    return total - free


def get_allocator_backend() -> str:
    """Which allocator serves tensors: "native", the library's own."""
    return "native"


def get_per_process_memory_fraction(device: Any = None) -> float:
    """How much of a GPU's memory this process may take: 1.0, all of it, unless it has been limited."""
    return _core._cuda_memory_fraction(index_of(device))


def set_per_process_memory_fraction(fraction: float, device: Any = None) -> None:
    """Lets this process take at most a part of a GPU's memory: requests beyond it raise OutOfMemoryError.

    What is held is kept. Memory that is reserved and not in use counts, and is given back before a request is refused.

    Raises: TypeError or ValueError for what is no float between 0 and 1.
    """
    index = index_of(device)
    if not isinstance(fraction, float):
        raise TypeError("Invalid type for fraction argument, must be `float`")
    if not 0 <= fraction <= 1:
        raise ValueError(f"Invalid fraction value: {fraction}. Allowed range: 0~1")
    _core._cuda_set_memory_fraction(index, fraction)


def empty_cache() -> None:
    """Gives memory that is reserved and not in use back to the GPU, for other processes; does nothing without one."""
    if is_available():
        _core._cuda_empty_cache()


def reset_peak_memory_stats(device: Any = None) -> None:
    """Lets the largest use of memory begin again with the present one; does nothing where there is no GPU."""
    if is_available():
        _core._cuda_reset_peak_memory(index_of(device))


# Allocations and retries are counted since the beginning of the process: the peaks alone are set back.
reset_accumulated_memory_stats = reset_max_memory_allocated = reset_max_memory_cached = reset_peak_memory_stats
