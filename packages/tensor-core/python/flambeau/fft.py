"""Discrete Fourier transforms.

``X[k] = sum of x[j] exp(-2 pi i j k / n)``; the inverse has the other sign and, unless ``norm`` says otherwise, the
factor 1/n. ``norm``: which direction carries the factor, ``"backward"`` (the default) or ``"forward"``, or ``"ortho"``
for 1/sqrt(n) in both. ``n`` and ``s`` are the number of points along ``dim``: longer input is cut, shorter filled up
with zeros; -1 in ``s`` leaves a size. Real and integer inputs are taken as complex ones of their precision. Every
transform can be differentiated any number of times.

Raises: RuntimeError for an unknown ``norm``, for fewer than one point, for a half-precision dtype, for dims given
twice, for complex input where it must be real; IndexError for a ``dim`` out of range.
"""

from typing import Any

import flambeau
from flambeau import Tensor, _core, _public_names, _suggestions
from flambeau._core import (
    fft,
    fft2,
    fftn,
    fftshift,
    hfft,
    hfft2,
    hfftn,
    ifft,
    ifft2,
    ifftn,
    ifftshift,
    ihfft,
    ihfft2,
    ihfftn,
    irfft,
    irfft2,
    irfftn,
    rfft,
    rfft2,
    rfftn,
)
from flambeau._operator import operator

__all__ = [
    "fft",
    "fft2",
    "fftfreq",
    "fftn",
    "fftshift",
    "hfft",
    "hfft2",
    "hfftn",
    "ifft",
    "ifft2",
    "ifftn",
    "ifftshift",
    "ihfft",
    "ihfft2",
    "ihfftn",
    "irfft",
    "irfft2",
    "irfftn",
    "rfft",
    "rfft2",
    "rfftfreq",
    "rfftn",
]


@operator(out=True)
def fftfreq(
    n: int,
    d: float = 1.0,
    *,
    dtype: Any = None,
    layout: Any = flambeau.strided,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """The frequencies of ``fft`` in cycles per unit of the spacing d: 0, 1, ..., -2, -1, divided by n d.

    Raises RuntimeError for a negative n or a dtype that is neither floating nor complex.

    >>> flambeau.fft.fftfreq(5)
    tensor([ 0.0000,  0.2000,  0.4000, -0.4000, -0.2000])
    """
    count = _count("fftfreq", n, d, dtype)
    values = _core.cat([_counts(0, (count + 1) // 2), _counts(-(count // 2), 0)])
    return _frequencies(values, count, d, dtype, device, requires_grad)


@operator(out=True)
def rfftfreq(
    n: int,
    d: float = 1.0,
    *,
    dtype: Any = None,
    layout: Any = flambeau.strided,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """The frequencies of ``rfft``: 0, 1, ..., n // 2, divided by n d.

    >>> flambeau.fft.rfftfreq(4)
    tensor([0.0000, 0.2500, 0.5000])
    """
    count = _count("rfftfreq", n, d, dtype)
    return _frequencies(_counts(0, count // 2 + 1), count, d, dtype, device, requires_grad)


def _count(name: str, n: int, d: float, dtype: Any) -> int:
    if dtype is not None and not (dtype.is_floating_point or dtype.is_complex):
        raise RuntimeError(f"{name} requires a floating point or complex dtype, got {dtype}")
    if n < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {n}: [{n}]")
    return n


def _counts(start: int, end: int) -> Tensor:
    return _core.arange(start, end, dtype=_core.float64, device="cpu")


def _frequencies(counts: Tensor, n: int, d: float, dtype: Any, device: Any, requires_grad: bool) -> Tensor:
    dtype = _core.get_default_dtype() if dtype is None else dtype
    device = _core._get_default_device() if device is None else device
    return (
        (counts / _core.tensor(n * d, dtype=_core.float64, device="cpu"))
        .to(device, dtype)
        .requires_grad_(requires_grad)
    )


def __dir__() -> list[str]:
    return _public_names.public_names(globals(), __all__)


_suggestions.suggest_names(__name__)
