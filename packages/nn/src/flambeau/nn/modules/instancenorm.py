"""Layers that normalise each channel of each sample separately."""

from __future__ import annotations

import warnings
from typing import Any

from flambeau import Tensor

from .. import functional as F
from ._norm import _NormBase


class _InstanceNorm(_NormBase):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        unbatched = input.ndim == self.dimensions[0]
        if input.shape[0 if unbatched else 1] != self.num_features:
            self._report_channel_mismatch(input.shape[0 if unbatched else 1])
        return self._normalized(input.unsqueeze(0)).squeeze(0) if unbatched else self._normalized(input)

    def _report_channel_mismatch(self, channels: int) -> None:
        text = f"expected input's size at dim=-{self.dimensions[0]} to match num_features ({self.num_features}), "
        if self.affine:
            raise ValueError(f"{text}but got: {channels}.")
        warnings.warn(f"{text}but got: {channels}. num_features has no effect if affine=False.", stacklevel=4)

    def _normalized(self, input: Tensor) -> Tensor:
        statistics = (self.running_mean, self.running_var)
        momentum = 0.0 if self.momentum is None else self.momentum
        uses_input = self.training or not self.track_running_stats
        return F.instance_norm(input, *statistics, self.weight, self.bias, uses_input, momentum, self.eps)

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Load as other modules do, but reject running statistics in old files if this layer has none."""
        keys = [prefix + name for name in ("running_mean", "running_var") if prefix + name in state_dict]
        if local_metadata.get("version") is None and not self.track_running_stats and keys:
            names = " and ".join(f'"{key}"' for key in keys)
            error_msgs.append(
                f"Unexpected running stats buffer(s) {names} for {type(self).__name__} with track_running_stats=False. "
                "If state_dict was made before track_running_stats existed, remove them: "
                "{key: value for key, value in state_dict.items() if key not in (...)}"
            )
            for key in keys:
                state_dict.pop(key)
        others = (strict, missing_keys, unexpected_keys, error_msgs)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *others)


class InstanceNorm1d(_InstanceNorm):
    """Normalise each channel of each sample of ``(N, C, L)`` or ``(C, L)``.

    ``y = (x - mean) / sqrt(var + eps) * weight + bias`` with the (biased) variance of the sample's channel.

    Args:
        num_features: C.
        eps: added to the variance.
        momentum: weight of the current batch in the running statistics.
        affine: if True, the layer has the parameters ``weight`` and ``bias``.
        track_running_stats: if True, the layer has running statistics, which it uses in evaluation mode.
        device, dtype: device and dtype of parameters and statistics.
        bias: if False, the layer has a ``weight`` but no ``bias``.
    Raises: ValueError for an input of the wrong number of dimensions or channels.
    Source: Ulyanov, Vedaldi, Lempitsky 2016, arXiv:1607.08022.

    >>> nn.InstanceNorm1d(1)(fb.tensor([[[1.0, 3.0]]]))
    tensor([[[-1.0000,  1.0000]]])
    """

    dimensions = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """`InstanceNorm1d` for ``(N, C, H, W)`` or ``(C, H, W)``.

    >>> nn.InstanceNorm2d(3)(fb.zeros(2, 3, 8, 8)).shape
    flambeau.Size([2, 3, 8, 8])
    """

    dimensions = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """`InstanceNorm1d` for ``(N, C, D, H, W)`` or ``(C, D, H, W)``.

    >>> nn.InstanceNorm3d(3)(fb.zeros(2, 3, 8, 8, 8)).shape
    flambeau.Size([2, 3, 8, 8, 8])
    """

    dimensions = (4, 5)
