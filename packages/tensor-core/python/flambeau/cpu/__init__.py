"""The CPU with the interface of an accelerator module, for device-independent programs."""

from __future__ import annotations

import importlib
import os
import platform
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flambeau import _public_names, _suggestions

if TYPE_CHECKING:
    from flambeau.cpu import amp as amp

__all__ = [
    "Stream",
    "amp",
    "current_device",
    "current_stream",
    "device_count",
    "get_capabilities",
    "is_available",
    "is_initialized",
    "set_device",
    "stream",
    "synchronize",
]


class Stream:
    """A stream of the CPU. CPU work is synchronous, so all methods return immediately.

    >>> stream = fb.cpu.Stream()
    >>> with fb.cpu.stream(stream):
    ...     x = fb.ones(2)
    >>> fb.cpu.current_stream().wait_stream(stream)
    >>> fb.cpu.synchronize()
    """

    def __init__(self, priority: int = -1) -> None:
        self.priority = priority

    def wait_stream(self, stream: Stream) -> None:
        """Wait for the work that is queued on another stream. Does nothing on the CPU."""

    def synchronize(self) -> None:
        """Wait until all work is complete. Does nothing on the CPU."""


_stream = Stream()


# Maps PyTorch's names of instruction sets to the names in Linux's /proc/cpuinfo.
_INSTRUCTION_SETS = {
    **{name: name for name in ("sse", "sse2", "ssse3", "sse4_1", "sse4_2", "sse4a", "avx", "avx2", "avx_vnni", "f16c")},
    **{name: name for name in ("aes", "bmi2", "clflush", "clflushopt", "clwb", "popcnt")},
    **{f"avx512_{name}": f"avx512_{name}" for name in ("bf16", "bitalg", "fp16", "vbmi2", "vnni", "vpopcntdq")},
    **{f"avx512_{name}": f"avx512{name}" for name in ("f", "bw", "cd", "dq", "vl", "ifma", "vbmi")},
    **{name: name for name in ("amx_bf16", "amx_fp16", "amx_int8", "amx_tile")},
    "bmi": "bmi1",
    "fma3": "fma",
    "fma4": "fma4",
    "lzcnt": "abm",
    "sha": "sha_ni",
    "sse3": "pni",
}


def get_capabilities() -> dict[str, Any]:
    """Return the processor's architecture, its number of cores, and a bool for each instruction set.

    Instruction sets are known only on Linux on x86. On other systems, the dictionary does not contain them.

    >>> import flambeau
    >>> flambeau.cpu.get_capabilities()["num_logical_cores"] > 0
    True
    """
    capabilities: dict[str, Any] = {"architecture": platform.machine(), "num_logical_cores": os.cpu_count()}
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return capabilities
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if "flags" in facts:
        flags = facts["flags"].split()
        capabilities |= {"cpu_name": facts.get("model name", "")}
        capabilities |= {name: instructions in flags for name, instructions in _INSTRUCTION_SETS.items()}
    return capabilities


def is_available() -> bool:
    """Return True: a CPU is always available.

    >>> fb.cpu.is_available()
    True
    """
    return True


def is_initialized() -> bool:
    """Return True: the CPU needs no initialisation.

    >>> fb.cpu.is_initialized()
    True
    """
    return True


def device_count() -> int:
    """Return the number of CPU devices, which is 1.

    >>> fb.cpu.device_count()
    1
    """
    return 1


def current_device() -> str:
    """Return the name of the current CPU device, ``"cpu"``.

    >>> fb.cpu.current_device()
    'cpu'
    """
    return "cpu"


def set_device(device: Any) -> None:
    """Select the CPU device. Does nothing because there is only one.

    >>> fb.cpu.set_device("cpu")
    >>> fb.cpu.current_device()
    'cpu'
    """


def synchronize(device: Any = None) -> None:
    """Wait until all work is complete. Does nothing because CPU operators are synchronous.

    See `Stream`.
    """


def current_stream(device: Any = None) -> Stream:
    """Return the only stream of the CPU. See `Stream`."""
    return _stream


def stream(stream: Stream | None) -> AbstractContextManager[None]:
    """Return a context manager that selects a stream. It has no effect because the CPU has only one stream.

    See `Stream`.
    """
    return nullcontext()


if not TYPE_CHECKING:  # hidden from type checkers, which then report names that do not exist

    def __getattr__(name: str) -> Any:
        if name == "amp":
            return importlib.import_module("flambeau.cpu.amp")
        raise _suggestions.unknown_attribute(__name__, name)


def __dir__() -> list[str]:
    return _public_names.public_names(globals(), __all__)
