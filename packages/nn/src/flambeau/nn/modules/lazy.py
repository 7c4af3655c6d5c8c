"""Layers that infer unspecified sizes from their first input."""

from __future__ import annotations

from typing import Any

from flambeau import Tensor, int64, zeros

from ..parameter import UninitializedBuffer, UninitializedParameter, is_lazy
from ._norm import _NormBase
from .batchnorm import BatchNorm1d, BatchNorm2d, BatchNorm3d
from .conv import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
    _ConvNd,
    _ConvTransposeNd,
)
from .instancenorm import InstanceNorm1d, InstanceNorm2d, InstanceNorm3d
from .linear import Linear
from .module import Module
from .utils import Size


class LazyModuleMixin(Module):
    """Mixin that delays the initialisation of a layer until the first call. It must precede the layer's class.

    A subclass registers instances of `UninitializedParameter` in ``__init__`` and sets their shapes in
    ``initialize_parameters``, which receives the arguments of the first call. After the first call, the class of the
    module is ``cls_to_become``. Before the first call, the parameters can be converted, saved and loaded, but not
    passed to an optimizer.

    >>> layer = nn.LazyLinear(3)
    >>> layer
    LazyLinear(in_features=0, out_features=3, bias=True)
    >>> out = layer(fb.zeros(5, 2))
    >>> layer
    Linear(in_features=2, out_features=3, bias=True)
    """

    cls_to_become: type[Module] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._initialize_hook = self.register_forward_pre_hook(_initialize, with_kwargs=True)

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        """Set the shapes of the parameters from the arguments of the first call. Every subclass defines this."""
        raise NotImplementedError(f"initialize_parameters is not implemented for {type(self).__name__}")

    def has_uninitialized_params(self) -> bool:
        """Return True if a parameter or buffer of this module has no shape yet."""
        return any(map(is_lazy, [*self._parameters.values(), *self._buffers.values()]))


def _initialize(module: LazyModuleMixin, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    module.initialize_parameters(*args, **kwargs)
    if module.has_uninitialized_params():
        raise RuntimeError(f"module {module._get_name()} has not been fully initialized")
    module._initialize_hook.remove()
    del module._initialize_hook
    hooks = module._own_hooks()
    object.__setattr__(module, "_hooks", hooks if hooks.registered() else None)
    if module.cls_to_become is not None:
        module.__class__ = module.cls_to_become  # type: ignore[assignment]


class LazyLinear(LazyModuleMixin, Linear):
    """`Linear` that takes ``in_features`` from the last dimension of its first input.

    >>> layer = nn.LazyLinear(2)
    >>> layer(fb.zeros(4, 3)).shape, layer
    (flambeau.Size([4, 2]), Linear(in_features=3, out_features=2, bias=True))
    """

    cls_to_become = Linear

    def __init__(self, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__(0, 0, False)
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        self.out_features = out_features
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """Initialise the parameters again, unless they have no shapes yet."""
        if not self.has_uninitialized_params() and self.in_features != 0:
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor) -> None:
        """Set the shapes of the parameters from ``input``."""
        if not self.has_uninitialized_params():
            self.in_features = self.weight.shape[-1]
            return
        self.in_features = input.shape[-1]
        _materialize(self.weight, (self.out_features, self.in_features))
        _materialize(self.bias, (self.out_features,))
        self.reset_parameters()


def _materialize(tensor: Any, shape: tuple[int, ...]) -> None:
    if tensor is not None:
        tensor.materialize(shape)


class _LazyConv(LazyModuleMixin, _ConvNd):
    def reset_parameters(self) -> None:
        """Initialise the parameters again, unless they have no shapes yet."""
        if not self.has_uninitialized_params() and self.in_channels != 0:
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor, *args: Any, **kwargs: Any) -> None:
        """Set the shapes of the parameters from ``input``."""
        if not self.has_uninitialized_params():
            self.in_channels = self.weight.shape[0] if self.transposed else self.weight.shape[1] * self.groups
            return
        self.in_channels = self._channels_of(input)
        if self.in_channels % self.groups:
            raise ValueError(
                f"in_channels must be divisible by groups, got in_channels={self.in_channels} and groups={self.groups}"
            )
        channels = (self.in_channels, self.out_channels)
        first, second = channels if self.transposed else reversed(channels)
        _materialize(self.weight, (first, second // self.groups, *self.kernel_size))
        _materialize(self.bias, (self.out_channels,))
        self.reset_parameters()

    def _channels_of(self, input: Tensor) -> int:
        count = self.dimensions
        if input.ndim not in (count + 1, count + 2):
            raise RuntimeError(
                f"Expected {count + 1}D (unbatched) or {count + 2}D (batched) input to {type(self).__name__}, but got "
                f"input of size: {list(input.shape)}"
            )
        return input.shape[-count - 1]

    def _make_lazy(self, out_channels: int, bias: bool, device: Any, dtype: Any) -> None:
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        self.out_channels = out_channels
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)


class _LazyConvNd(_LazyConv):
    def __init__(
        self,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: str | Size = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(0, 0, kernel_size, stride, padding, dilation, groups, False, padding_mode)
        self._make_lazy(out_channels, bias, device, dtype)


class LazyConv1d(_LazyConvNd, Conv1d):
    """`Conv1d` that takes ``in_channels`` from its first input.

    >>> layer = nn.LazyConv1d(4, 3)
    >>> layer(fb.zeros(2, 3, 8)).shape, layer.in_channels
    (flambeau.Size([2, 4, 6]), 3)
    """

    cls_to_become = Conv1d


class LazyConv2d(_LazyConvNd, Conv2d):
    """`Conv2d` that takes ``in_channels`` from its first input.

    >>> layer = nn.LazyConv2d(4, 3)
    >>> out = layer(fb.zeros(1, 2, 5, 5))
    >>> layer
    Conv2d(2, 4, kernel_size=(3, 3), stride=(1, 1))
    """

    cls_to_become = Conv2d


class LazyConv3d(_LazyConvNd, Conv3d):
    """`Conv3d` that takes ``in_channels`` from its first input.

    >>> layer = nn.LazyConv3d(4, 3)
    >>> layer(fb.zeros(2, 3, 8, 8, 8)).shape, layer.in_channels
    (flambeau.Size([2, 4, 6, 6, 6]), 3)
    """

    cls_to_become = Conv3d


class _LazyConvTransposeNd(_LazyConv, _ConvTransposeNd):
    def __init__(
        self,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(0, 0, kernel_size, stride, padding, output_padding, groups, False, dilation, padding_mode)
        self._make_lazy(out_channels, bias, device, dtype)


class LazyConvTranspose1d(_LazyConvTransposeNd, ConvTranspose1d):
    """`ConvTranspose1d` that takes ``in_channels`` from its first input.

    >>> layer = nn.LazyConvTranspose1d(4, 3)
    >>> layer(fb.zeros(2, 3, 8)).shape, layer.in_channels
    (flambeau.Size([2, 4, 10]), 3)
    """

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(_LazyConvTransposeNd, ConvTranspose2d):
    """`ConvTranspose2d` that takes ``in_channels`` from its first input.

    >>> layer = nn.LazyConvTranspose2d(4, 3)
    >>> layer(fb.zeros(2, 3, 8, 8)).shape, layer.in_channels
    (flambeau.Size([2, 4, 10, 10]), 3)
    """

    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(_LazyConvTransposeNd, ConvTranspose3d):
    """`ConvTranspose3d` that takes ``in_channels`` from its first input.

    >>> layer = nn.LazyConvTranspose3d(4, 3)
    >>> layer(fb.zeros(2, 3, 8, 8, 8)).shape, layer.in_channels
    (flambeau.Size([2, 4, 10, 10, 10]), 3)
    """

    cls_to_become = ConvTranspose3d


class _LazyNormBase(LazyModuleMixin, _NormBase):
    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(0, eps, momentum, False, False, device, dtype)
        self.affine = affine
        self.track_running_stats = track_running_stats
        wanted = {"device": device, "dtype": dtype}
        if affine:
            self.weight = UninitializedParameter(**wanted)
        if affine and bias:
            self.bias = UninitializedParameter(**wanted)
        if track_running_stats:
            self.running_mean = UninitializedBuffer(**wanted)
            self.running_var = UninitializedBuffer(**wanted)
            self.num_batches_tracked = zeros((), dtype=int64, device=device)

    def reset_parameters(self) -> None:
        """Set weights to 1, biases to 0 and reset the statistics, unless they have no shapes yet."""
        if not self.has_uninitialized_params() and self.num_features != 0:
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor) -> None:
        """Set the shapes of parameters and statistics from ``input``."""
        self._check_input_dim(input)
        self.num_features = input.shape[self._channel_dim(input)]
        if not self.has_uninitialized_params():
            return
        for tensor in (self.weight, self.bias, self.running_mean, self.running_var):
            _materialize(tensor, (self.num_features,))
        self.reset_parameters()

    def _channel_dim(self, input: Tensor) -> int:
        return 1


class LazyBatchNorm1d(_LazyNormBase, BatchNorm1d):
    """`BatchNorm1d` that takes ``num_features`` from its first input.

    >>> layer = nn.LazyBatchNorm1d()
    >>> layer(fb.zeros(2, 3, 8)).shape, layer.num_features
    (flambeau.Size([2, 3, 8]), 3)
    """

    cls_to_become = BatchNorm1d


class LazyBatchNorm2d(_LazyNormBase, BatchNorm2d):
    """`BatchNorm2d` that takes ``num_features`` from its first input.

    >>> layer = nn.LazyBatchNorm2d()
    >>> layer(fb.zeros(2, 3, 8, 8)).shape, layer.num_features
    (flambeau.Size([2, 3, 8, 8]), 3)
    """

    cls_to_become = BatchNorm2d


class LazyBatchNorm3d(_LazyNormBase, BatchNorm3d):
    """`BatchNorm3d` that takes ``num_features`` from its first input.

    >>> layer = nn.LazyBatchNorm3d()
    >>> layer(fb.zeros(2, 3, 8, 8, 8)).shape, layer.num_features
    (flambeau.Size([2, 3, 8, 8, 8]), 3)
    """

    cls_to_become = BatchNorm3d


class _LazyInstanceNorm(_LazyNormBase):
    def _channel_dim(self, input: Tensor) -> int:
        return 0 if input.ndim == self.dimensions[0] else 1


class LazyInstanceNorm1d(_LazyInstanceNorm, InstanceNorm1d):
    """`InstanceNorm1d` that takes ``num_features`` from its first input.

    >>> layer = nn.LazyInstanceNorm1d()
    >>> layer(fb.zeros(2, 3, 8)).shape, layer.num_features
    (flambeau.Size([2, 3, 8]), 3)
    """

    cls_to_become = InstanceNorm1d


class LazyInstanceNorm2d(_LazyInstanceNorm, InstanceNorm2d):
    """`InstanceNorm2d` that takes ``num_features`` from its first input.

    >>> layer = nn.LazyInstanceNorm2d()
    >>> layer(fb.zeros(2, 3, 8, 8)).shape, layer.num_features
    (flambeau.Size([2, 3, 8, 8]), 3)
    """

    cls_to_become = InstanceNorm2d


class LazyInstanceNorm3d(_LazyInstanceNorm, InstanceNorm3d):
    """`InstanceNorm3d` that takes ``num_features`` from its first input.

    >>> layer = nn.LazyInstanceNorm3d()
    >>> layer(fb.zeros(2, 3, 8, 8, 8)).shape, layer.num_features
    (flambeau.Size([2, 3, 8, 8, 8]), 3)
    """

    cls_to_become = InstanceNorm3d
