"""The discrete Fourier transforms of the standard, implemented by ``flambeau.fft``."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import flambeau
from flambeau import Tensor, fft as _fft
from flambeau.array_api._promotion import implemented_by

__all__ = [
    "fft",
    "fftfreq",
    "fftn",
    "fftshift",
    "hfft",
    "ifft",
    "ifftn",
    "ifftshift",
    "ihfft",
    "irfft",
    "irfftn",
    "rfft",
    "rfftfreq",
    "rfftn",
]

Norm = Literal["backward", "ortho", "forward"]


def _along_axis(transform: Callable[..., Tensor]) -> Callable[..., Tensor]:
    @implemented_by(transform, transform.__name__, module="fft.")
    def function(x: Tensor, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward") -> Tensor:
        return transform(x, n, axis, norm)

    return function


def _over_axes(transform: Callable[..., Tensor]) -> Callable[..., Tensor]:
    @implemented_by(transform, transform.__name__, module="fft.")
    def function(
        x: Tensor, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: Norm = "backward"
    ) -> Tensor:
        return transform(x, s, axes, norm)

    return function


fft = _along_axis(_fft.fft)
ifft = _along_axis(_fft.ifft)
rfft = _along_axis(_fft.rfft)
irfft = _along_axis(_fft.irfft)
hfft = _along_axis(_fft.hfft)
ihfft = _along_axis(_fft.ihfft)
fftn = _over_axes(_fft.fftn)
ifftn = _over_axes(_fft.ifftn)
rfftn = _over_axes(_fft.rfftn)
irfftn = _over_axes(_fft.irfftn)


def fftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Tensor:
    """Return the sample frequencies of ``fft``. Raise ValueError for a dtype that is not real floating.

    >>> fb.array_api.fft.fftfreq(4, d=0.5)
    tensor([ 0.0000,  0.5000, -1.0000, -0.5000])
    """
    return _fft.fftfreq(n, d, dtype=_real(dtype), device=device)


def rfftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Tensor:
    """Return the sample frequencies of ``rfft``. Raise ValueError for a dtype that is not real floating.

    >>> fb.array_api.fft.rfftfreq(4, d=0.5)
    tensor([0.0000, 0.5000, 1.0000])
    """
    return _fft.rfftfreq(n, d, dtype=_real(dtype), device=device)


def fftshift(x: Tensor, /, *, axes: int | Sequence[int] | None = None) -> Tensor:
    """Shift the zero frequency to the middle.

    >>> fb.array_api.fft.fftshift(fb.tensor([0, 1, -2, -1]))
    tensor([-2, -1,  0,  1])
    """
    return _fft.fftshift(x, axes)


def ifftshift(x: Tensor, /, *, axes: int | Sequence[int] | None = None) -> Tensor:
    """Invert ``fftshift``.

    >>> fb.array_api.fft.ifftshift(fb.tensor([-2, -1, 0, 1]))
    tensor([ 0,  1, -2, -1])
    """
    return _fft.ifftshift(x, axes)


def _real(dtype: flambeau.dtype | None) -> flambeau.dtype:
    if dtype is not None and not dtype.is_floating_point:
        raise ValueError(f"expected a real floating dtype, got {dtype}")
    return dtype or flambeau.get_default_dtype()
