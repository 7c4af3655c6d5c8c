"""Window functions of M samples.

``sym=True`` gives a symmetric window (for filters), ``sym=False`` a periodic window (for spectra). Values are computed
in float64 and rounded to ``dtype``, which is float32 or float64. Each function raises ValueError for a negative M,
another dtype or parameters outside their domain. In the formulas, k is the index of a sample. N is M - 1 for a
symmetric window and M for a periodic window.
"""

import math
import operator as python_operator
from collections.abc import Callable, Sequence
from typing import Any

import flambeau
from flambeau import Tensor, _core
from flambeau._operator import operator
from flambeau._operators.windows import BLACKMAN, HANN, cosine_sum, kaiser_shape, window

__all__ = [
    "bartlett",
    "blackman",
    "cosine",
    "exponential",
    "gaussian",
    "general_cosine",
    "general_hamming",
    "hamming",
    "hann",
    "kaiser",
    "nuttall",
]


def _window(
    name: str,
    size: int,
    sym: bool | int,
    dtype: Any,
    layout: Any,
    device: Any,
    requires_grad: bool,
    shape: Callable[[Tensor, int], Tensor],
) -> Tensor:
    """Check the options that all windows share, then create the window whose elements ``shape`` computes."""
    size = python_operator.index(size)
    if size < 0:
        raise ValueError(f"{name} requires non-negative window length, got M={size}")
    if layout is not flambeau.strided:
        raise ValueError(f"{name} is implemented for strided tensors only, got: {layout}")
    dtype = _core.get_default_dtype() if dtype is None else dtype
    if dtype not in (_core.float32, _core.float64):
        raise ValueError(f"{name} expects float32 or float64 dtypes, got: {dtype}")
    return window(size, bool(sym), dtype, device, requires_grad, shape)


@operator()
def bartlett(
    M: int,
    *,
    sym: bool | int = True,
    dtype: Any = None,
    layout: Any = flambeau.strided,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return the triangular window, which is 0 at both ends and 1 in the middle.

    >>> fb.signal.windows.bartlett(5)
    tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
    """
    return _window("bartlett", M, sym, dtype, layout, device, requires_grad, lambda t, count: 1 - t.abs())


@operator()
def blackman(
    M: int,
    *,
    sym: bool | int = True,
    dtype: Any = None,
    layout: Any = flambeau.strided,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return the Blackman window, 0.42 - 0.5 cos(2 pi k / N) + 0.08 cos(4 pi k / N).

    >>> fb.signal.windows.blackman(5).round(decimals=4).abs()
    tensor([0.0000, 0.3400, 1.0000, 0.3400, 0.0000])
    """
    return _window("blackman", M, sym, dtype, layout, device, requires_grad, cosine_sum(BLACKMAN))


@operator()
def cosine(
    M: int,
    *,
    sym: bool | int = True,
    dtype: Any = None,
    layout: Any = flambeau.strided,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return the cosine window, half a period of a sine: sin(pi (k + 0.5) / M) for a symmetric window.

    >>> fb.signal.windows.cosine(4)
    tensor([0.3827, 0.9239, 0.9239, 0.3827])
    """
    return _window(
        "cosine",
        M,
        sym,
        dtype,
        layout,
        device,
        requires_grad,
        lambda t, count: (math.pi / 2 * (count - 1) / count * t).cos(),
    )


@operator()
def exponential(
    M: int,
    *,
    center: float | None = None,
    tau: float = 1.0,
    sym: bool | int = True,
    dtype: Any = None,
    layout: Any = flambeau.strided,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return the exponential window, exp(-abs(k - center) / tau).

    ``center`` is the middle by default. The argument is only valid for a periodic window.

    >>> flambeau.signal.windows.exponential(3)
    tensor([0.3679, 1.0000, 0.3679])
    """
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.")
    if sym and center is not None:
        raise ValueError(f"Center must be None for symmetric windows, got: {center}")

    def shape(t: Tensor, count: int) -> Tensor:
        middle = (count - 1) / 2
        return (((t + 1) * middle - (middle if center is None else center)).abs() / -tau).exp()

    return _window("exponential", M, sym, dtype, layout, device, requires_grad, shape)


@operator()
def gaussian(
    M: int,
    *,
    std: float = 1.0,
    sym: bool | int = True,
    dtype: Any = None,
    layout: Any = flambeau.strided,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return the Gaussian window, exp(-((k - middle) / std)**2 / 2).

    >>> fb.signal.windows.gaussian(5, std=1.0)
    tensor([0.1353, 0.6065, 1.0000, 0.6065, 0.1353])
    """
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")
    return _window(
        "gaussian",
        M,
        sym,
        dtype,
        layout,
        device,
        requires_grad,
        lambda t, count: ((t * ((count - 1) / 2 / std)).square() / -2).exp(),
    )


@operator()
def general_cosine(
    M: int,
    *,
    a: Sequence[float],
    sym: bool | int = True,
    dtype: Any = None,
    layout: Any = flambeau.strided,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return the sum of (-1)**i a_i cos(2 pi i k / N) over the coefficients ``a``.

    >>> fb.signal.windows.general_cosine(5, a=[0.5, 0.5])
    tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
    """
    if not isinstance(a, list | tuple):
        raise TypeError(f"Coefficients must be a list/tuple, got: {type(a).__name__}")
    if not a:
        raise ValueError("Coefficients cannot be empty")
    return _window("general_cosine", M, sym, dtype, layout, device, requires_grad, cosine_sum([float(c) for c in a]))


@operator()
def general_hamming(
    M: int,
    *,
    alpha: float = 0.54,
    sym: bool | int = True,
    dtype: Any = None,
    layout: Any = flambeau.strided,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return the generalised Hamming window, alpha - (1 - alpha) cos(2 pi k / N).

    >>> fb.signal.windows.general_hamming(5, alpha=0.5)
    tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
    """
    alpha = float(alpha)
    return _window("general_hamming", M, sym, dtype, layout, device, requires_grad, cosine_sum((alpha, 1 - alpha)))


@operator()
def hamming(
    M: int,
    *,
    sym: bool | int = True,
    dtype: Any = None,
    layout: Any = flambeau.strided,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return the Hamming window, 0.54 - 0.46 cos(2 pi k / N).

    >>> fb.signal.windows.hamming(5)
    tensor([0.0800, 0.5400, 1.0000, 0.5400, 0.0800])
    """
    return _window("hamming", M, sym, dtype, layout, device, requires_grad, cosine_sum((0.54, 0.46)))


@operator()
def hann(
    M: int,
    *,
    sym: bool | int = True,
    dtype: Any = None,
    layout: Any = flambeau.strided,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return the Hann window, 0.5 - 0.5 cos(2 pi k / N).

    >>> flambeau.signal.windows.hann(5)
    tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
    """
    return _window("hann", M, sym, dtype, layout, device, requires_grad, cosine_sum(HANN))


@operator()
def kaiser(
    M: int,
    *,
    beta: float = 12.0,
    sym: bool | int = True,
    dtype: Any = None,
    layout: Any = flambeau.strided,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return the Kaiser window, I0(beta sqrt(1 - t**2)) / I0(beta).

    t runs from -1 to 1. I0 is the modified Bessel function of the first kind of order 0.

    >>> fb.signal.windows.kaiser(5, beta=12.0)
    tensor([5.2773e-05, 2.1567e-01, 1.0000e+00, 2.1567e-01, 5.2773e-05])
    """
    if beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.")
    return _window("kaiser", M, sym, dtype, layout, device, requires_grad, kaiser_shape(beta))


@operator()
def nuttall(
    M: int,
    *,
    sym: bool | int = True,
    dtype: Any = None,
    layout: Any = flambeau.strided,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return the Nuttall window: a four-term cosine sum of Blackman-Harris type with minimum sidelobes.

    Source: A. H. Nuttall, IEEE Transactions on Acoustics, Speech and Signal Processing 29 (1981), 84-91.

    >>> fb.signal.windows.nuttall(5).round(decimals=4).abs()
    tensor([4.0000e-04, 2.2700e-01, 1.0000e+00, 2.2700e-01, 4.0000e-04])
    """
    terms = (0.3635819, 0.4891775, 0.1365995, 0.0106411)
    return _window("nuttall", M, sym, dtype, layout, device, requires_grad, cosine_sum(terms))
