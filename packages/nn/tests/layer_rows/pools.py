"""Rows of the pooling layers."""

import numpy as np
from layer_references import adaptive, pool, pool2d

from flambeau import nn
from layer_rows.row import Layer

ROWS = [
    Layer(
        "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)",
        lambda: nn.MaxPool2d(2),
        (2, 3, 5, 6),
        lambda x: pool2d(np.max, x, (2, 2), 2),
    ),
    Layer(
        "MaxPool2d(kernel_size=(3, 2), stride=1, padding=1, dilation=1, ceil_mode=False)",
        lambda: nn.MaxPool2d((3, 2), stride=1, padding=1),
        (2, 3, 5, 6),
        lambda x: pool2d(np.max, x, (3, 2), 1, padding=1, fill=-np.inf),
    ),
    Layer(
        "AvgPool2d(kernel_size=2, stride=2, padding=0)",
        lambda: nn.AvgPool2d(2),
        (2, 3, 5, 6),
        lambda x: pool2d(np.mean, x, (2, 2), 2),
    ),
    Layer(
        "AvgPool2d(kernel_size=3, stride=2, padding=1)",
        lambda: nn.AvgPool2d(3, stride=2, padding=1),
        (3, 5, 6),
        lambda x: pool2d(np.mean, x[None], (3, 3), 2, padding=1)[0],
    ),
    Layer(
        "MaxPool1d(kernel_size=3, stride=2, padding=0, dilation=1, ceil_mode=False)",
        lambda: nn.MaxPool1d(3, 2),
        (2, 3, 7),
        lambda x: pool(np.max, x, (3,), 2),
    ),
    Layer(
        "MaxPool3d(kernel_size=2, stride=1, padding=0, dilation=1, ceil_mode=False)",
        lambda: nn.MaxPool3d(2, 1),
        (1, 2, 3, 4, 3),
        lambda x: pool(np.max, x, (2, 2, 2)),
    ),
    Layer(
        "AvgPool1d(kernel_size=(3,), stride=(2,), padding=(0,))",
        lambda: nn.AvgPool1d(3, 2),
        (2, 3, 7),
        lambda x: pool(np.mean, x, (3,), 2),
    ),
    Layer(
        "AvgPool3d(kernel_size=2, stride=1, padding=0)",
        lambda: nn.AvgPool3d(2, 1),
        (1, 2, 3, 4, 3),
        lambda x: pool(np.mean, x, (2, 2, 2)),
    ),
    Layer(
        "LPPool1d(norm_type=2, kernel_size=3, stride=2, ceil_mode=False)",
        lambda: nn.LPPool1d(2, 3, stride=2),
        (2, 3, 7),
        lambda x: np.sqrt(pool(np.sum, x**2, (3,), 2)),
    ),
    Layer(
        "AdaptiveAvgPool1d(output_size=3)",
        lambda: nn.AdaptiveAvgPool1d(3),
        (2, 3, 7),
        lambda x: adaptive(np.mean, x, 3),
    ),
    Layer(
        "AdaptiveAvgPool2d(output_size=(None, 2))",
        lambda: nn.AdaptiveAvgPool2d((None, 2)),
        (2, 3, 4, 5),
        lambda x: adaptive(np.mean, x, 2),
    ),
    Layer(
        "AdaptiveMaxPool1d(output_size=3)",
        lambda: nn.AdaptiveMaxPool1d(3),
        (2, 3, 7),
        lambda x: adaptive(np.max, x, 3),
    ),
    Layer(
        "AdaptiveMaxPool2d(output_size=3)",
        lambda: nn.AdaptiveMaxPool2d(3),
        (2, 3, 4, 5),
        lambda x: adaptive(np.max, x, 3, dims=2),
    ),
    Layer(
        "AdaptiveAvgPool3d(output_size=2)",
        lambda: nn.AdaptiveAvgPool3d(2),
        (1, 2, 3, 4, 3),
        lambda x: adaptive(np.mean, x, 2, dims=3),
    ),
    Layer(
        "AdaptiveMaxPool3d(output_size=2)",
        lambda: nn.AdaptiveMaxPool3d(2),
        (1, 2, 3, 4, 3),
        lambda x: adaptive(np.max, x, 2, dims=3),
    ),
    Layer(
        "LPPool2d(norm_type=2, kernel_size=2, stride=None, ceil_mode=False)",
        lambda: nn.LPPool2d(2, 2),
        (2, 3, 4, 5),
        lambda x: np.sqrt(pool(np.sum, x**2, (2, 2), 2)),
    ),
    Layer(
        "LPPool3d(norm_type=2, kernel_size=2, stride=1, ceil_mode=False)",
        lambda: nn.LPPool3d(2, 2, stride=1),
        (1, 2, 3, 4, 3),
        lambda x: np.sqrt(pool(np.sum, x**2, (2, 2, 2))),
    ),
]
