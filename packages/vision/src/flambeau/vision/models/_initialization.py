"""Initialisation of model weights."""

from __future__ import annotations

from flambeau import nn


def init_convolutional(model: nn.Module, linear_std: float | None = 0.01) -> None:
    """Initialise a network with ReLU: convolutions with He's fan-out rule, normalisation layers as the identity.

    Args:
        model: the network.
        linear_std: standard deviation of the weights of linear layers, which are drawn from a normal distribution;
            their biases are set to 0. None leaves linear layers unchanged.
    Source: He et al. 2015, arXiv:1502.01852.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
            if module.weight is not None and module.bias is not None:
                nn.init.ones_(module.weight)
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear) and linear_std is not None:
            nn.init.normal_(module.weight, 0, linear_std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def make_divisible(value: float, divisor: int, min_value: int | None = None) -> int:
    """Round a number of channels to a multiple of ``divisor`` that is at least 90 % of the number.

    >>> make_divisible(30, 8), make_divisible(33, 8), make_divisible(11, 8)
    (32, 32, 16)
    """
    rounded = max(min_value or divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded
