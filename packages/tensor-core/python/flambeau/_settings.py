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
_issued_warnings: set[str] = set()  # for warn_once()


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Request deterministic algorithms. All algorithms of flambeau are deterministic: this only stores the setting.

    Args:
        mode: the value for `are_deterministic_algorithms_enabled`.
        warn_only: the value for `is_deterministic_algorithms_warn_only_enabled`.
    Raises: TypeError if an argument is not a bool.

    >>> fb.use_deterministic_algorithms(True, warn_only=True)
    >>> fb.are_deterministic_algorithms_enabled(), fb.is_deterministic_algorithms_warn_only_enabled()
    (True, True)
    >>> fb.use_deterministic_algorithms(False)
    """
    for name, value in (("'mode' (position 1)", mode), ("'warn_only'", warn_only)):
        if not isinstance(value, bool):
            raise TypeError(
                f"_set_deterministic_algorithms(): argument {name} must be bool, not {type(value).__name__}"
            )
    _determinism.update(mode=mode, warn_only=warn_only)


def are_deterministic_algorithms_enabled() -> bool:
    """Return the ``mode`` of the last call. See `use_deterministic_algorithms`."""
    return _determinism["mode"]


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Return the ``warn_only`` of the last call. See `use_deterministic_algorithms`."""
    return _determinism["warn_only"]


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """Call `use_deterministic_algorithms` for a mode: ``"default"`` (0), ``"warn"`` (1) or ``"error"`` (2).

    Args:
        debug_mode: the mode, as a string or a number.
    Raises: RuntimeError for another mode; TypeError for another type.

    >>> fb.set_deterministic_debug_mode("warn")
    >>> fb.get_deterministic_debug_mode()
    1
    >>> fb.set_deterministic_debug_mode("default")
    """
    if isinstance(debug_mode, str):
        if debug_mode not in _DEBUG_MODES:
            raise RuntimeError(
                f"debug_mode must be one of {', '.join(map(repr, _DEBUG_MODES))}, but got {debug_mode!r}"
            )
        debug_mode = _DEBUG_MODES.index(debug_mode)
    if isinstance(debug_mode, bool) or not isinstance(debug_mode, int):
        raise TypeError(f"debug_mode must be str or int, but got {type(debug_mode).__name__}")
    if debug_mode not in (0, 1, 2):
        raise RuntimeError(f"debug_mode must be 0, 1 or 2, but got {debug_mode}")
    _determinism.update(mode=debug_mode > 0, warn_only=debug_mode == 1)


def get_deterministic_debug_mode() -> int:
    """Return the mode 0, 1 or 2. See `set_deterministic_debug_mode`."""
    return 0 if not _determinism["mode"] else 1 if _determinism["warn_only"] else 2


def set_float32_matmul_precision(precision: str) -> None:
    """Set the precision of float32 products and attention. ``"high"`` and ``"medium"`` allow TF32 on GPUs.

    Raises: RuntimeError for another value.

    >>> fb.set_float32_matmul_precision("high")
    >>> fb.get_float32_matmul_precision()
    'high'
    >>> fb.set_float32_matmul_precision("highest")
    """
    global _precision
    if precision not in ("highest", "high", "medium"):
        raise RuntimeError(f"precision must be 'highest', 'high' or 'medium', but got {precision!r}")
    _precision = precision
    _core._cuda_allow_tf32(precision != "highest")


def get_float32_matmul_precision() -> str:
    """Return the precision (default: ``"highest"``). See `set_float32_matmul_precision`."""
    return _precision


def set_warn_always(b: bool) -> None:
    """Set whether a repeated warning is always issued (True) or only once per process (False).

    Raises: RuntimeError if the argument is not a bool.

    >>> fb.set_warn_always(True)
    >>> fb.is_warn_always_enabled()
    True
    >>> fb.set_warn_always(False)
    """
    global _warn_always
    if not isinstance(b, bool):
        raise RuntimeError(f"set_warn_always() expects a bool, but got {type(b).__name__}")
    _warn_always = b
    _core._repeat_warnings(b)


def is_warn_always_enabled() -> bool:
    """Return the setting, False by default. See `set_warn_always`."""
    return _warn_always


def warn_once(message: str, stacklevel: int = 3) -> None:
    """Issue a warning that points to the caller's caller. Repeat a warning only if ``set_warn_always`` is set."""
    if _warn_always or message not in _issued_warnings:
        _issued_warnings.add(message)
        warnings.warn(message, stacklevel=stacklevel)


def get_num_interop_threads() -> int:
    """Return 1: operators run one after another.

    >>> fb.get_num_interop_threads()
    1
    """
    return 1


def set_num_interop_threads(n: int) -> None:
    """Check the argument and ignore it: operators run one after another.

    Raises: TypeError if the argument is not an int; RuntimeError if it is not positive.

    >>> fb.set_num_interop_threads(4)
    >>> fb.get_num_interop_threads()
    1
    """
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"set_num_interop_threads expects an int, but got {type(n).__name__}")
    if n <= 0:
        raise RuntimeError(f"set_num_interop_threads expects a positive integer, but got {n}")


def set_flush_denormal(mode: bool) -> bool:
    """Check the argument and return False: flushing denormal numbers to zero is not supported.

    Raises: TypeError if the argument is not a bool.

    >>> fb.set_flush_denormal(True)
    False
    """
    if not isinstance(mode, bool):
        raise TypeError(f"set_flush_denormal expects a bool, but got {type(mode).__name__}")
    return False


def compiled_with_cxx11_abi() -> bool:
    """Return True: the library uses the C++11 ABI.

    >>> fb.compiled_with_cxx11_abi()
    True
    """
    return True


def is_vulkan_available() -> bool:
    """Return False: Vulkan is not supported.

    >>> fb.is_vulkan_available()
    False
    """
    return False


def get_device_module(device: Any = None) -> ModuleType:
    """Return the module of a device type. None means CUDA if a GPU is available, otherwise the CPU.

    Raises: RuntimeError for a device type without a module.

    >>> fb.get_device_module("cpu").current_device()
    'cpu'
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

    >>> fb.set_default_device("meta")
    >>> fb.ones(2).device
    device(type='meta')
    >>> fb.set_default_device(None)
    """
    _core._set_default_device(device)


def get_default_device() -> _core.device:
    """Return the device on which factory functions create tensors in this thread.

    >>> with fb.device("meta"):
    ...     fb.get_default_device()
    device(type='meta')
    """
    return _core._get_default_device()


def set_default_tensor_type(t: Any) -> None:
    """Set the default dtype and device from a tensor type such as ``flambeau.DoubleTensor``, or from its name.

    Raises: TypeError if the argument is neither a tensor type nor a name.

    >>> fb.set_default_tensor_type(fb.DoubleTensor)
    >>> fb.ones(1).dtype
    flambeau.float64
    >>> fb.set_default_tensor_type(fb.FloatTensor)
    """
    from flambeau._tensor_types import tensortype, type_named

    warn_once("set_default_tensor_type() is deprecated: call set_default_dtype() and set_default_device() instead.")
    if isinstance(t, str):
        dtype, on_gpu = type_named(t)
    elif isinstance(t, tensortype):
        dtype, on_gpu = t.dtype, t.is_cuda
    else:
        raise TypeError(f"invalid type object: expected a tensor type such as flambeau.FloatTensor, got {t!r}")
    _core._set_default_device("cuda" if on_gpu else None)
    _core.set_default_dtype(dtype)
