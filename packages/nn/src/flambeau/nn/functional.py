"""The layers as functions, without parameters or state of their own.

What tensor-core computes is named here unchanged; the rest adds ``inplace``, checks, or composes.
"""

from __future__ import annotations

import warnings
from typing import Any

import flambeau
from flambeau import (
    Tensor,
    avg_pool2d,
    batch_norm,
    conv2d,
    cross_entropy,
    gelu,
    linear,
    max_pool2d,
    mse_loss,
    nll_loss,
    sigmoid,
    softplus,
    tanh,
)

__all__ = [
    "avg_pool2d",
    "batch_norm",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "conv2d",
    "cross_entropy",
    "dropout",
    "gelu",
    "l1_loss",
    "leaky_relu",
    "linear",
    "log_softmax",
    "max_pool2d",
    "mse_loss",
    "nll_loss",
    "relu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
]

# exp(-x) vanishes beside 1 in every dtype from here on, and exp(x) is still finite in float32.
SOFTPLUS_IS_LINEAR = 40.0

SIZES_DIFFER = """\
Using a target size ({target}) that is different to the input size ({input}): the two are broadcast, which compares \
every prediction with every target if one is [N] and the other [N, 1]. Give both the same shape."""


# Activations


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """``max(x, 0)``.

    >>> nn.functional.relu(fb.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return input.relu_() if inplace else flambeau.relu(input)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """``x * sigmoid(x)``, also known as swish."""
    result = flambeau.silu(input)
    return input.copy_(result) if inplace else result


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """``x`` where positive, ``negative_slope * x`` elsewhere."""
    result = flambeau.leaky_relu(input, negative_slope)
    return input.copy_(result) if inplace else result


def softmax(input: Tensor, dim: int | None = None, dtype: Any = None) -> Tensor:
    """``exp(x) / sum(exp(x))`` over ``dim``, computed without overflow.

    >>> nn.functional.softmax(fb.zeros(2), dim=0)
    tensor([0.5000, 0.5000])
    """
    return flambeau.softmax(input, _dim_or_guess("softmax", input, dim), dtype=dtype)


def log_softmax(input: Tensor, dim: int | None = None, dtype: Any = None) -> Tensor:
    """``x - log(sum(exp(x)))`` over ``dim``, computed without overflow."""
    return flambeau.log_softmax(input, _dim_or_guess("log_softmax", input, dim), dtype=dtype)


def _dim_or_guess(name: str, input: Tensor, dim: int | None) -> int:
    if dim is not None:
        return dim
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.",
        stacklevel=3,
    )
    return 0 if input.ndim in (0, 1, 3) else 1


# Regularisation


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Set each value to zero with probability ``p`` and multiply the others by ``1 / (1 - p)``.

    Raises: ValueError for ``p`` outside [0, 1].
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    result = flambeau.dropout(input, p, training)
    return input.copy_(result) if inplace and training else result


# Losses


def l1_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """``|x - y|``; ``reduction`` is ``"mean"``, ``"sum"`` or ``"none"``."""
    _warn_if_sizes_differ(input, target)
    return _reduce((input - target).abs(), reduction)


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """``-(y * log(p) + (1 - y) * log(1 - p))``, with each logarithm at least -100.

    Prefer `binary_cross_entropy_with_logits`, which does not round ``p`` first.

    Raises: ValueError if the shapes differ.
    """
    _check_same_shape(input, target)
    loss = -(target * _clamped_log(input) + (1 - target) * _clamped_log(1 - input))
    return _reduce(loss if weight is None else loss * weight, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """The binary cross-entropy of ``sigmoid(x)``, exact for any ``x``.

    ``(1 - y) * x + (1 + (pos_weight - 1) * y) * softplus(-x)``

    Args:
        input: logits.
        target: probabilities, of the same shape.
        weight: multiplies each element's loss.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        pos_weight: multiplies the loss of the positive class.
    Raises: ValueError if the shapes differ.

    >>> nn.functional.binary_cross_entropy_with_logits(fb.zeros(1), fb.ones(1))
    tensor(0.6931)
    """
    _check_same_shape(input, target)
    remainder = softplus(-input, 1.0, SOFTPLUS_IS_LINEAR)
    if pos_weight is not None:
        remainder = remainder * (1 + (pos_weight - 1) * target)
    loss = (1 - target) * input + remainder
    return _reduce(loss if weight is None else loss * weight, reduction)


def _clamped_log(input: Tensor) -> Tensor:
    """``max(log(x), -100)``, without log(0), whose infinite derivative would turn a gradient of 0 into NaN."""
    positive = input > 0
    return flambeau.where(positive, input.masked_fill(~positive, 1.0).log().clamp(min=-100.0), -100.0)


def _reduce(loss: Tensor, reduction: str) -> Tensor:
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    if reduction == "none":
        return loss
    raise ValueError(f"{reduction} is not a valid value for reduction: use 'mean', 'sum' or 'none'")


def _warn_if_sizes_differ(input: Tensor, target: Tensor) -> None:
    if input.shape != target.shape:
        text = SIZES_DIFFER.format(target=list(target.shape), input=list(input.shape))
        warnings.warn(text, stacklevel=3)


def _check_same_shape(input: Tensor, target: Tensor) -> None:
    if input.shape != target.shape:
        raise ValueError(f"Target size {tuple(target.shape)} must be the same as input size {tuple(input.shape)}")
