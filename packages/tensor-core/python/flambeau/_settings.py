"""Settings of the process that programs make: determinism, precision, warnings, the default device and tensor type."""

import importlib
import warnings
from types import ModuleType
from typing import Any

from flambeau import _core

# Every operator is deterministic, whatever the number of threads; what is set here is kept and reported.
_determinism = {"mode": False, "warn_only": False}
_DEBUG_MODES = ("default", "warn", "error")
_precision = "highest"
_warn_always = False
_told: set[str] = set()  # the warnings that were given


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Asks for deterministic algorithms. There are no others here: results never depend on the threads."""
    for name, value in (("mode", mode), ("warn_only", warn_only)):
        if not isinstance(value, bool):
            raise TypeError(f"use_deterministic_algorithms(): {name} must be bool, not {type(value).__name__}")
    _determinism.update(mode=mode, warn_only=warn_only)


def are_deterministic_algorithms_enabled() -> bool:
    """What ``use_deterministic_algorithms`` set."""
    return _determinism["mode"]


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Whether ``use_deterministic_algorithms`` asked for warnings only."""
    return _determinism["warn_only"]


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """``"default"`` (0), ``"warn"`` (1) or ``"error"`` (2): the same as ``use_deterministic_algorithms``."""
    if isinstance(debug_mode, str):
        if debug_mode not in _DEBUG_MODES:
            raise RuntimeError(f"debug_mode must be one of {', '.join(_DEBUG_MODES)}, but got {debug_mode}")
        debug_mode = _DEBUG_MODES.index(debug_mode)
    if isinstance(debug_mode, bool) or not isinstance(debug_mode, int):
        raise TypeError(f"debug_mode must be str or int, but got {type(debug_mode).__name__}")
    if debug_mode not in (0, 1, 2):
        raise RuntimeError(f"debug_mode must be 0, 1 or 2, but got {debug_mode}")
    _determinism.update(mode=debug_mode > 0, warn_only=debug_mode == 1)


def get_deterministic_debug_mode() -> int:
    """0, 1 or 2: see ``set_deterministic_debug_mode``."""
    return 0 if not _determinism["mode"] else 1 if _determinism["warn_only"] else 2


def set_float32_matmul_precision(precision: str) -> None:
    """``"highest"``, ``"high"`` or ``"medium"``. What is not ``"highest"`` allows GPUs to multiply in TF32."""
    global _precision
    if precision not in ("highest", "high", "medium"):
        raise RuntimeError(f"precision must be 'highest', 'high' or 'medium', but got {precision!r}")
    _precision = precision
    _core._cuda_allow_tf32(precision != "highest")


def get_float32_matmul_precision() -> str:
    """What ``set_float32_matmul_precision`` set."""
    return _precision


def set_warn_always(b: bool) -> None:
    """Whether a warning that stands for many is given each time."""
    global _warn_always
    if not isinstance(b, bool):
        raise RuntimeError(f"set_warn_always() expects a bool, but got {type(b).__name__}")
    _warn_always = b


def is_warn_always_enabled() -> bool:
    """What ``set_warn_always`` set."""
    return _warn_always


def warn_once(message: str) -> None:
    """Warns the caller's caller, once in the process unless ``set_warn_always`` asks for more."""
    if _warn_always or message not in _told:
        _told.add(message)
        warnings.warn(message, stacklevel=3)


def get_num_interop_threads() -> int:
    """Operators run one after another: 1."""
    return 1


def set_num_interop_threads(n: int) -> None:
    """Asks for operators side by side; they run one after another, whatever ``n`` is."""
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"set_num_interop_threads expects an int, but got {type(n).__name__}")
    if n <= 0:
        raise RuntimeError("set_num_interop_threads expects a positive integer")


def set_flush_denormal(mode: bool) -> bool:
    """Asks for numbers too small to be normal to be taken for 0. Returns: False, they never are."""
    if not isinstance(mode, bool):
        raise TypeError(f"set_flush_denormal expects a bool, but got {type(mode).__name__}")
    return False


def compiled_with_cxx11_abi() -> bool:
    """Whether the library uses C++11's strings: True."""
    return True


def is_vulkan_available() -> bool:
    """Whether tensors can live on Vulkan: False."""
    return False


def get_device_module(device: Any = None) -> ModuleType:
    """The module of a type of device; of the machine's accelerator, where there is one, if None.

    Raises: RuntimeError for a device without one.
    """
    if device is None:
        device = "cuda" if _core._cuda_device_count() else "cpu"
    name = _core.device(device).type
    if name not in ("cpu", "cuda", "mps", "xpu"):
        raise RuntimeError(f"Device '{name}' does not have a corresponding module registered as 'flambeau.{name}'.")
    return importlib.import_module(f"flambeau.{name}")


def set_default_device(device: Any) -> None:
    """Sets where this thread makes tensors that it does not make of others; None is the CPU.

    ``with flambeau.device("meta"):`` sets it for a block. Raises: NotImplementedError for a device without a backend.
    """
    _core._set_default_device(device)


def get_default_device() -> _core.device:
    """Where this thread makes tensors that it does not make of others."""
    return _core._get_default_device()


def set_default_tensor_type(t: Any) -> None:
    """Sets the default dtype and device by an older name for both: ``flambeau.DoubleTensor`` or its name as text."""
    from flambeau._tensor_types import tensortype, type_named

    if isinstance(t, str):
        dtype, on_gpu = type_named(t)
    elif isinstance(t, tensortype):
        dtype, on_gpu = t.dtype, t.is_cuda
    else:
        raise TypeError(f"invalid type object: expected a tensor type such as flambeau.FloatTensor, got {t!r}")
    _core._set_default_device("cuda" if on_gpu else None)
    _core.set_default_dtype(dtype)
