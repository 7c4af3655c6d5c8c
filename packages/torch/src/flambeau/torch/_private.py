"""Functions of ``torch._C``, PyTorch's private module."""

import importlib
import sys
from typing import Any

from flambeau import Generator, Size, Tensor, _core, device, dtype, get_default_device, layout, memory_format
from flambeau._core import _disabled_torch_dispatch_impl
from flambeau.accelerator import current_accelerator
from flambeau.futures import Future
from flambeau.linalg import LinAlgError as _LinAlgError
from flambeau.overrides import (
    DisableTorchFunctionSubclass,
    _disabled_torch_function_impl,
    _is_mode_entered as _is_torch_function_mode_enabled,
)
from flambeau.torch._transforms import maybe_current_level

__all__ = [
    "DisableTorchFunction",
    "DisableTorchFunctionSubclass",
    "Future",
    "Generator",
    "Size",
    "TensorBase",
    "_LinAlgError",
    "_TensorMeta",
    "_are_functorch_transforms_active",
    "_disabled_torch_dispatch_impl",
    "_disabled_torch_function_impl",
    "_fft",
    "_get_accelerator",
    "_get_default_device",
    "_get_privateuse1_backend_name",
    "_get_tracing_state",
    "_is_alias_of",
    "_is_torch_function_mode_enabled",
    "_is_tracing",
    "_linalg",
    "_log_api_usage_once",
    "_special",
    "device",
    "dtype",
    "has_lapack",
    "has_mkl",
    "has_mkldnn",
    "has_openmp",
    "has_spectral",
    "layout",
    "memory_format",
]

_TensorMeta: type = type(Tensor)
TensorBase = Tensor  # PyTorch's base class of Tensor
has_lapack = True  # matrix decompositions are available
has_spectral = True  # Fourier transforms are available
has_mkl = has_mkldnn = has_openmp = False  # flambeau does not use these libraries


def _get_tracing_state() -> bool | None:
    """Return True while ``jit.trace`` runs a function, else None."""
    jit = sys.modules.get("flambeau.jit")
    return jit.is_tracing() or None if jit else None


def _is_tracing() -> bool:
    """Return True while ``jit.trace`` runs a function."""
    return bool(_get_tracing_state())


def _log_api_usage_once(*_: Any) -> None:
    """Do nothing: API usage is not logged."""


def _are_functorch_transforms_active() -> bool:
    """Return True while vmap runs, in which tensors may be batched. Other transforms use plain tensors."""
    return maybe_current_level() is not None


def _is_alias_of(input: Tensor, other: Tensor) -> bool:
    """Return True if two tensors have the same storage, so that one may be a view of the other."""
    return _core._storage_identifier(input) == _core._storage_identifier(other)


def _get_accelerator() -> device:
    """Return the type of the accelerator as a device, or the CPU if no accelerator is available."""
    return current_accelerator() or device("cpu")


def _get_default_device() -> str:
    """Return the name of the default device, on which factory functions create tensors."""
    return str(get_default_device())


def _get_privateuse1_backend_name() -> str:
    """Return the default name that PyTorch gives to custom device types."""
    return "privateuseone"


class DisableTorchFunction(DisableTorchFunctionSubclass):
    """Context manager that disables ``__torch_function__`` of subclasses and of modes in the current thread."""

    def __enter__(self) -> None:
        super().__enter__()
        self._modes: list[Any] = []
        while _is_torch_function_mode_enabled():
            self._modes.append(_core._pop_function_mode())

    def __exit__(self, *error: object) -> None:
        for mode in reversed(self._modes):
            _core._push_function_mode(mode)
        super().__exit__(*error)


class _PrefixedFunctions:
    """Functions of a module of flambeau, whose names have a prefix: ``torch._C._linalg.linalg_norm``."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(f"flambeau.{self._name}"), name.removeprefix(f"{self._name}_"))


_fft, _linalg, _special = map(_PrefixedFunctions, ("fft", "linalg", "special"))


def __getattr__(name: str) -> Any:
    """Return a name of `_convolutions`, `_dispatcher` or `_engine`, which are imported on first use."""
    for module in () if name.startswith("__") else ("_convolutions", "_dispatcher", "_engine"):
        owner = importlib.import_module(f"flambeau.torch.{module}")
        if name in owner.__all__:
            return getattr(owner, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
