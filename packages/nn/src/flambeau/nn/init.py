"""Initialisation of tensors, in place and without recording gradients."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable
from typing import Any

import flambeau
from flambeau import Tensor, _suggestions, eye as identity, no_grad, randperm
from flambeau._overridable import overridable

__all__ = [
    "calculate_fan",
    "calculate_gain",
    "constant",
    "constant_",
    "dirac",
    "dirac_",
    "eye",
    "eye_",
    "kaiming_normal",
    "kaiming_normal_",
    "kaiming_uniform",
    "kaiming_uniform_",
    "normal",
    "normal_",
    "ones_",
    "orthogonal",
    "orthogonal_",
    "sparse",
    "sparse_",
    "trunc_normal_",
    "uniform",
    "uniform_",
    "xavier_normal",
    "xavier_normal_",
    "xavier_uniform",
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
    """Return the factor for the standard deviation of weights that preserves the size of activations.

    Args:
        nonlinearity: ``"linear"`` (or a convolution), ``"sigmoid"``, ``"tanh"``, ``"relu"``, ``"leaky_relu"`` or
            ``"selu"``.
        param: the negative slope of ``"leaky_relu"``, 0.01 by default.
    Raises: ValueError for an unknown name or a slope that is not a number.

    >>> nn.init.calculate_gain("leaky_relu", 0.0) == nn.init.calculate_gain("relu")
    True
    """
    if nonlinearity in _LINEAR:
        return 1.0
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"negative_slope {param!r} not a valid number")
        return math.sqrt(2.0 / (1 + slope**2))
    gains = {"tanh": 5.0 / 3, "relu": math.sqrt(2.0), "selu": 3.0 / 4}
    if nonlinearity not in gains:
        known = ", ".join(map(repr, sorted({*_LINEAR, *gains, "leaky_relu"})))
        raise ValueError(f"Unsupported nonlinearity {nonlinearity!r}; expected one of {known}")
    return gains[nonlinearity]


def calculate_fan(tensor: Tensor) -> tuple[int, int]:
    """Return (fan_in, fan_out): the number of inputs of each output, and the number of outputs of each input.

    Args:
        tensor: a weight of shape ``(out, in, *kernel)``.
    Raises: ValueError for fewer than 2 dimensions.

    >>> nn.init.calculate_fan(fb.empty(8, 3, 5, 5))
    (75, 200)
    """
    if tensor.ndim < 2:
        raise ValueError(
            "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions, got shape "
            f"{list(tensor.shape)}"
        )
    fan_out, fan_in, *window = tensor.shape
    area = math.prod(window)
    return fan_in * area, fan_out * area


@overridable
def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Tensor:
    """Fill ``tensor`` with random numbers from the uniform distribution on [a, b).

    >>> weight = fb.empty(100, 100)
    >>> nn.init.uniform_(weight, -1, 1) is weight
    True
    """
    with no_grad():
        return tensor.uniform_(a, b, **_generator_option(generator))


@overridable
def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    """Fill ``tensor`` with random numbers from the normal distribution.

    >>> weight = fb.empty(100, 100)
    >>> nn.init.normal_(weight, std=0.02) is weight
    True
    """
    with no_grad():
        return tensor.normal_(mean, std, **_generator_option(generator))


@overridable
def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill ``tensor`` with ``val``.

    >>> nn.init.constant_(fb.empty(2), 0.5)
    tensor([0.5000, 0.5000])
    """
    with no_grad():
        return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """Fill ``tensor`` with 1.

    >>> nn.init.ones_(fb.empty(2))
    tensor([1., 1.])
    """
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill ``tensor`` with 0.

    >>> nn.init.zeros_(fb.empty(2))
    tensor([0., 0.])
    """
    return constant_(tensor, 0.0)


def eye_(tensor: Tensor) -> Tensor:
    """Set a matrix to the identity. Raises: ValueError unless it has 2 dimensions.

    >>> nn.init.eye_(fb.empty(2, 3))
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    if tensor.ndim != 2:
        raise ValueError(f"Only tensors with 2 dimensions are supported, got shape {list(tensor.shape)}")
    with no_grad():
        return tensor.copy_(identity(*tensor.shape))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Fill a convolution weight of three to five dimensions so that the convolution returns its input unchanged.

    If a group has different numbers of input and output channels, the convolution passes on the first channels, as many
    as the smaller number.

    Raises: ValueError for other numbers of dimensions, or if ``groups`` does not divide the number of output channels.

    >>> nn.init.dirac_(fb.empty(2, 2, 3))[1]
    tensor([[0., 0., 0.],
            [0., 1., 0.]])
    """
    if tensor.ndim not in (3, 4, 5):
        raise ValueError(f"Only tensors with 3, 4, or 5 dimensions are supported, got shape {list(tensor.shape)}")
    outputs, inputs, *window = tensor.shape
    if outputs % groups:
        raise ValueError(f"dim 0 must be divisible by groups, got {outputs} and {groups}")
    each = outputs // groups
    middle = tuple(side // 2 for side in window)
    with no_grad():
        values = tensor.new_zeros(tensor.shape)
        for group in range(groups):
            for channel in range(min(each, inputs)):
                values[(group * each + channel, channel, *middle)] = 1.0
        return tensor.copy_(values)


def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Any = None
) -> Tensor:
    """Fill ``tensor`` with random numbers from the normal distribution, restricted to ``[a, b]``.

    Numbers are drawn from the normal distribution, or from the uniform distribution if less than 0.3 of the normal
    distribution lies between the limits. Rejected numbers are drawn again. If a limit is more than 150 ``std`` from the
    mean, the uniform distribution covers only the part where the density is not negligible.

    >>> bool((nn.init.trunc_normal_(fb.empty(100)).abs() <= 2).all())
    True
    """
    if tensor.is_complex():
        raise NotImplementedError(
            f"trunc_normal_ does not support complex tensors, got a tensor of dtype {tensor.dtype}"
        )
    mean, std, a, b = (float(number) for number in (mean, std, a, b))  # a wrong type raises before the tensor changes
    if not a - 2 * std <= mean <= b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. "
            "The distribution of values may be incorrect.",
            stacklevel=2,
        )
    if tensor.is_meta or tensor.numel() == 0:
        return tensor
    with no_grad():
        draw = _drawing_function(tensor, mean, std, a, b)
        return tensor.copy_(draw(tensor, mean, std, a, b, _generator_option(generator)))


def _drawing_function(tensor: Tensor, mean: float, std: float, a: float, b: float) -> Callable[..., Tensor]:
    below, above = (math.erf((limit - mean) / (std * math.sqrt(2.0))) / 2 for limit in (a, b))
    if above - below > 0.3:
        return _normal_between
    is_tail = mean < a <= b or a <= b < mean
    if is_tail and max(abs(a - mean), abs(b - mean)) > 150 * abs(std) and tensor.is_floating_point():
        return _distant_tail
    return _uniform_by_density


def _normal_between(like: Tensor, mean: float, std: float, a: float, b: float, options: dict[str, Any]) -> Tensor:
    low, high = (like.new_tensor(limit).item() for limit in (a, b))  # rounded to the dtype
    drawn = flambeau.empty_like(like).normal_(mean, std, **options)
    while (outside := (drawn < low) | (drawn > high)).any():
        drawn = flambeau.where(outside, flambeau.empty_like(like).normal_(mean, std, **options), drawn)
    return drawn


def _uniform_by_density(like: Tensor, mean: float, std: float, a: float, b: float, options: dict[str, Any]) -> Tensor:
    highest = -0.5 * ((max(a, min(mean, b)) - mean) / std) ** 2

    def log_density(x: Tensor) -> Tensor:
        return x.sub(mean).div_(std).pow_(2).mul_(-0.5).sub_(highest)

    return _accepted(like, a, b, log_density, options)


def _distant_tail(like: Tensor, mean: float, std: float, a: float, b: float, options: dict[str, Any]) -> Tensor:
    """Draw the distance from the limit that is closest to the mean, in units of ``std``."""
    scale, nearest = abs(std), a if mean < a else b
    distance = min(abs(nearest - mean) / scale, 1e100)  # beyond this, all results equal the limit
    # The logarithm of the density falls by 50 within `width`. A number whose density is smaller is never accepted.
    width = min((b - a) / scale, 100 / (math.hypot(distance, 10) + distance))

    def log_density(x: Tensor) -> Tensor:
        return x.add(2 * distance).mul_(x).mul_(-0.5)

    drawn = _accepted(flambeau.empty_like(like, dtype=flambeau.float64), 0.0, width, log_density, options)
    return drawn.mul_(scale if mean < a else -scale).add_(nearest).clamp_(a, b)


def _accepted(
    like: Tensor, low: float, high: float, log_density: Callable[[Tensor], Tensor], options: dict[str, Any]
) -> Tensor:
    """Draw numbers by rejection sampling (von Neumann 1951).

    A uniform number is accepted with a probability proportional to its density; rejected numbers are drawn again.
    """

    def rejected(candidates: Tensor) -> Tensor:
        return flambeau.empty_like(like).uniform_(**options).log_() > log_density(candidates)

    drawn = flambeau.empty_like(like).uniform_(low, high, **options)
    pending = rejected(drawn)
    while pending.any():
        candidates = flambeau.empty_like(like).uniform_(low, high, **options)
        drawn = flambeau.where(pending, candidates, drawn)
        pending = pending & rejected(candidates)
    return drawn


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Any = None) -> Tensor:
    """Make the rows of ``tensor.flatten(1)``, or its columns if they are fewer, orthonormal, and multiply by ``gain``.

    Raises: ValueError for fewer than 2 dimensions.
    Source: Saxe, McClelland, Ganguli 2013, arXiv:1312.6120.

    >>> weight = nn.init.orthogonal_(fb.empty(2, 3))
    >>> fb.allclose(weight @ weight.T, fb.eye(2), atol=1e-6)
    True
    """
    if tensor.ndim < 2:
        raise ValueError(f"Only tensors with 2 or more dimensions are supported, got shape {list(tensor.shape)}")
    if tensor.numel() == 0:
        return tensor
    with no_grad():
        rows, columns = tensor.flatten(1).shape
        drawn = tensor.detach().new_empty(rows, columns).normal_(0, 1, **_generator_option(generator))
        q, r = flambeau.linalg.qr(drawn if rows >= columns else drawn.T)
        q = q * r.diagonal().sign()  # with these signs, q is uniformly distributed over the orthogonal matrices
        return tensor.copy_((q if rows >= columns else q.T).reshape(tensor.shape) * gain)


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Any = None) -> Tensor:
    """Fill a matrix with random numbers from ``N(0, std**2)``, and set a fraction ``sparsity`` of each column to 0.

    Raises: ValueError unless ``tensor`` has 2 dimensions.
    Source: Martens 2010, "Deep learning via Hessian-free optimization".

    >>> weight = fb.empty(100, 100)
    >>> nn.init.sparse_(weight, sparsity=0.5) is weight
    True
    """
    if tensor.ndim != 2:
        raise ValueError(f"Only tensors with 2 dimensions are supported, got shape {list(tensor.shape)}")
    rows, columns = tensor.shape
    zeros = math.ceil(sparsity * rows)
    with no_grad():
        drawn = tensor.new_empty(tensor.shape).normal_(0, std, **_generator_option(generator))
        for column in range(columns):
            drawn[randperm(rows, **_generator_option(generator))[:zeros], column] = 0
        return tensor.copy_(drawn)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Fill ``tensor`` with random numbers from ``U(-a, a)`` with ``a = gain * sqrt(6 / (fan_in + fan_out))``.

    Source: Glorot, Bengio 2010, AISTATS.

    >>> weight = fb.empty(100, 100)
    >>> nn.init.xavier_uniform_(weight) is weight
    True
    """
    bound = gain * math.sqrt(6.0 / sum(calculate_fan(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Fill ``tensor`` with random numbers from ``N(0, std**2)`` with ``std = gain * sqrt(2 / (fan_in + fan_out))``.

    Source: Glorot, Bengio 2010, AISTATS.

    >>> weight = fb.empty(100, 100)
    >>> nn.init.xavier_normal_(weight) is weight
    True
    """
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(calculate_fan(tensor))), generator)


@overridable
def kaiming_uniform_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Tensor:
    """Fill ``tensor`` with random numbers from ``U(-b, b)`` with ``b = gain * sqrt(3 / fan)``.

    Args:
        tensor: a weight of at least 2 dimensions.
        a: the negative slope of the leaky ReLU after the layer.
        mode: ``"fan_in"`` preserves the size of activations, ``"fan_out"`` the size of gradients.
        nonlinearity: see `calculate_gain`.
        generator: the source of random numbers.
    Source: He et al. 2015, arXiv:1502.01852.

    >>> weight = fb.empty(100, 100)
    >>> nn.init.kaiming_uniform_(weight) is weight
    True
    """
    if tensor.numel() == 0:
        return _nothing_to_fill(tensor)
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Tensor:
    """Fill ``tensor`` with random numbers from ``N(0, std**2)`` with ``std = gain / sqrt(fan)``.

    The arguments are described in `kaiming_uniform_`.

    >>> weight = fb.empty(100, 100)
    >>> nn.init.kaiming_normal_(weight) is weight
    True
    """
    if tensor.numel() == 0:
        return _nothing_to_fill(tensor)
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def _calculate_correct_fan(tensor: Tensor, mode: str) -> int:
    """Return the fan-in or the fan-out, selected by ``mode``."""
    mode = mode.lower()
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    fan_in, fan_out = calculate_fan(tensor)
    return fan_in if mode == "fan_in" else fan_out


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    return calculate_gain(nonlinearity, a) / math.sqrt(_calculate_correct_fan(tensor, mode))


def _nothing_to_fill(tensor: Tensor) -> Tensor:
    warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
    return tensor


def _generator_option(generator: Any) -> dict[str, Any]:
    return {} if generator is None else {"generator": generator}


def _deprecated_alias(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return a function with the deprecated name, without the underscore, that warns and calls ``function``."""
    name = function.__name__.removesuffix("_")

    @functools.wraps(function)
    def older(*args: Any, **kwargs: Any) -> Tensor:
        warnings.warn(f"`nn.init.{name}` is now deprecated in favor of `nn.init.{name}_`.", FutureWarning, stacklevel=2)
        return function(*args, **kwargs)

    older.__name__ = older.__qualname__ = name
    older.__doc__ = f"Warn that the name is deprecated, and initialise the tensor. See `{name}_`."
    return older


# Libraries import these names, although they are private in PyTorch.
_no_grad_fill_, _no_grad_zero_ = constant_, zeros_
_no_grad_normal_, _no_grad_trunc_normal_, _no_grad_uniform_ = normal_, trunc_normal_, uniform_

constant = _deprecated_alias(constant_)
dirac = _deprecated_alias(dirac_)
eye = _deprecated_alias(eye_)
kaiming_normal = _deprecated_alias(kaiming_normal_)
kaiming_uniform = _deprecated_alias(kaiming_uniform_)
normal = _deprecated_alias(normal_)
orthogonal = _deprecated_alias(orthogonal_)
sparse = _deprecated_alias(sparse_)
uniform = _deprecated_alias(uniform_)
xavier_normal = _deprecated_alias(xavier_normal_)
xavier_uniform = _deprecated_alias(xavier_uniform_)
_calculate_fan_in_and_fan_out = calculate_fan

_suggestions.suggest_names(__name__)
