"""Linear and bilinear layers, and the identity."""

from __future__ import annotations

import math
from typing import Any

from flambeau import Tensor, empty

from .. import functional as F, init
from ..parameter import Parameter
from ._sizes import check_sizes
from .module import Module
from .utils import options_of


class Identity(Module):
    """Return the input. The constructor ignores all arguments, so that the layer can replace any other layer.

    >>> nn.Identity()(fb.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        return input


class Linear(Module):
    """Linear layer: ``y = x @ weight.T + bias``.

    Args:
        in_features, out_features: sizes of the last dimension of input and output.
        bias: if False, the layer has no bias.
    Shapes: ``(*, in_features)`` to ``(*, out_features)``.
    Parameters: ``weight`` ``(out_features, in_features)`` and ``bias`` ``(out_features,)``, both uniform in
        ``±1/sqrt(in_features)``.

    >>> tuple(nn.Linear(20, 30)(fb.zeros(128, 20)).shape)
    (128, 30)
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        check_sizes(self, in_features=in_features, out_features=out_features)
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(empty(out_features, in_features, device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(empty(out_features, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise the parameters again, with new random values."""
        reset_weight_and_bias(self.weight, self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Bilinear(Module):
    """Bilinear layer: ``y[k] = x1 @ weight[k] @ x2 + bias[k]``.

    Shapes: ``(*, in1_features)`` and ``(*, in2_features)`` to ``(*, out_features)``.
    Parameters: ``weight`` ``(out_features, in1_features, in2_features)`` and ``bias`` ``(out_features,)``, both uniform
        in ``±1/sqrt(in1_features)``.
    Raises: ValueError unless ``in1_features`` is positive.

    >>> tuple(nn.Bilinear(2, 3, 4)(fb.zeros(5, 2), fb.zeros(5, 3)).shape)
    (5, 4)
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        check_sizes(self, in1_features=in1_features, in2_features=in2_features, out_features=out_features)
        if in1_features <= 0:
            raise ValueError(f"in1_features must be > 0, but got {in1_features}")
        self.in1_features = in1_features
        self.in2_features = in2_features
        self.out_features = out_features
        self.weight = Parameter(empty(out_features, in1_features, in2_features, device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(empty(out_features, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise the parameters again, with new random values."""
        bound = 1 / math.sqrt(self.weight.shape[1])
        for parameter in (self.weight, self.bias):
            if parameter is not None:
                init.uniform_(parameter, -bound, bound)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        features = options_of(self, "in1_features", "in2_features", "out_features")
        return f"{features}, bias={self.bias is not None}"


def reset_weight_and_bias(weight: Tensor, bias: Tensor | None) -> None:
    """Fill the weight and bias of a layer with random numbers from ``U(-1/sqrt(fan_in), 1/sqrt(fan_in))``.

    With ``a = sqrt(5)``, the bound of `init.kaiming_uniform_` is ``1/sqrt(fan_in)``.
    """
    if weight.numel() > 0:
        init.kaiming_uniform_(weight, a=math.sqrt(5))
    if bias is not None:
        fan_in, _ = init.calculate_fan(weight)
        bound = 1 / math.sqrt(fan_in) if fan_in > 0 else 0.0
        init.uniform_(bias, -bound, bound)


class NonDynamicallyQuantizableLinear(Linear):
    """Subclass of `Linear` for the output projection of `MultiheadAttention`, with the same name as in PyTorch."""
