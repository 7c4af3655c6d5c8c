"""Dropout of elements, dropout of whole channels, and alpha dropout, which keeps mean and variance."""

from __future__ import annotations

import warnings

import flambeau
from flambeau import Tensor


def _check_probability(p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def _in_place(input: Tensor, result: Tensor, inplace: bool) -> Tensor:
    return input.copy_(result) if inplace and result is not input else result


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Set each value to zero with probability ``p`` and multiply the others by ``1 / (1 - p)``.

    Raises: ValueError for ``p`` outside [0, 1].

    >>> sorted(nn.functional.dropout(fb.ones(1000), p=0.5).unique().tolist())
    [0.0, 2.0]
    >>> nn.functional.dropout(fb.ones(3), training=False)
    tensor([1., 1., 1.])
    """
    _check_probability(p)
    return _in_place(input, flambeau.dropout(input, p, training), inplace)


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Drop whole channels of ``(N, C, L)`` or ``(C, L)``. Source: Tompson et al. 2015, arXiv:1411.4280.

    >>> nn.functional.dropout1d(fb.ones(2, 3, 8), training=False).shape
    flambeau.Size([2, 3, 8])
    """
    _check_probability(p)
    if input.ndim not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {input.ndim}D input. Note that dropout1d exists to "
            "provide channel-wise dropout on inputs with 1 spatial dimension, a channel dimension, and an optional "
            "batch dimension (i.e. 2D or 3D inputs)."
        )
    if input.ndim == 2:
        return _in_place(input, flambeau.feature_dropout(input.unsqueeze(0), p, training).squeeze(0), inplace)
    return _in_place(input, flambeau.feature_dropout(input, p, training), inplace)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Drop whole channels of ``(N, C, H, W)``.

    Other numbers of dimensions cause a warning. A tensor with 3 dimensions is treated as ``(N, C, L)``.

    >>> nn.functional.dropout2d(fb.ones(2, 3, 8, 8), training=False).shape
    flambeau.Size([2, 3, 8, 8])
    """
    _check_probability(p)
    if input.ndim not in (3, 4):
        _warn_of_dimensions("dropout2d", input.ndim, 2)
    if input.ndim == 3:
        warnings.warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout behavior is desired:"
            " the input has the shape [N, C, L]. For that shape use dropout1d; for [C, H, W] add a batch dimension.",
            stacklevel=2,
        )
    return _in_place(input, flambeau.feature_dropout(input, p, training), inplace)


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Drop whole channels of ``(N, C, D, H, W)`` or ``(C, D, H, W)``. Other numbers of dimensions cause a warning.

    >>> nn.functional.dropout3d(fb.ones(2, 3, 8, 8, 8), training=False).shape
    flambeau.Size([2, 3, 8, 8, 8])
    """
    _check_probability(p)
    if input.ndim not in (4, 5):
        _warn_of_dimensions("dropout3d", input.ndim, 3)
    if input.ndim != 5:
        return _in_place(input, flambeau.feature_dropout(input.unsqueeze(0), p, training).squeeze(0), inplace)
    return _in_place(input, flambeau.feature_dropout(input, p, training), inplace)


def _warn_of_dimensions(name: str, dims: int, spatial: int) -> None:
    warnings.warn(
        f"{name}: Received a {dims}-D input to {name}, which is deprecated and will result in an error in a future "
        f"release. To retain the behavior and silence this warning, please use another kind of dropout. {name} is for "
        f"inputs with {spatial} spatial dimensions, a channel dimension, and an optional batch dimension.",
        stacklevel=3,
    )


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Set values to SELU's negative limit with probability ``p``, then restore mean 0 and variance 1.

    Source: Klambauer et al. 2017, arXiv:1706.02515.

    >>> nn.functional.alpha_dropout(fb.ones(3), training=False)
    tensor([1., 1., 1.])
    """
    _check_probability(p)
    return _in_place(input, flambeau.alpha_dropout(input, p, training), inplace)


def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Apply `alpha_dropout` to whole channels.

    >>> nn.functional.feature_alpha_dropout(fb.ones(1, 3), training=False)
    tensor([[1., 1., 1.]])
    """
    _check_probability(p)
    return _in_place(input, flambeau.feature_alpha_dropout(input, p, training), inplace)
