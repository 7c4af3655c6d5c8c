"""Rows of the layers that rearrange elements."""

import numpy as np
from layer_references import nearest, pixel_shuffle, unfolded

from flambeau import nn
from layer_rows.row import Layer

ROWS = [
    Layer("Flatten(start_dim=1, end_dim=-1)", lambda: nn.Flatten(), (2, 3, 4), lambda x: np.reshape(x, (len(x), -1))),
    Layer(
        "Flatten(start_dim=0, end_dim=1)",
        lambda: nn.Flatten(0, 1),
        (2, 3, 4),
        lambda x: np.reshape(x, (-1, x.shape[2])),
    ),
    Layer(
        "Unflatten(dim=-1, unflattened_size=(2, -1))",
        lambda: nn.Unflatten(-1, (2, -1)),
        (3, 6),
        lambda x: np.reshape(x, (len(x), 2, -1)),
    ),
    Layer("PixelShuffle(upscale_factor=2)", lambda: nn.PixelShuffle(2), (1, 8, 2, 3), lambda x: pixel_shuffle(x, 2)),
    Layer(
        "PixelUnshuffle(downscale_factor=2)",
        lambda: nn.PixelUnshuffle(2),
        (1, 2, 4, 6),
        lambda x: x.reshape(1, 2, 2, 2, 3, 2).transpose(0, 1, 3, 5, 2, 4).reshape(1, 8, 2, 3),
    ),
    Layer(
        "ChannelShuffle(groups=2)",
        lambda: nn.ChannelShuffle(2),
        (2, 6, 3),
        lambda x: x.reshape(2, 2, 3, 3).swapaxes(1, 2).reshape(2, 6, 3),
    ),
    Layer(
        "Upsample(scale_factor=2.0, mode='nearest')",
        lambda: nn.Upsample(scale_factor=2),
        (1, 2, 3, 2),
        lambda x: nearest(x, 2),
    ),
    Layer(
        "UpsamplingNearest2d(size=(6, 4), mode='nearest')",
        lambda: nn.UpsamplingNearest2d((6, 4)),
        (1, 2, 3, 2),
        lambda x: nearest(x, 2),
    ),
    Layer(
        "UpsamplingBilinear2d(size=(1, 5), mode='bilinear')",
        lambda: nn.UpsamplingBilinear2d((1, 5)),
        (1, 2, 1, 3),
        lambda x: np.stack([x[..., 0], x[..., :2].mean(-1), x[..., 1], x[..., 1:].mean(-1), x[..., 2]], -1),
    ),
    Layer(
        "Unfold(kernel_size=2, dilation=1, padding=0, stride=1)",
        lambda: nn.Unfold(2),
        (2, 3, 4, 3),
        lambda x: unfolded(x, 2),
    ),
    Layer(
        "Fold(output_size=(2, 4), kernel_size=2, dilation=1, padding=0, stride=2)",
        lambda: nn.Fold((2, 4), 2, stride=2),
        (1, 4, 2),
        lambda x: x.reshape(1, 1, 2, 2, 2).transpose(0, 1, 2, 4, 3).reshape(1, 1, 2, 4),
    ),
]
