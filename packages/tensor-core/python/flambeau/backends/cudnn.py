"""cuDNN, NVIDIA's library for neural networks. It computes convolutions and attention on GPUs if it is installed.

Only ``enabled`` has an effect. flambeau always uses deterministic algorithms, as if ``deterministic`` were set, and
selects them with cuDNN's heuristics, regardless of ``benchmark``. ``set_float32_matmul_precision`` determines if
float32 is rounded to TF32, regardless of ``allow_tf32``.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from types import ModuleType
from typing import Any

from flambeau import _core

from ._switches import switched

enabled: bool  # a property of _Backend
deterministic = False
benchmark = False
benchmark_limit = 10
allow_tf32 = True


class _Backend(ModuleType):
    _enabled = True

    @property
    def enabled(self) -> bool:
        """True if convolutions and attention use cuDNN when it is installed."""
        return self._enabled

    @enabled.setter
    def enabled(self, enabled: bool) -> None:
        self._enabled = bool(enabled)
        _core._cuda_enable_cudnn(self._enabled)


sys.modules[__name__].__class__ = _Backend


def is_available() -> bool:
    """Return True if cuDNN is installed and a GPU is available."""
    return _core._cuda_device_count() > 0 and version() is not None


def version() -> int | None:
    """Return the version of cuDNN (92800 means 9.28), or None if it is not installed."""
    return _core._cuda_cudnn_version() or None


def is_acceptable(tensor: Any) -> bool:
    """Return True if cuDNN is available and enabled, and ``tensor`` is a floating-point tensor on a GPU."""
    module = sys.modules[__name__]
    takes = getattr(tensor, "is_cuda", False) and tensor.is_floating_point()
    return bool(module.enabled and takes and is_available())


def flags(
    enabled: bool = False,
    benchmark: bool = False,
    benchmark_limit: int = 10,
    deterministic: bool = False,
    allow_tf32: bool = True,
) -> AbstractContextManager[None]:
    """Return a context manager that changes the settings for a block."""
    return switched(
        sys.modules[__name__],
        enabled=enabled,
        benchmark=benchmark,
        benchmark_limit=benchmark_limit,
        deterministic=deterministic,
        allow_tf32=allow_tf32,
    )
