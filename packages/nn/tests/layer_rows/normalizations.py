"""Rows of the normalisation layers."""

import numpy as np
from layer_references import (
    batch_norm_of_batch,
    batch_norm_of_running,
    by_channel,
    group_norm,
    local_response,
    normalized,
)

from flambeau import nn
from layer_rows.row import Layer

ROWS = [
    Layer(
        "BatchNorm1d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)",
        lambda: nn.BatchNorm1d(3),
        (6, 3),
        batch_norm_of_batch,
    ),
    Layer(
        "BatchNorm2d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)",
        lambda: nn.BatchNorm2d(3),
        (4, 3, 2, 2),
        batch_norm_of_batch,
    ),
    Layer(
        "BatchNorm2d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)",
        lambda: nn.BatchNorm2d(3).eval(),
        (4, 3, 2, 2),
        batch_norm_of_running,
    ),
    Layer(
        "BatchNorm2d(3, eps=1e-05, momentum=0.1, affine=False, bias=False, track_running_stats=False)",
        lambda: nn.BatchNorm2d(3, affine=False, track_running_stats=False),
        (4, 3, 2, 2),
        lambda x: batch_norm_of_batch(x, np.ones(3), np.zeros(3)),
    ),
    Layer(
        "BatchNorm3d(2, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)",
        lambda: nn.BatchNorm3d(2),
        (3, 2, 2, 2, 1),
        batch_norm_of_batch,
    ),
    Layer(
        "SyncBatchNorm(2, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)",
        lambda: nn.SyncBatchNorm(2),
        (3, 2, 4),
        batch_norm_of_batch,
    ),
    Layer(
        "LayerNorm((3, 4), eps=1e-05, elementwise_affine=True, bias=True)",
        lambda: nn.LayerNorm((3, 4)),
        (2, 3, 4),
        lambda x, weight, bias: normalized(x, (1, 2), weight, bias),
    ),
    Layer(
        "LayerNorm((4,), eps=1e-05, elementwise_affine=True, bias=False)",
        lambda: nn.LayerNorm(4, bias=False),
        (2, 3, 4),
        lambda x, weight: normalized(x, 2, weight),
    ),
    Layer(
        "RMSNorm((4,), eps=1e-06, elementwise_affine=True)",
        lambda: nn.RMSNorm(4, eps=1e-6),
        (2, 3, 4),
        lambda x, weight: x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * weight,
    ),
    Layer(
        "GroupNorm(2, 4, eps=1e-05, affine=True, bias=True)",
        lambda: nn.GroupNorm(2, 4),
        (2, 4, 3),
        lambda x, weight, bias: group_norm(x, 2, weight, bias),
    ),
    Layer(
        "InstanceNorm1d(3, eps=1e-05, momentum=0.1, affine=False, bias=False, track_running_stats=False)",
        lambda: nn.InstanceNorm1d(3),
        (2, 3, 4),
        lambda x: normalized(x, 2),
    ),
    Layer(
        "InstanceNorm2d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=False)",
        lambda: nn.InstanceNorm2d(3, affine=True),
        (3, 2, 4),
        lambda x, weight, bias: normalized(x, (1, 2), weight[:, None, None], bias[:, None, None]),
    ),
    Layer(
        "InstanceNorm3d(2, eps=1e-05, momentum=0.1, affine=False, bias=False, track_running_stats=True)",
        lambda: nn.InstanceNorm3d(2, track_running_stats=True).eval(),
        (2, 2, 2, 1, 3),
        lambda x, running_mean, running_var, **state: (
            (x - by_channel(running_mean, x)) / np.sqrt(by_channel(running_var, x) + 1e-5)
        ),
    ),
    Layer(
        "LocalResponseNorm(3, alpha=0.5, beta=0.75, k=1.0)",
        lambda: nn.LocalResponseNorm(3, alpha=0.5),
        (2, 4, 2, 2),
        lambda x: local_response(x, 3, 0.5, 0.75, 1.0),
    ),
    Layer(
        "CrossMapLRN2d(2, alpha=0.5, beta=0.75, k=2)",
        lambda: nn.CrossMapLRN2d(2, alpha=0.5, k=2),
        (2, 4, 2, 2),
        lambda x: local_response(x, 2, 0.5, 0.75, 2),
    ),
]
