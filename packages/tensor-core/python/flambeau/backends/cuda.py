"""What computes on GPUs: whether products may use TF32, and how attention is computed, on the CPU as well.

The switches for half precision are kept without effect.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace

from .._settings import get_float32_matmul_precision, set_float32_matmul_precision
from . import _attention

__all__ = [
    "cudnn_sdp_enabled",
    "enable_cudnn_sdp",
    "enable_flash_sdp",
    "enable_math_sdp",
    "enable_mem_efficient_sdp",
    "flash_sdp_enabled",
    "is_built",
    "is_flash_attention_available",
    "math_sdp_enabled",
    "matmul",
    "mem_efficient_sdp_enabled",
    "sdp_kernel",
]


class _Products(SimpleNamespace):
    @property
    def allow_tf32(self) -> bool:
        """Whether products of float32 may be computed in TF32: ``set_float32_matmul_precision`` in other words."""
        return get_float32_matmul_precision() != "highest"

    @allow_tf32.setter
    def allow_tf32(self, allowed: bool) -> None:
        set_float32_matmul_precision("high" if allowed else "highest")


matmul = _Products(
    allow_fp16_reduced_precision_reduction=True,
    allow_bf16_reduced_precision_reduction=True,
    allow_fp16_accumulation=False,
)


def is_built() -> bool:
    """Whether there is a CUDA backend: True, in every installation. ``flambeau.cuda.is_available`` asks for a GPU."""
    return True


def is_flash_attention_available() -> bool:
    """Whether the library of that name is there: False. The kernel of one's own never stores the scores, either."""
    return False


def enable_flash_sdp(enabled: bool) -> None:
    """Whether attention may be computed by the kernel of that name: see ``flambeau.nn.attention``."""
    _attention.switch("flash", enabled)


def enable_mem_efficient_sdp(enabled: bool) -> None:
    """Whether attention may be computed by the kernel of that name: see ``flambeau.nn.attention``."""
    _attention.switch("mem_efficient", enabled)


def enable_math_sdp(enabled: bool) -> None:
    """Whether attention may be computed by its formula, with the matrix of scores as a whole."""
    _attention.switch("math", enabled)


def enable_cudnn_sdp(enabled: bool) -> None:
    """Whether attention may be computed by the kernel of that name: see ``flambeau.nn.attention``."""
    _attention.switch("cudnn", enabled)


def flash_sdp_enabled() -> bool:
    """Whether that kernel is allowed."""
    return _attention.is_allowed("flash")


def mem_efficient_sdp_enabled() -> bool:
    """Whether that kernel is allowed."""
    return _attention.is_allowed("mem_efficient")


def math_sdp_enabled() -> bool:
    """Whether the formula is allowed."""
    return _attention.is_allowed("math")


def cudnn_sdp_enabled() -> bool:
    """Whether that kernel is allowed."""
    return _attention.is_allowed("cudnn")


@contextlib.contextmanager
def sdp_kernel(
    enable_flash: bool = True,
    enable_math: bool = True,
    enable_mem_efficient: bool = True,
    enable_cudnn: bool = True,
) -> Iterator[None]:
    """The older ``flambeau.nn.attention.sdpa_kernel``: makes the four choices for a block."""
    former = _attention.settings()
    chosen = {"flash": enable_flash, "math": enable_math, "mem_efficient": enable_mem_efficient, "cudnn": enable_cudnn}
    for name, enabled in chosen.items():
        _attention.switch(name, enabled)
    try:
        yield
    finally:
        _attention.allow(*former)
