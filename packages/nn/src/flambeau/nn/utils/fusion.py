"""Functions that fuse batch normalisation in evaluation mode into the previous layer."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

from flambeau import Tensor, ones_like, zeros_like

from ..modules._norm import _NormBase
from ..modules.linear import Linear
from ..modules.module import Module
from ..parameter import Parameter

__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"]

M = TypeVar("M", bound=Module)


def fuse_conv_bn_eval(conv: M, bn: Module, transpose: bool = False) -> M:
    """Return a convolution that is equivalent to ``conv`` followed by the batch normalisation ``bn``.

    Both modules must be in evaluation mode. ``transpose`` must be True for a transposed convolution.
    Raises: AssertionError for a module in training mode.

    >>> conv, bn = nn.Conv2d(1, 2, 3).eval(), nn.BatchNorm2d(2).eval()
    >>> x = fb.ones(1, 1, 4, 4)
    >>> fb.allclose(nn.utils.fuse_conv_bn_eval(conv, bn)(x), bn(conv(x)), atol=1e-6)
    True
    """
    return _fused(conv, bn, transpose)


def fuse_linear_bn_eval(linear: Linear, bn: _NormBase) -> Linear:
    """Return a linear layer that is equivalent to ``linear`` followed by the batch normalisation ``bn``.

    Both modules must be in evaluation mode.
    Raises: AssertionError for a module in training mode, or if ``bn`` has neither 1 feature nor as many features as
        ``linear`` has outputs.

    >>> linear, norm = nn.Linear(3, 4).eval(), nn.BatchNorm1d(4).eval()
    >>> fused, x = nn.utils.fuse_linear_bn_eval(linear, norm), fb.ones(2, 3)
    >>> fb.allclose(fused(x), norm(linear(x)))
    True
    """
    features = (linear.out_features, bn.num_features)
    if features[0] != features[1] and features[1] != 1:
        raise AssertionError(
            "To fuse, linear.out_features == bn.num_features or bn.num_features == 1 must hold, but got "
            f"linear.out_features={features[0]} and bn.num_features={features[1]}"
        )
    return _fused(linear, bn, False)


def _fused(layer: M, bn: Module, transpose: bool) -> M:
    if layer.training or bn.training:
        raise AssertionError("Fusion only for eval! Call eval() on both modules first.")
    fused: Any = copy.deepcopy(layer)
    norm: Any = bn
    statistics = (norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias)
    fused.weight, fused.bias = fuse_conv_bn_weights(fused.weight, fused.bias, *statistics, transpose)
    return fused  # type: ignore[no-any-return]


def fuse_conv_bn_weights(
    conv_w: Tensor,
    conv_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
    transpose: bool = False,
) -> tuple[Parameter, Parameter]:
    """Return the weight and the bias of the fused layer.

    Args:
        conv_w, conv_b: weight and bias of the layer; None for no bias.
        bn_rm, bn_rv, bn_eps: running mean, running variance, and the number added to the variance.
        bn_w, bn_b: weight and bias of the normalisation; None for 1 and 0.
        transpose: if True, dimension 1 of the weight is the output channel, as in transposed convolutions.

    >>> conv, norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
    >>> weight, bias = nn.utils.fuse_conv_bn_weights(
    ...     conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias)
    >>> weight.shape, bias.shape
    (flambeau.Size([4, 3, 3, 3]), flambeau.Size([4]))
    """
    bias = zeros_like(bn_rm) if conv_b is None else conv_b
    scale = (ones_like(bn_rm) if bn_w is None else bn_w) * (bn_rv + bn_eps).rsqrt()
    shape = [1, -1] if transpose else [-1, 1]
    weight = conv_w * scale.reshape(shape + [1] * (conv_w.ndim - 2)).to(conv_w.dtype)
    shifted = (bias - bn_rm) * scale + (0 if bn_b is None else bn_b)
    return (
        Parameter(weight.detach(), conv_w.requires_grad),
        Parameter(shifted.detach().to(bias.dtype), bias.requires_grad or conv_w.requires_grad),
    )


def fuse_linear_bn_weights(
    linear_w: Tensor,
    linear_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor,
    bn_b: Tensor,
) -> tuple[Parameter, Parameter]:
    """Return the weight and the bias of the fused layer. The arguments are described in `fuse_conv_bn_weights`.

    >>> linear, norm = nn.Linear(3, 4), nn.BatchNorm1d(4)
    >>> weight, bias = nn.utils.fuse_linear_bn_weights(
    ...     linear.weight, linear.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias)
    >>> weight.shape, bias.shape
    (flambeau.Size([4, 3]), flambeau.Size([4]))
    """
    return fuse_conv_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b)
