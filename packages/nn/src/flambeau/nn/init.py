"""Fills tensors with initial values, in place and unrecorded."""

from __future__ import annotations

import math
import warnings
from typing import Any

from flambeau import Tensor, no_grad

__all__ = [
    "calculate_fan",
    "calculate_gain",
    "constant_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

_LINEAR = {
    "linear",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "sigmoid",
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Return the factor on the standard deviation that keeps a signal's size through a nonlinearity.

    Args:
        nonlinearity: ``"linear"`` (or a convolution), ``"sigmoid"``, ``"tanh"``, ``"relu"``, ``"leaky_relu"`` or
            ``"selu"``.
        param: the negative slope of ``"leaky_relu"``, 0.01 by default.
    Raises: ValueError for another name or a slope that is no number.

    >>> nn.init.calculate_gain("leaky_relu", 0.0) == nn.init.calculate_gain("relu")
    True
    """
    if nonlinearity in _LINEAR:
        return 1.0
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1 + slope**2))
    gains = {"tanh": 5.0 / 3, "relu": math.sqrt(2.0), "selu": 3.0 / 4}
    if nonlinearity not in gains:
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}")
    return gains[nonlinearity]


def calculate_fan(tensor: Tensor) -> tuple[int, int]:
    """Return (fan_in, fan_out): how many inputs an output of the weight has, and outputs an input.

    Raises: ValueError for fewer than 2 dimensions.
    """
    if tensor.ndim < 2:
        raise ValueError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    fan_out, fan_in, *window = tensor.shape
    area = math.prod(window)
    return fan_in * area, fan_out * area


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Tensor:
    """Draw from the uniform distribution on [a, b)."""
    with no_grad():
        return tensor.uniform_(a, b, **_options(generator))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    """Draw from the normal distribution."""
    with no_grad():
        return tensor.normal_(mean, std, **_options(generator))


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with ``val``.

    >>> nn.init.constant_(fb.empty(2), 0.5)
    tensor([0.5000, 0.5000])
    """
    with no_grad():
        return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with 1."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with 0."""
    return constant_(tensor, 0.0)


def eye_(tensor: Tensor) -> Tensor:
    """Make a matrix the identity. Raises: ValueError unless it has 2 dimensions."""
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    with no_grad():
        tensor.zero_()
        for index in range(min(tensor.shape)):
            tensor[index, index] = 1.0
    return tensor


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Draw from ``U(-a, a)`` with ``a = gain * sqrt(6 / (fan_in + fan_out))``.

    Source: Glorot, Bengio 2010, AISTATS.
    """
    bound = gain * math.sqrt(6.0 / sum(calculate_fan(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Draw from ``N(0, std**2)`` with ``std = gain * sqrt(2 / (fan_in + fan_out))``.

    Source: Glorot, Bengio 2010, AISTATS.
    """
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(calculate_fan(tensor))), generator)


def kaiming_uniform_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Tensor:
    """Draw from ``U(-b, b)`` with ``b = gain * sqrt(3 / fan)``.

    Args:
        tensor: a weight of at least 2 dimensions.
        a: the negative slope of a leaky ReLU behind the layer.
        mode: ``"fan_in"`` keeps the size of activations, ``"fan_out"`` that of gradients.
        nonlinearity: see `calculate_gain`.
        generator: the source of random numbers.
    Source: He et al. 2015, arXiv:1502.01852.
    """
    if tensor.numel() == 0:
        return _nothing_to_fill(tensor)
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Tensor:
    """Draw from ``N(0, std**2)`` with ``std = gain / sqrt(fan)``; arguments as in `kaiming_uniform_`."""
    if tensor.numel() == 0:
        return _nothing_to_fill(tensor)
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    mode = mode.lower()
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    fan_in, fan_out = calculate_fan(tensor)
    return calculate_gain(nonlinearity, a) / math.sqrt(fan_in if mode == "fan_in" else fan_out)


def _nothing_to_fill(tensor: Tensor) -> Tensor:
    warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
    return tensor


def _options(generator: Any) -> dict[str, Any]:
    return {} if generator is None else {"generator": generator}
