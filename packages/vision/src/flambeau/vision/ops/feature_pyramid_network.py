"""Feature pyramid networks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flambeau as fb
from flambeau import nn

from ._layers import Conv2dNormActivation

Maps = list[fb.Tensor]


class ExtraFPNBlock(nn.Module):
    """Base class of blocks that add feature maps to a pyramid.

    ``forward(results, x, names)`` returns the results and the names, with the added maps and their names.

    Args of forward:
        results: the maps of the pyramid.
        x: the feature maps from which the pyramid was computed.
        names: names of the results.
    """

    def forward(self, results: Maps, x: Maps, names: list[str]) -> tuple[Maps, list[str]]:
        raise NotImplementedError(f"{type(self).__name__} must define forward(self, results, x, names)")


class FeaturePyramidNetwork(nn.Module):
    """Feature pyramid network, which adds upsampled smaller feature maps to larger feature maps.

    Args:
        in_channels_list: number of channels of each input map, from the largest map to the smallest.
        out_channels: number of channels of all results.
        extra_blocks: module that adds further maps.
        norm_layer: normalisation after each convolution; None for no normalisation.

    Shapes: a dictionary of maps ``(N, C, H, W)``. The result is a dictionary of maps ``(N, out_channels, H, W)``.
    Raises: ValueError for a map without channels, TypeError if ``extra_blocks`` is not an :class:`ExtraFPNBlock`.
    Source: Lin et al. 2016, arXiv:1612.03144.

    >>> pyramid = FeaturePyramidNetwork([4, 8], 2)
    >>> maps = pyramid({"large": fb.zeros(1, 4, 8, 8), "small": fb.zeros(1, 8, 4, 4)})
    >>> {name: tuple(map.shape) for name, map in maps.items()}
    {'large': (1, 2, 8, 8), 'small': (1, 2, 4, 4)}
    """

    _version = 2  # since version 2, each convolution is in a Sequential with its normalisation

    def __init__(
        self,
        in_channels_list: Sequence[int],
        out_channels: int,
        extra_blocks: ExtraFPNBlock | None = None,
        norm_layer: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__()
        if not all(in_channels_list):
            raise ValueError("in_channels=0 is currently not supported")
        if not isinstance(extra_blocks, ExtraFPNBlock | None):
            raise TypeError(f"extra_blocks should be of type ExtraFPNBlock not {type(extra_blocks)}")
        options: dict[str, Any] = {"norm_layer": norm_layer, "activation_layer": None}
        self.inner_blocks = nn.ModuleList(
            Conv2dNormActivation(channels, out_channels, kernel_size=1, padding=0, **options)
            for channels in in_channels_list
        )
        self.layer_blocks = nn.ModuleList(
            Conv2dNormActivation(out_channels, out_channels, kernel_size=3, **options) for _ in in_channels_list
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                _init_convolution(module)
        self.extra_blocks = extra_blocks

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *others: Any
    ) -> None:
        if local_metadata.get("version", 1) < 2:
            renamed = {
                f"{prefix}{blocks}.{index}.{kind}": f"{prefix}{blocks}.{index}.0.{kind}"
                for blocks in ("inner_blocks", "layer_blocks")
                for index in range(len(self.inner_blocks))
                for kind in ("weight", "bias")
            }
            rename_keys(state_dict, renamed)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *others)

    def forward(self, x: Mapping[str, fb.Tensor]) -> OrderedDict[str, fb.Tensor]:
        names, maps = list(x), list(x.values())
        above = self.inner_blocks[-1](maps[-1])
        results = [self.layer_blocks[-1](above)]
        for index in range(len(maps) - 2, -1, -1):
            own = self.inner_blocks[index](maps[index])
            above = own + nn.functional.interpolate(above, size=own.shape[-2:], mode="nearest")
            results.insert(0, self.layer_blocks[index](above))
        if self.extra_blocks is not None:
            results, names = self.extra_blocks(results, maps, names)
        return OrderedDict(zip(names, results, strict=True))


def rename_keys(state_dict: dict[str, Any], renamed: Mapping[str, str]) -> None:
    """Rename existing entries of a state dictionary."""
    for before, after in renamed.items():
        if before in state_dict:
            state_dict[after] = state_dict.pop(before)


def _init_convolution(layer: nn.Conv2d) -> None:
    nn.init.kaiming_uniform_(layer.weight, a=1)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


class LastLevelMaxPool(ExtraFPNBlock):
    """Block that adds the feature map ``"pool"``: every second pixel of the last feature map."""

    def forward(self, results: Maps, x: Maps, names: list[str]) -> tuple[Maps, list[str]]:
        return [*results, nn.functional.max_pool2d(results[-1], 1, 2, 0)], [*names, "pool"]


class LastLevelP6P7(ExtraFPNBlock):
    """Block that adds the feature maps ``"p6"`` and ``"p7"``, which convolutions of stride 2 compute.

    Args:
        in_channels: number of input channels of the first convolution. If it equals ``out_channels``, the first
            convolution is applied to the last map of the pyramid, otherwise to the last map of the backbone.
        out_channels: number of channels of the added maps.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.p6 = nn.Conv2d(in_channels, out_channels, 3, 2, 1)
        self.p7 = nn.Conv2d(out_channels, out_channels, 3, 2, 1)
        _init_convolution(self.p6)
        _init_convolution(self.p7)
        self.use_P5 = in_channels == out_channels

    def forward(self, results: Maps, x: Maps, names: list[str]) -> tuple[Maps, list[str]]:
        p6 = self.p6((results if self.use_P5 else x)[-1])
        return [*results, p6, self.p7(nn.functional.relu(p6))], [*names, "p6", "p7"]
