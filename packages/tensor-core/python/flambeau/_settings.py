"""Process-wide settings: determinism, precision, warnings, default device and default tensor type."""

import importlib
import warnings
from types import ModuleType
from typing import Any

from flambeau import _core

# Every operator is deterministic for any number of threads, so these settings are only stored and returned.
_determinism = {"mode": False, "warn_only": False}
_DEBUG_MODES = ("default", "warn", "error")
_precision = "highest"
_warn_always = False
_told: set[str] = set()  # warnings that were already issued


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Request deterministic algorithms. All algorithms of flambeau are deterministic: this only stores the setting."""
    for name, value in (("'mode' (position 1)", mode), ("'warn_only'", warn_only)):
        if not isinstance(value, bool):
            raise TypeError(
                f"_set_deterministic_algorithms(): argument {name} must be bool, not {type(value).__name__}"
            )
    _determinism.update(mode=mode, warn_only=warn_only)


def are_deterministic_algorithms_enabled() -> bool:
    """Return the ``mode`` that ``use_deterministic_algorithms`` set."""
    return _determinism["mode"]


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Return the ``warn_only`` that ``use_deterministic_algorithms`` set."""
    return _determinism["warn_only"]


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """Set the mode to ``"default"`` (0), ``"warn"`` (1) or ``"error"`` (2). See ``use_deterministic_algorithms``."""
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
    """Return the mode 0, 1 or 2. See ``set_deterministic_debug_mode``."""
    return 0 if not _determinism["mode"] else 1 if _determinism["warn_only"] else 2


def set_float32_matmul_precision(precision: str) -> None:
    """Set the precision of float32 matrix products. ``"high"`` and ``"medium"`` allow TF32 on GPUs, ``"highest"`` not.

    Raises: RuntimeError for another value.
    """
    global _precision
    if precision not in ("highest", "high", "medium"):
        raise RuntimeError(f"precision must be 'highest', 'high' or 'medium', but got {precision!r}")
    _precision = precision
    _core._cuda_allow_tf32(precision != "highest")


def get_float32_matmul_precision() -> str:
    """Return the value that ``set_float32_matmul_precision`` set. The default is ``"highest"``."""
    return _precision


def set_warn_always(b: bool) -> None:
    """If True, issue a warning each time instead of once per process."""
    global _warn_always
    if not isinstance(b, bool):
        raise RuntimeError(f"set_warn_always() expects a bool, but got {type(b).__name__}")
    _warn_always = b


def is_warn_always_enabled() -> bool:
    """Return the value that ``set_warn_always`` set."""
    return _warn_always


def warn_once(message: str, stacklevel: int = 3) -> None:
    """Warn at the caller's caller. Repeat a warning only if ``set_warn_always`` is set."""
    if _warn_always or message not in _told:
        _told.add(message)
        warnings.warn(message, stacklevel=stacklevel)


def get_num_interop_threads() -> int:
    """Return 1: operators run one after another."""
    return 1


def set_num_interop_threads(n: int) -> None:
    """Check the argument and ignore it: operators run one after another."""
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"set_num_interop_threads expects an int, but got {type(n).__name__}")
    if n <= 0:
        raise RuntimeError("set_num_interop_threads expects a positive integer")


def set_flush_denormal(mode: bool) -> bool:
    """Check the argument and return False: flushing denormal numbers to zero is not supported."""
    if not isinstance(mode, bool):
        raise TypeError(f"set_flush_denormal expects a bool, but got {type(mode).__name__}")
    return False


def compiled_with_cxx11_abi() -> bool:
    """Return True: the library uses the C++11 ABI."""
    return True


def is_vulkan_available() -> bool:
    """Return False: Vulkan is not supported."""
    return False


def get_device_module(device: Any = None) -> ModuleType:
    """Return the module of a device type. None means CUDA if a GPU is available, otherwise the CPU.

    Raises: RuntimeError for a device type without a module.
    """
    if device is None:
        device = "cuda" if _core._cuda_device_count() else "cpu"
    name = _core.device(device).type
    if name not in ("cpu", "cuda", "mps", "xpu"):
        raise RuntimeError(f"Device '{name}' does not have a corresponding module registered as 'flambeau.{name}'.")
    return importlib.import_module(f"flambeau.{name}")


def set_default_device(device: Any) -> None:
    """Set the device on which factory functions create tensors in this thread. None means the CPU.

    ``with flambeau.device("meta"):`` sets it for a block.

    Raises: NotImplementedError for a device without a backend.
    """
    _core._set_default_device(device)


def get_default_device() -> _core.device:
    """Return the device on which factory functions create tensors in this thread."""
    return _core._get_default_device()


def set_default_tensor_type(t: Any) -> None:
    """Set the default dtype and device from a tensor type such as ``flambeau.DoubleTensor``, or from its name."""
    from flambeau._tensor_types import tensortype, type_named

    if isinstance(t, str):
        dtype, on_gpu = type_named(t)
    elif isinstance(t, tensortype):
        dtype, on_gpu = t.dtype, t.is_cuda
    else:
        raise TypeError(f"invalid type object: expected a tensor type such as flambeau.FloatTensor, got {t!r}")
    _core._set_default_device("cuda" if on_gpu else None)
    _core.set_default_dtype(dtype)
