"""Layers used by many vision models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import flambeau as fb
from flambeau import nn
from flambeau.nn._leaf_functions import wrap

Layer = Callable[..., nn.Module]


class _ConvNormActivation(nn.Sequential):
    """Base class of `Conv2dNormActivation` and `Conv3dNormActivation`."""

    def __init__(
        self,
        convolution: Layer,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        groups: int,
        norm_layer: Layer | None,
        activation_layer: Layer | None,
        dilation: Any,
        inplace: bool | None,
        bias: bool | None,
    ) -> None:
        padding = _keeping_size(kernel_size, dilation) if padding is None else padding
        bias = norm_layer is None if bias is None else bias
        geometry = (kernel_size, stride, padding, dilation, groups)
        layers: list[nn.Module] = [convolution(in_channels, out_channels, *geometry, bias=bias)]
        if norm_layer is not None:
            layers.append(norm_layer(out_channels))
        if activation_layer is not None:
            layers.append(activation_layer() if inplace is None else activation_layer(inplace=inplace))
        super().__init__(*layers)
        self.out_channels = out_channels


def _keeping_size(kernel_size: Any, dilation: Any) -> int | tuple[int, ...]:
    """Return the padding with which a convolution preserves the size: one number, or one number for each dimension."""
    if isinstance(kernel_size, int) and isinstance(dilation, int):
        return (kernel_size - 1) // 2 * dilation
    count = len(dilation if isinstance(kernel_size, int) else kernel_size)
    kernels, rates = ([each] * count if isinstance(each, int) else each for each in (kernel_size, dilation))
    return tuple((kernel - 1) // 2 * rate for kernel, rate in zip(kernels, rates, strict=True))


class Conv2dNormActivation(_ConvNormActivation):
    """Sequence of a convolution, a normalisation and an activation.

    Args:
        in_channels, out_channels, kernel_size, stride, padding, groups, dilation: arguments of the convolution. If
            ``padding`` is None, a convolution with stride 1 preserves the size of the image.
        norm_layer, activation_layer: classes or functions that create the layers; None for no layer.
        inplace: argument of the activation; None for the activation's default.
        bias: if True, the convolution has a bias. None means a bias only if there is no normalisation.

    >>> Conv2dNormActivation(3, 8, kernel_size=3, stride=2)
    Conv2dNormActivation(
      (0): Conv2d(3, 8, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), bias=False)
      (1): BatchNorm2d(8, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)
      (2): ReLU(inplace=True)
    )
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int] = 3,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str | None = None,
        groups: int = 1,
        norm_layer: Layer | None = nn.BatchNorm2d,
        activation_layer: Layer | None = nn.ReLU,
        dilation: int | tuple[int, int] = 1,
        inplace: bool | None = True,
        bias: bool | None = None,
    ) -> None:
        geometry = (in_channels, out_channels, kernel_size, stride, padding, groups)
        super().__init__(nn.Conv2d, *geometry, norm_layer, activation_layer, dilation, inplace, bias)


class Conv3dNormActivation(_ConvNormActivation):
    """Variant of :class:`Conv2dNormActivation` for videos ``(N, C, T, H, W)``.

    >>> Conv3dNormActivation(3, 8, kernel_size=(1, 3, 3))(fb.zeros(1, 3, 4, 6, 6)).shape
    flambeau.Size([1, 8, 4, 6, 6])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int, int] = 3,
        stride: int | tuple[int, int, int] = 1,
        padding: int | tuple[int, int, int] | str | None = None,
        groups: int = 1,
        norm_layer: Layer | None = nn.BatchNorm3d,
        activation_layer: Layer | None = nn.ReLU,
        dilation: int | tuple[int, int, int] = 1,
        inplace: bool | None = True,
        bias: bool | None = None,
    ) -> None:
        geometry = (in_channels, out_channels, kernel_size, stride, padding, groups)
        super().__init__(nn.Conv3d, *geometry, norm_layer, activation_layer, dilation, inplace, bias)


class SqueezeExcitation(nn.Module):
    """Squeeze-and-excitation block, which multiplies channels by factors that it computes from the channels' means.

    The output is ``input * scale(fc2(activation(fc1(mean(input)))))``.

    Args:
        input_channels: channels of the input ``(N, C, H, W)``.
        squeeze_channels: channels between the two layers.
        activation, scale_activation: classes or functions that create the activations.
    Source: Hu et al. 2017, arXiv:1709.01507.

    >>> SqueezeExcitation(input_channels=8, squeeze_channels=2)(fb.zeros(1, 8, 5, 5)).shape
    flambeau.Size([1, 8, 5, 5])
    """

    def __init__(
        self,
        input_channels: int,
        squeeze_channels: int,
        activation: Layer = nn.ReLU,
        scale_activation: Layer = nn.Sigmoid,
    ) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(input_channels, squeeze_channels, 1)
        self.fc2 = nn.Conv2d(squeeze_channels, input_channels, 1)
        self.activation = activation()
        self.scale_activation = scale_activation()

    def forward(self, input: fb.Tensor) -> fb.Tensor:
        squeezed = self.activation(self.fc1(self.avgpool(input)))
        scaled: fb.Tensor = self.scale_activation(self.fc2(squeezed)) * input
        return scaled


class MLP(nn.Sequential):
    """Multilayer perceptron: linear layers, each followed by a normalisation, an activation and a dropout.

    Only a dropout follows the last layer.

    Args:
        in_channels: size of the input's last dimension.
        hidden_channels: size of each layer's output.
        norm_layer, activation_layer: classes or functions that create the layers; None for no layer.
        inplace: argument of activation and dropouts; None for their default.
        bias: if True, the linear layers have a bias.
        dropout: probability of the dropouts.

    >>> MLP(4, [16, 2])
    MLP(
      (0): Linear(in_features=4, out_features=16, bias=True)
      (1): ReLU()
      (2): Dropout(p=0.0, inplace=False)
      (3): Linear(in_features=16, out_features=2, bias=True)
      (4): Dropout(p=0.0, inplace=False)
    )
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: Sequence[int],
        norm_layer: Layer | None = None,
        activation_layer: Layer | None = nn.ReLU,
        inplace: bool | None = None,
        bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        options: dict[str, Any] = {} if inplace is None else {"inplace": inplace}
        layers: list[nn.Module] = []
        for channels in hidden_channels[:-1]:
            layers.append(nn.Linear(in_channels, channels, bias=bias))
            if norm_layer is not None:
                layers.append(norm_layer(channels))
            if activation_layer is not None:
                layers.append(activation_layer(**options))
            layers.append(nn.Dropout(dropout, **options))
            in_channels = channels
        layers += [nn.Linear(in_channels, hidden_channels[-1], bias=bias), nn.Dropout(dropout, **options)]
        super().__init__(*layers)


class Permute(nn.Module):
    """Layer that permutes dimensions.

    >>> Permute([0, 3, 1, 2])(fb.zeros(1, 8, 6, 3)).shape
    flambeau.Size([1, 3, 8, 6])
    """

    def __init__(self, dims: Sequence[int]) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        return fb.permute(x, self.dims)


class FrozenBatchNorm2d(nn.Module):
    """Batch normalisation with fixed statistics and affine parameters, which are buffers.

    Args:
        num_features: channels of the input ``(N, C, H, W)``.
        eps: added to the variance.

    >>> layer = FrozenBatchNorm2d(8)
    >>> list(layer.parameters()), list(layer.state_dict())
    ([], ['weight', 'bias', 'running_mean', 'running_var'])
    """

    weight: fb.Tensor
    bias: fb.Tensor
    running_mean: fb.Tensor
    running_var: fb.Tensor

    def __init__(self, num_features: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        for name, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            self.register_buffer(name, fb.full((num_features,), value))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        state_dict.pop(f"{prefix}num_batches_tracked", None)  # checkpoints of trainable batch normalisation contain it
        super()._load_from_state_dict(state_dict, prefix, *others)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        return nn.functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)

    def extra_repr(self) -> str:
        return f"{len(self.weight)}, eps={self.eps}"


@wrap
def stochastic_depth(input: fb.Tensor, p: float, mode: str, training: bool = True) -> fb.Tensor:
    """Set the input or its rows to zero with probability ``p``, and scale the rest by ``1 / (1 - p)``.

    Args:
        input: ``(N, ...)``.
        p: probability from 0 to 1; 1 sets everything to zero.
        mode: ``"batch"`` for the complete input, ``"row"`` for each of its N rows independently.
        training: if False, return the input.
    Raises: ValueError for an unsupported mode or probability.
    Source: Huang et al. 2016, arXiv:1603.09382.

    >>> _ = fb.manual_seed(0)
    >>> stochastic_depth(fb.ones(4, 2), p=0.5, mode="row")
    tensor([[2., 2.],
            [2., 2.],
            [0., 0.],
            [0., 0.]])
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"drop probability has to be between 0 and 1, but got {p}")
    if mode not in ("batch", "row"):
        raise ValueError(f"mode has to be either 'batch' or 'row', but got {mode}")
    if not training or p == 0.0:
        return input
    shape = [1 if mode == "batch" else len(input), *([1] * (input.ndim - 1))]
    mask = fb.empty(shape, dtype=input.dtype, device=input.device).bernoulli_(1.0 - p)
    return input * (mask / (1.0 - p) if p < 1.0 else mask)


class StochasticDepth(nn.Module):
    """Layer that applies :func:`stochastic_depth` in training.

    >>> layer = StochasticDepth(p=1.0, mode="row")
    >>> layer(fb.ones(1, 3)), layer.eval()(fb.ones(1, 3))
    (tensor([[0., 0., 0.]]), tensor([[1., 1., 1.]]))
    """

    def __init__(self, p: float, mode: str) -> None:
        super().__init__()
        self.p = p
        self.mode = mode

    def forward(self, input: fb.Tensor) -> fb.Tensor:
        return stochastic_depth(input, self.p, self.mode, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}, mode={self.mode}"
