"""Layers that normalise each sample with its own statistics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flambeau import Tensor, empty

from .. import functional as F, init
from ..parameter import Parameter
from .module import Module
from .utils import options_of


def _sizes(normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    return (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)


class LayerNorm(Module):
    """Normalise over the last dimensions: ``y = (x - mean) / sqrt(var + eps) * weight + bias``.

    Args:
        normalized_shape: the sizes of the last dimensions; an int for one dimension.
        eps: added to the (biased) variance.
        elementwise_affine: if False, the layer has no ``weight`` and ``bias``.
        bias: if False, the layer has a ``weight`` but no ``bias``.
        device, dtype: device and dtype of the parameters.
    Shapes: ``(*, *normalized_shape)``; ``weight`` (ones) and ``bias`` (zeros) have the shape ``normalized_shape``.
    Source: Ba, Kiros, Hinton 2016, arXiv:1607.06450.

    >>> nn.LayerNorm(2)(fb.tensor([[1.0, 3.0]])).detach()
    tensor([[-1.0000,  1.0000]])
    """

    weight: Tensor | None
    bias: Tensor | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _sizes(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        for name, wanted in (("weight", True), ("bias", bias)):
            parameter = Parameter(empty(self.normalized_shape, device=device, dtype=dtype)) if wanted else None
            self.register_parameter(name, parameter if elementwise_affine else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set weights to 1 and biases to 0."""
        _reset(self)

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        options = options_of(self, "eps", "elementwise_affine")
        return f"{self.normalized_shape}, {options}, bias={self.bias is not None}"


class RMSNorm(Module):
    """Normalise by the root mean square over the last dimensions: ``y = x / sqrt(mean(x**2) + eps) * weight``.

    Args:
        normalized_shape: the sizes of the last dimensions; an int for one dimension.
        eps: added to the mean of the squares. None means the machine epsilon of the input's dtype.
        elementwise_affine: if False, the layer has no ``weight``.
        device, dtype: device and dtype of the weight.
    Source: Zhang, Sennrich 2019, arXiv:1910.07467.

    >>> nn.RMSNorm(2)(fb.tensor([[3.0, 4.0]]))
    tensor([[0.8485, 1.1314]], grad_fn=<RmsNormBackward0>)
    """

    weight: Tensor | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _sizes(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        parameter = Parameter(empty(self.normalized_shape, device=device, dtype=dtype)) if elementwise_affine else None
        self.register_parameter("weight", parameter)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the weight to 1."""
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, {options_of(self, 'eps', 'elementwise_affine')}"


class GroupNorm(Module):
    """Normalise ``num_groups`` groups of channels of ``(N, num_channels, *)`` separately.

    Args:
        num_groups: number of groups: 1 for all channels together, ``num_channels`` for each channel separately.
        num_channels: number of channels, a multiple of ``num_groups``.
        eps: added to the (biased) variance.
        affine: if True, the layer has a ``weight`` and a ``bias`` with one value per channel.
        device, dtype: device and dtype of the parameters.
        bias: if False, the layer has a ``weight`` but no ``bias``.
    Raises: ValueError if ``num_groups`` does not divide ``num_channels``.
    Source: Wu, He 2018, arXiv:1803.08494.

    >>> nn.GroupNorm(2, 4)(fb.tensor([[1.0, 3.0, 5.0, 9.0]]))
    tensor([[-1.0000,  1.0000, -1.0000,  1.0000]],
           grad_fn=<NativeGroupNormBackward0>)
    """

    weight: Tensor | None
    bias: Tensor | None

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if num_groups <= 0 or num_channels % num_groups:
            raise ValueError(f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})")
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        for name, wanted in (("weight", True), ("bias", bias)):
            parameter = Parameter(empty(num_channels, device=device, dtype=dtype)) if wanted and affine else None
            self.register_parameter(name, parameter)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set weights to 1 and biases to 0."""
        _reset(self)

    def forward(self, input: Tensor) -> Tensor:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        options = options_of(self, "eps", "affine")
        return f"{self.num_groups}, {self.num_channels}, {options}, bias={self.bias is not None}"


def _reset(layer: LayerNorm | GroupNorm) -> None:
    if layer.weight is not None:
        init.ones_(layer.weight)
    if layer.bias is not None:
        init.zeros_(layer.bias)


class LocalResponseNorm(Module):
    """``x / (k + alpha * mean of x**2 over size neighbouring channels) ** beta``.

    Source: Krizhevsky, Sutskever, Hinton 2012, "ImageNet classification with deep convolutional neural networks".

    >>> nn.LocalResponseNorm(2)(fb.ones(1, 4, 2, 2)).shape
    flambeau.Size([1, 4, 2, 2])
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: Tensor) -> Tensor:
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, {options_of(self, 'alpha', 'beta', 'k')}"


class CrossMapLRN2d(LocalResponseNorm):
    """`LocalResponseNorm` of ``(N, C, H, W)``.

    Raises: ValueError for an input that does not have four dimensions.

    >>> nn.CrossMapLRN2d(3)(fb.ones(1, 4, 2, 2)).shape
    flambeau.Size([1, 4, 2, 2])
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1) -> None:
        super().__init__(size, alpha, beta, k)

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim != 4:
            raise ValueError(f"CrossMapLRN2d: Expected input to be 4D, got {input.ndim}D instead.")
        return super().forward(input)
