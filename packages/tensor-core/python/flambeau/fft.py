"""Discrete Fourier transforms.

``X[k] = sum of x[j] exp(-2 pi i j k / n)``. The inverse has the opposite sign in the exponent and, by default, the
factor 1/n. ``norm`` selects the direction that applies the factor: ``"backward"`` (the default), ``"forward"``, or
``"ortho"`` for 1/sqrt(n) in both directions. ``n`` and ``s`` are the number of points along ``dim``. Longer input is
truncated, shorter input is padded with zeros; -1 in ``s`` keeps a size. Real and integer inputs are converted to
complex tensors of the same precision. Every transform can be differentiated any number of times.

Raises: RuntimeError for an unknown ``norm``, fewer than one point, a half-precision dtype, repeated dims, or complex
input to a transform of real input; IndexError for a ``dim`` out of range.
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
    """Return the sample frequencies of ``fft``: 0, 1, ..., -2, -1, divided by n d.

    Args:
        n: number of points of the transform.
        d: sample spacing. The frequencies are in cycles per unit of the spacing.
        dtype: dtype of the result. None means the default dtype.
    Returns: a tensor of shape ``(n,)``.
    Raises: RuntimeError for a negative n or a dtype that is neither floating-point nor complex.

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
    """Return the sample frequencies of ``rfft``: 0, 1, ..., n // 2, divided by n d. See `fftfreq`.

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
