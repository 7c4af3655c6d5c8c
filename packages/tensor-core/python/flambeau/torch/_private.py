"""What programs use of ``torch._C``, PyTorch's private module."""

from typing import Any

from flambeau import Generator, Size, device, dtype, layout, memory_format
from flambeau.linalg import LinAlgError as _LinAlgError
from flambeau.overrides import DisableTorchFunctionSubclass, _disabled_torch_function_impl

__all__ = [
    "DisableTorchFunctionSubclass",
    "Generator",
    "Size",
    "_LinAlgError",
    "_disabled_torch_function_impl",
    "_log_api_usage_once",
    "device",
    "dtype",
    "layout",
    "memory_format",
]


def _log_api_usage_once(*_: Any) -> None:
    """Nothing: nobody counts calls."""
