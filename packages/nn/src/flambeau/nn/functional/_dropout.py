"""Dropout: of elements, of whole channels, and the kind that keeps mean and variance."""

from __future__ import annotations

import warnings

import flambeau
from flambeau import Tensor

# SELU's value at minus infinity, -scale * alpha; Klambauer et al. 2017, arXiv:1706.02515.
_ALPHA = -1.7580993408473766


def _check_probability(p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def _in_place(input: Tensor, result: Tensor, inplace: bool) -> Tensor:
    return input.copy_(result) if inplace and result is not input else result


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Set each value to zero with probability ``p`` and multiply the others by ``1 / (1 - p)``.

    Raises: ValueError for ``p`` outside [0, 1].
    """
    _check_probability(p)
    return _in_place(input, flambeau.dropout(input, p, training), inplace)


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Drop whole channels of ``(N, C, L)`` or ``(C, L)``. Source: Tompson et al. 2015, arXiv:1411.4280."""
    _check_probability(p)
    if input.ndim not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {input.ndim}D input. Note that dropout1d exists to "
            "provide channel-wise dropout on inputs with 1 spatial dimension, a channel dimension, and an optional "
            "batch dimension (i.e. 2D or 3D inputs)."
        )
    if input.ndim == 2:
        return _in_place(input, _channel_dropout(input.unsqueeze(0), p, training).squeeze(0), inplace)
    return _in_place(input, _channel_dropout(input, p, training), inplace)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Drop whole channels of ``(N, C, H, W)``; other numbers of dimensions warn, 3 are taken as ``(N, C, L)``."""
    _check_probability(p)
    if input.ndim not in (3, 4):
        _warn_of_dimensions("dropout2d", input.ndim, 2)
    return _in_place(input, _channel_dropout(input, p, training), inplace)


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Drop whole channels of ``(N, C, D, H, W)`` or ``(C, D, H, W)``; other numbers of dimensions warn."""
    _check_probability(p)
    if input.ndim not in (4, 5):
        _warn_of_dimensions("dropout3d", input.ndim, 3)
    if input.ndim == 4:
        return _in_place(input, _channel_dropout(input.unsqueeze(0), p, training).squeeze(0), inplace)
    return _in_place(input, _channel_dropout(input, p, training), inplace)


def _warn_of_dimensions(name: str, dims: int, spatial: int) -> None:
    warnings.warn(
        f"{name}: Received a {dims}-D input to {name}, which is deprecated and will result in an error in a future "
        f"release. To retain the behavior and silence this warning, please use another kind of dropout. {name} is for "
        f"inputs with {spatial} spatial dimensions, a channel dimension, and an optional batch dimension.",
        stacklevel=3,
    )


def _channel_mask(input: Tensor, p: float) -> Tensor:
    """1 / (1 - p) for the channels that stay, 0 for the others; of a shape that broadcasts."""
    if input.ndim < 2:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    shape = (*input.shape[:2], *[1] * (input.ndim - 2))
    return flambeau.dropout(flambeau.ones(shape, dtype=input.dtype), p, True)


def _channel_dropout(input: Tensor, p: float, training: bool) -> Tensor:
    if not training or p == 0 or input.numel() == 0:
        return input
    return input * _channel_mask(input, p)


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Sets values to SELU's negative limit with probability ``p``, then restores mean 0 and variance 1.

    Source: Klambauer et al. 2017, arXiv:1706.02515.
    """
    _check_probability(p)
    if not training or p == 0 or input.numel() == 0:
        return input
    kept = flambeau.dropout(flambeau.ones_like(input).detach(), p, True) != 0
    return _in_place(input, _alpha(input, kept, p), inplace)


def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """`alpha_dropout` of whole channels."""
    _check_probability(p)
    if not training or p == 0 or input.numel() == 0:
        return input
    return _in_place(input, _alpha(input, _channel_mask(input, p) != 0, p), inplace)


def _alpha(input: Tensor, kept: Tensor, p: float) -> Tensor:
    if p == 1:
        return input * 0
    scale = ((_ALPHA * _ALPHA * p + 1) * (1 - p)) ** -0.5
    return flambeau.where(kept, input * scale, _ALPHA * scale) - p * _ALPHA * scale
