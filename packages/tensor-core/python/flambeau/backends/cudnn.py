"""NVIDIA's library for networks, cuDNN, which does the convolutions on GPUs where it is installed.

Only ``enabled`` counts. Of its algorithms those are taken that give the same result each time, whatever
``deterministic`` says, as its heuristics rank them, whatever ``benchmark`` says; float32 is rounded to TF32 where
``set_float32_matmul_precision`` allows it, whatever ``allow_tf32`` says.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from types import ModuleType
from typing import Any

from flambeau import _core

from ._switches import switched

enabled: bool  # of _Backend
deterministic = False
benchmark = False
benchmark_limit = 10
allow_tf32 = True


class _Backend(ModuleType):
    _enabled = True

    @property
    def enabled(self) -> bool:
        """Whether convolutions go to the library where it is installed."""
        return self._enabled

    @enabled.setter
    def enabled(self, enabled: bool) -> None:
        self._enabled = bool(enabled)
        _core._cuda_want_cudnn(self._enabled)


sys.modules[__name__].__class__ = _Backend


def is_available() -> bool:
    """Whether the library is there, and a GPU."""
    return _core._cuda_device_count() > 0 and version() is not None


def version() -> int | None:
    """The library's version: 92800 is cuDNN 9.28; None where it is not installed."""
    return _core._cuda_cudnn_version() or None


def is_acceptable(tensor: Any) -> bool:
    """Whether the library takes a tensor: of a GPU, of a real floating dtype, where it is there and enabled."""
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
    """Sets the switches for a block."""
    return switched(
        sys.modules[__name__],
        enabled=enabled,
        benchmark=benchmark,
        benchmark_limit=benchmark_limit,
        deterministic=deterministic,
        allow_tf32=allow_tf32,
    )
