"""Window functions of ``window_length`` samples for spectra. ``flambeau.signal.windows`` has more windows."""

import math
import operator as python_operator
from collections.abc import Callable, Sequence
from typing import Any

from flambeau import _core
from flambeau._core import Tensor
from flambeau._operator import operator

HANN, BLACKMAN = (0.5, 0.5), (0.42, 0.5, 0.08)


def window(
    size: int, symmetric: bool, dtype: Any, device: Any, requires_grad: bool, shape: Callable[[Tensor, int], Tensor]
) -> Tensor:
    """Return the window with the values ``shape(t, n)`` at n positions t from -1 to 1, computed in float64.

    A periodic window of ``size`` samples is the symmetric window of ``size + 1`` samples without the last sample.
    """
    count = size + (not symmetric)
    if size < 2:
        values = _core.ones(size, dtype=_core.float64, device="cpu")
    else:
        positions = _core.arange(1 - count, count, 2, dtype=_core.float64, device="cpu") / (count - 1)
        values = shape(positions, count)[:size]
    dtype = _core.get_default_dtype() if dtype is None else dtype
    device = _core._get_default_device() if device is None else device
    return values.to(device, dtype).requires_grad_(requires_grad)


def cosine_sum(coefficients: Sequence[float]) -> Callable[[Tensor, int], Tensor]:
    """Return a function that computes the sum of a_i cos(i pi t)."""

    def shape(t: Tensor, count: int) -> Tensor:
        return sum(((a * (i * math.pi * t).cos()) for i, a in enumerate(coefficients)), _core.zeros_like(t))

    return shape


def kaiser_shape(beta: float) -> Callable[[Tensor, int], Tensor]:
    """Return a function for I0(beta sqrt(1 - t**2)) / I0(beta), with the modified Bessel function I0 of order 0."""

    def shape(t: Tensor, count: int) -> Tensor:
        import numpy as np

        return _core.from_numpy(np.i0(beta * np.sqrt(1 - t.numpy() ** 2)) / np.i0(beta))

    return shape


def _window(name: str, size: int, periodic: bool, dtype: Any, device: Any, requires_grad: bool, shape: Any) -> Tensor:
    size = python_operator.index(size)
    if size < 0:
        raise RuntimeError(f"{name} requires non-negative window_length, got window_length={size}")
    if dtype is not None and not dtype.is_floating_point:
        raise RuntimeError(f"{name} expects floating point dtypes, got: {dtype}")
    return window(size, not periodic, dtype, device, requires_grad, shape)


@operator()
def hann_window(
    window_length: int,
    periodic: bool = True,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """Return the Hann window, 0.5 - 0.5 cos(2 pi k / N), with N = window_length if periodic, else window_length - 1.

    Raises RuntimeError for a negative length or a dtype that is not floating.

    >>> flambeau.hann_window(4)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    return _window("hann_window", window_length, periodic, dtype, device, requires_grad, cosine_sum(HANN))


@operator()
def hamming_window(
    window_length: int,
    periodic: bool = True,
    alpha: float = 0.54,
    beta: float = 0.46,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """Return the Hamming window, alpha - beta cos(2 pi k / N), with N as in ``hann_window``.

    Raises RuntimeError for a negative length or a dtype that is not floating.

    >>> fb.hamming_window(4)
    tensor([0.0800, 0.5400, 1.0000, 0.5400])
    """
    return _window("hamming_window", window_length, periodic, dtype, device, requires_grad, cosine_sum((alpha, beta)))


@operator()
def blackman_window(
    window_length: int,
    periodic: bool = True,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """Return the Blackman window, 0.42 - 0.5 cos(2 pi k / N) + 0.08 cos(4 pi k / N), with N as in ``hann_window``.

    Raises RuntimeError for a negative length or a dtype that is not floating.

    >>> fb.blackman_window(4).round(decimals=4).abs()
    tensor([0.0000, 0.3400, 1.0000, 0.3400])
    """
    return _window("blackman_window", window_length, periodic, dtype, device, requires_grad, cosine_sum(BLACKMAN))


@operator()
def bartlett_window(
    window_length: int,
    periodic: bool = True,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """Return the triangular window, 1 - |2 k / N - 1|, with N as in ``hann_window``.

    Raises RuntimeError for a negative length or a dtype that is not floating.

    >>> fb.bartlett_window(4)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    return _window(
        "bartlett_window", window_length, periodic, dtype, device, requires_grad, lambda t, count: 1 - t.abs()
    )


@operator()
def kaiser_window(
    window_length: int,
    periodic: bool = True,
    beta: float = 12.0,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """Return the Kaiser window, I0(beta sqrt(1 - (2 k / N - 1)**2)) / I0(beta), with N as in ``hann_window``.

    I0 is the modified Bessel function of the first kind of order 0.

    Raises RuntimeError for a negative length or a dtype that is not floating.

    >>> fb.kaiser_window(4)
    tensor([5.2773e-05, 2.1567e-01, 1.0000e+00, 2.1567e-01])
    """
    return _window("kaiser_window", window_length, periodic, dtype, device, requires_grad, kaiser_shape(beta))
