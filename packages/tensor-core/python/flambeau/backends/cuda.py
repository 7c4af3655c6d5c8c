"""Settings for GPU computation: TF32 in matrix products, and the attention backends, which also apply to the CPU.

The settings for half precision are stored but have no effect.
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
        """True if float32 products and attention may use TF32. Alternative to ``set_float32_matmul_precision``."""
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
    """Return True: every installation contains the CUDA backend. Use ``flambeau.cuda.is_available`` to detect a GPU."""
    return True


def is_flash_attention_available() -> bool:
    """Return False: the FlashAttention library is not used. flambeau's own kernel does not store the scores either."""
    return False


def enable_flash_sdp(enabled: bool) -> None:
    """Allow or disallow the flash attention backend. See ``flambeau.nn.attention``."""
    _attention.switch("flash", enabled)


def enable_mem_efficient_sdp(enabled: bool) -> None:
    """Allow or disallow the memory-efficient attention backend. See ``flambeau.nn.attention``."""
    _attention.switch("mem_efficient", enabled)


def enable_math_sdp(enabled: bool) -> None:
    """Allow or disallow the attention formula, which stores the matrix of scores."""
    _attention.switch("math", enabled)


def enable_cudnn_sdp(enabled: bool) -> None:
    """Allow or disallow the cuDNN attention backend. See ``flambeau.nn.attention``."""
    _attention.switch("cudnn", enabled)


def flash_sdp_enabled() -> bool:
    """Return True if the flash attention backend is allowed."""
    return _attention.is_allowed("flash")


def mem_efficient_sdp_enabled() -> bool:
    """Return True if the memory-efficient attention backend is allowed."""
    return _attention.is_allowed("mem_efficient")


def math_sdp_enabled() -> bool:
    """Return True if the attention formula is allowed."""
    return _attention.is_allowed("math")


def cudnn_sdp_enabled() -> bool:
    """Return True if the cuDNN attention backend is allowed."""
    return _attention.is_allowed("cudnn")


@contextlib.contextmanager
def sdp_kernel(
    enable_flash: bool = True,
    enable_math: bool = True,
    enable_mem_efficient: bool = True,
    enable_cudnn: bool = True,
) -> Iterator[None]:
    """Select the attention backends for a block. Older form of ``flambeau.nn.attention.sdpa_kernel``."""
    former = _attention.settings()
    chosen = {"flash": enable_flash, "math": enable_math, "mem_efficient": enable_mem_efficient, "cudnn": enable_cudnn}
    for name, enabled in chosen.items():
        _attention.switch(name, enabled)
    try:
        yield
    finally:
        _attention.allow(*former)
