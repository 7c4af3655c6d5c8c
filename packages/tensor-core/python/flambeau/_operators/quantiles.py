"""Quantiles."""

from flambeau import _core
from flambeau._core import Tensor
from flambeau._operator import operator


@operator(method=True, out="exact", autocast="float32")
def quantile(
    input: Tensor, q: Tensor | float, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """Return the q-th quantiles of all elements or along a dimension. If an element is NaN, the result is NaN.

    Args:
        input: float32 or float64 tensor, not empty.
        q: a number from 0 to 1, or a vector of the input's dtype. The results for a vector are stacked along a new
            first dimension.
        dim: dimension to reduce. None means all.
        keepdim: if True, keep the reduced dimension with size 1.
        interpolation: linear, lower, higher, midpoint or nearest, between the two nearest elements.
    Raises: RuntimeError for other dtypes, an empty input, q out of range, or an unknown interpolation.
    Gradient: defined for input, to any order.

    >>> import flambeau
    >>> flambeau.quantile(flambeau.tensor([0.0, 1.0, 3.0]), 0.75)
    tensor(2.)
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation)


@operator(method=True, out="exact", autocast="float32")
def nanquantile(
    input: Tensor, q: Tensor | float, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """Return the quantiles of the elements that are not NaN. See ``quantile``. Gradient: defined for input.

    >>> fb.nanquantile(fb.tensor([1.0, float("nan"), 3.0]), 0.5)
    tensor(2.)
    """
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation)


def _quantile(
    name: str, input: Tensor, q: Tensor | float, dim: int | None, keepdim: bool, interpolation: str
) -> Tensor:
    """Return the quantiles along ``dim``, or of all elements if it is None, with the dimension of ``q`` first."""
    if input.dtype not in (_core.float32, _core.float64):
        raise RuntimeError(f"{name}() input tensor must be either float or double dtype, got {input.dtype}")
    q = _check_q(name, q, input)
    if interpolation not in ("linear", "lower", "higher", "midpoint", "nearest"):
        raise RuntimeError(
            f"{name}() interpolation must be one of linear, lower, higher, midpoint or nearest, but got {interpolation}"
        )
    if input.numel() == 0:
        raise RuntimeError(f"{name}() input tensor must be non-empty, got shape {list(input.shape)}")
    along = None if input.dim() == 0 else dim
    ordered = (input.reshape(-1) if along is None else input.transpose(along, -1)).sort(-1).values
    ranks = _ranks(name == "nanquantile", ordered, q.reshape(-1))
    result = _interpolate(ordered, ranks, interpolation)  # (..., len(q))
    if along is None:
        result = result.reshape([-1] + [1] * (input.dim() * keepdim))
    else:
        at = along % input.dim() + 1
        result = result.unsqueeze(0).transpose(0, -1).transpose(-1, at)
        result = result if keepdim else result.squeeze(at)
    return (result if q.dim() else result.squeeze(0)).contiguous()


def _check_q(name: str, q: Tensor | float, input: Tensor) -> Tensor:
    if not isinstance(q, Tensor):
        if not 0 <= q <= 1:
            raise RuntimeError(f"{name}() q must be in the range [0, 1] but got {q}")
        return _core.full((), q, dtype=input.dtype)
    if q.dim() > 1:
        raise RuntimeError(f"{name}() q must be a scalar or 1D tensor, got shape {list(q.shape)}")
    if q.dtype is not input.dtype:
        raise RuntimeError(f"{name}() q tensor must be same dtype as the input tensor, got {q.dtype} and {input.dtype}")
    if not _core.logical_and(q >= 0, q <= 1).all():
        raise RuntimeError(f"{name}() q values must be in the range [0, 1]")
    return q


def _ranks(ignore_nan: bool, ordered: Tensor, q: Tensor) -> Tensor:
    """Return the fractional positions of the quantiles in the sorted rows."""
    last = ordered.size(-1) - 1
    missing = ordered.isnan()
    if ignore_nan:
        return (q * (last - missing.sum(-1, keepdim=True))).clamp(min=0)
    return _core.where(missing.any(-1, keepdim=True), float(last), q * last)


def _interpolate(ordered: Tensor, ranks: Tensor, interpolation: str) -> Tensor:
    if interpolation in ("lower", "higher", "nearest"):
        rounded = {"lower": ranks.floor, "higher": ranks.ceil, "nearest": ranks.round}[interpolation]()
        return ordered.gather(-1, rounded.long())
    low = ranks.floor()
    weight = _core.full_like(ranks, 0.5) if interpolation == "midpoint" else ranks - low
    return _core.lerp(ordered.gather(-1, low.long()), ordered.gather(-1, ranks.ceil().long()), weight)
