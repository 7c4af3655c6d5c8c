"""What programs ask of a GPU before they use one. There is no CUDA backend: every answer is that there is none.

What reports (counts, memory, whether something is supported) answers with nothing; what would use a GPU raises.
"""

from __future__ import annotations

import contextlib
import importlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NoReturn

from flambeau import _core
from flambeau._core import Tensor

if TYPE_CHECKING:
    from flambeau.cuda import amp as amp

_NO_GPU = "flambeau.cuda.{name} needs a GPU, and flambeau has no CUDA backend yet."


def is_available() -> bool:
    """Whether tensors can live on a GPU."""
    return _core._cuda_device_count() > 0


def is_initialized() -> bool:
    """Whether a GPU is in use: False."""
    return False


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether a GPU computes in bfloat16: False."""
    return False


def is_tf32_supported() -> bool:
    """Whether a GPU computes in TensorFloat32: False."""
    return False


def device_count() -> int:
    """The number of GPUs that can be used."""
    return _core._cuda_device_count()


def get_arch_list() -> list[str]:
    """The architectures that there are kernels for: none."""
    return []


def get_gencode_flags() -> str:
    """The compiler's flags for those architectures: none."""
    return ""


def manual_seed(seed: int) -> None:
    """Seeds the GPU's generator; there is none, so this does nothing, as in PyTorch without a GPU."""


manual_seed_all = manual_seed


def seed() -> None:
    """Seeds the GPU's generator at random; does nothing."""


seed_all = seed


def get_rng_state_all() -> list[Tensor]:
    """The state of every GPU's generator: none."""
    return []


def set_rng_state_all(new_states: list[Tensor]) -> None:
    """Sets the state of every GPU's generator, of which there are none."""
    if len(new_states):
        raise _no_gpu("set_rng_state_all")


def empty_cache() -> None:
    """Gives a GPU's cached memory back; does nothing."""


def ipc_collect() -> None:
    """Gives back GPU memory that other processes held; does nothing."""


def memory_allocated(device: Any = None) -> int:
    """Bytes of a GPU's memory in use: 0."""
    return 0


max_memory_allocated = memory_reserved = max_memory_reserved = memory_cached = max_memory_cached = memory_allocated


def memory_stats(device: Any = None) -> OrderedDict[str, Any]:
    """What is known of a GPU's memory: nothing."""
    return OrderedDict()


def reset_peak_memory_stats(device: Any = None) -> None:
    """Forgets the largest use of a GPU's memory so far; does nothing."""


reset_accumulated_memory_stats = reset_max_memory_allocated = reset_max_memory_cached = reset_peak_memory_stats


def stream(stream: None) -> contextlib.AbstractContextManager[None]:
    """A context in which a GPU's work goes to a stream; None, the only one that there can be, stands for no change."""
    if stream is not None:
        raise _no_gpu("stream")
    return contextlib.nullcontext()


def _no_gpu(name: str) -> AssertionError:
    return AssertionError(_NO_GPU.format(name=name))


def synchronize(device: Any = None) -> NoReturn:
    """Waits for a GPU. Raises: AssertionError, as in PyTorch without CUDA."""
    raise _no_gpu("synchronize")


def init() -> NoReturn:
    """Starts using GPUs. Raises: AssertionError."""
    raise _no_gpu("init")


def current_device() -> NoReturn:
    """The number of the current GPU. Raises: AssertionError."""
    raise _no_gpu("current_device")


def set_device(device: Any) -> NoReturn:
    """Chooses the current GPU. Raises: AssertionError."""
    raise _no_gpu("set_device")


def current_stream(device: Any = None) -> NoReturn:
    """The stream of the current GPU. Raises: AssertionError."""
    raise _no_gpu("current_stream")


def get_device_name(device: Any = None) -> NoReturn:
    """The name of a GPU. Raises: AssertionError."""
    raise _no_gpu("get_device_name")


def get_device_capability(device: Any = None) -> NoReturn:
    """The version of a GPU's instruction set. Raises: AssertionError."""
    raise _no_gpu("get_device_capability")


def get_device_properties(device: Any = None) -> NoReturn:
    """What is known of a GPU. Raises: AssertionError."""
    raise _no_gpu("get_device_properties")


def mem_get_info(device: Any = None) -> NoReturn:
    """Free and total memory of a GPU. Raises: AssertionError."""
    raise _no_gpu("mem_get_info")


def get_rng_state(device: Any = "cuda") -> NoReturn:
    """The state of a GPU's generator. Raises: AssertionError."""
    raise _no_gpu("get_rng_state")


def initial_seed() -> NoReturn:
    """The seed of a GPU's generator. Raises: AssertionError."""
    raise _no_gpu("initial_seed")


def __getattr__(name: str) -> Any:
    if name == "amp":
        return importlib.import_module("flambeau.cuda.amp")
    if name.startswith("__"):
        raise AttributeError(f"module 'flambeau.cuda' has no attribute '{name}'")
    raise NotImplementedError(f"flambeau.cuda.{name} is not there: flambeau has no CUDA backend yet.")


def __dir__() -> list[str]:
    return sorted({"amp", *(name for name in globals() if name[0] != "_")} - _IMPORTED)


_IMPORTED = {"Any", "NoReturn", "OrderedDict", "TYPE_CHECKING", "Tensor", "annotations", "contextlib", "importlib"}
