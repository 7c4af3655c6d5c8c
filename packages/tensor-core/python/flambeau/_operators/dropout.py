"""Variants of dropout that drop channels, preserve mean and variance, or also return the mask."""

from __future__ import annotations

from flambeau import _core
from flambeau._core import Tensor
from flambeau._operator import operator

# SELU's value at minus infinity, -scale * alpha; Klambauer et al. 2017, arXiv:1706.02515.
_ALPHA = -1.7580993408473766


def _check_probability(p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {p}")


def _keep_mask(input: Tensor, p: float, channels: bool) -> Tensor:
    """Return a bool mask of kept elements, or of kept channels in a broadcastable shape."""
    if channels and input.ndim < 2:
        raise RuntimeError(
            f"Feature dropout requires at least 2 dimensions in the input, got shape {list(input.shape)}"
        )
    shape = (*input.shape[:2], *[1] * (input.ndim - 2)) if channels else input.shape
    return _core.dropout(_core.ones(shape, dtype=input.dtype), p, True) != 0


@operator(in_place=True)
def feature_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """Zero each channel (first two dimensions) with probability p, and divide the others by 1 - p.

    Gradient: defined for input. Source: Tompson et al. 2015, arXiv:1411.4280.

    >>> fb.feature_dropout(fb.ones(1, 3), 0.5, False)
    tensor([[1., 1., 1.]])
    """
    _check_probability(p)
    if not train or p == 0 or input.numel() == 0:
        return input
    return input * 0.0 if p == 1 else input * (_keep_mask(input, p, True).to(input.dtype) / (1 - p))


@operator(in_place=True)
def alpha_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """Set elements to SELU's negative limit with probability p, then restore mean 0 and variance 1.

    Gradient: defined for input. Source: Klambauer et al. 2017, arXiv:1706.02515.

    >>> fb.alpha_dropout(fb.ones(3), 0.5, False)
    tensor([1., 1., 1.])
    """
    return _alpha(input, p, train, False)


@operator(in_place=True)
def feature_alpha_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """Apply `alpha_dropout` to complete channels (first two dimensions). Gradient: defined for input.

    >>> fb.feature_alpha_dropout(fb.ones(1, 3), 0.5, False)
    tensor([[1., 1., 1.]])
    """
    return _alpha(input, p, train, True)


def _alpha(input: Tensor, p: float, train: bool, channels: bool) -> Tensor:
    _check_probability(p)
    if not train or p == 0 or input.numel() == 0:
        return input
    if p == 1:
        return input * 0.0
    scale = ((_ALPHA * _ALPHA * p + 1) * (1 - p)) ** -0.5
    shift = p * _ALPHA * scale
    return _core.where(_keep_mask(input, p, channels), input * scale - shift, _ALPHA * scale - shift)


@operator()
def native_dropout(input: Tensor, p: float, train: bool | None) -> tuple[Tensor, Tensor]:
    """Return the result of `dropout` and its mask of kept elements.

    Gradient: defined for input, through the first result.

    >>> out, mask = fb.native_dropout(fb.ones(1000), 0.5, True)
    >>> fb.equal(out != 0, mask)
    True
    """
    _check_probability(p)
    if train is False or p == 0:
        return input * 1.0, _core.ones(input.shape, dtype=_core.bool)
    mask = _keep_mask(input, p, False)
    return native_dropout_backward(input, mask, 1 / (1 - p) if p < 1 else 0.0), mask


@operator()
def native_dropout_backward(grad_output: Tensor, mask: Tensor, scale: float) -> Tensor:
    """Return grad_output * mask * scale. Gradient: defined for grad_output.

    >>> fb.native_dropout_backward(fb.ones(3), fb.tensor([True, False, True]), 2.0)
    tensor([2., 0., 2.])
    """
    return grad_output * mask * scale
