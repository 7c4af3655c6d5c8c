"""Every layer with the text it prints and its value in NumPy: a row each."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.special
from layer_references import (
    SELU_ALPHA,
    SELU_SCALE,
    adaptive,
    batch_norm_of_batch,
    batch_norm_of_running,
    by_channel,
    conv,
    conv2d,
    conv_transpose,
    gelu_tanh,
    group_norm,
    local_response,
    nearest,
    normalized,
    padded,
    pixel_shuffle,
    pool,
    pool2d,
    unfolded,
)

from flambeau import nn


class Layer(NamedTuple):
    text: str  # what repr must print, to the character
    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    reference: Callable[..., np.ndarray]  # of the input and the state dict's entries


LAYERS = [
    Layer("Identity()", lambda: nn.Identity(3, unused=True), (2, 3), lambda x: x),
    Layer(
        "Linear(in_features=5, out_features=3, bias=True)",
        lambda: nn.Linear(5, 3),
        (2, 4, 5),
        lambda x, weight, bias: x @ weight.T + bias,
    ),
    Layer(
        "Linear(in_features=5, out_features=3, bias=False)",
        lambda: nn.Linear(5, 3, bias=False),
        (5,),
        lambda x, weight: weight @ x,
    ),
    Layer("Conv2d(2, 3, kernel_size=(3, 3), stride=(1, 1))", lambda: nn.Conv2d(2, 3, 3), (2, 2, 5, 6), conv2d),
    Layer(
        "Conv2d(2, 3, kernel_size=(2, 3), stride=(2, 2), padding=(1, 1))",
        lambda: nn.Conv2d(2, 3, (2, 3), stride=2, padding=1),
        (2, 2, 6, 5),
        lambda x, **state: conv2d(x, **state, stride=2, padding=(1, 1)),
    ),
    Layer(
        "Conv2d(4, 6, kernel_size=(3, 3), stride=(1, 1), padding=same, dilation=(2, 2), groups=2, bias=False)",
        lambda: nn.Conv2d(4, 6, 3, padding="same", dilation=2, groups=2, bias=False),
        (2, 4, 5, 6),
        lambda x, weight: conv2d(x, weight, padding=(2, 2), dilation=2, groups=2),
    ),
    Layer(
        "Conv2d(2, 3, kernel_size=(2, 2), stride=(1, 1), padding=valid)",
        lambda: nn.Conv2d(2, 3, 2, padding="valid"),
        (2, 4, 5),
        lambda x, **state: conv2d(x[None], **state)[0],
    ),
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
    Layer("Dropout(p=0.5, inplace=False)", lambda: nn.Dropout().eval(), (2, 3), lambda x: x),
    Layer("Dropout(p=0.0, inplace=False)", lambda: nn.Dropout(0.0), (2, 3), lambda x: x),
    Layer("Dropout(p=1.0, inplace=False)", lambda: nn.Dropout(1.0), (2, 3), lambda x: 0.0 * x),
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
    Layer("ReLU()", lambda: nn.ReLU(), (3, 4), lambda x: np.maximum(x, 0)),
    Layer("GELU(approximate='none')", lambda: nn.GELU(), (3, 4), lambda x: x * scipy.special.ndtr(x)),
    Layer("GELU(approximate='tanh')", lambda: nn.GELU("tanh"), (3, 4), gelu_tanh),
    Layer("SiLU()", lambda: nn.SiLU(), (3, 4), lambda x: x * scipy.special.expit(x)),
    Layer("LeakyReLU(negative_slope=0.01)", lambda: nn.LeakyReLU(), (3, 4), lambda x: np.where(x > 0, x, 0.01 * x)),
    Layer("LeakyReLU(negative_slope=0.2)", lambda: nn.LeakyReLU(0.2), (3, 4), lambda x: np.maximum(x, 0.2 * x)),
    Layer("Softplus(beta=1.0, threshold=20.0)", lambda: nn.Softplus(), (3, 4), lambda x: np.logaddexp(0, x)),
    Layer("Softplus(beta=3.0, threshold=20.0)", lambda: nn.Softplus(3.0), (3, 4), lambda x: np.logaddexp(0, 3 * x) / 3),
    Layer("Sigmoid()", lambda: nn.Sigmoid(), (3, 4), scipy.special.expit),
    Layer("Tanh()", lambda: nn.Tanh(), (3, 4), np.tanh),
    Layer("Softmax(dim=1)", lambda: nn.Softmax(dim=1), (3, 4, 2), lambda x: scipy.special.softmax(x, axis=1)),
    Layer("LogSoftmax(dim=-1)", lambda: nn.LogSoftmax(-1), (3, 4), lambda x: scipy.special.log_softmax(x, axis=-1)),
    # activations
    Layer("ReLU6()", lambda: nn.ReLU6(), (3, 4), lambda x: np.clip(x, 0, 6)),
    Layer("ELU(alpha=1.5)", lambda: nn.ELU(1.5), (3, 4), lambda x: np.where(x > 0, x, 1.5 * np.expm1(x))),
    Layer("CELU(alpha=2.0)", lambda: nn.CELU(2.0), (3, 4), lambda x: np.where(x > 0, x, 2 * np.expm1(x / 2))),
    Layer("SELU()", lambda: nn.SELU(), (3, 4), lambda x: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(x))),
    Layer("Mish()", lambda: nn.Mish(), (3, 4), lambda x: x * np.tanh(np.logaddexp(0, x))),
    Layer("LogSigmoid()", lambda: nn.LogSigmoid(), (3, 4), lambda x: -np.logaddexp(0, -x)),
    Layer("Tanhshrink()", lambda: nn.Tanhshrink(), (3, 4), lambda x: x - np.tanh(x)),
    Layer("Softsign()", lambda: nn.Softsign(), (3, 4), lambda x: x / (1 + abs(x))),
    Layer("Hardsigmoid()", lambda: nn.Hardsigmoid(), (3, 4), lambda x: np.clip(x + 3, 0, 6) / 6),
    Layer("Hardswish()", lambda: nn.Hardswish(), (3, 4), lambda x: x * np.clip(x + 3, 0, 6) / 6),
    Layer("Hardshrink(0.3)", lambda: nn.Hardshrink(0.3), (3, 4), lambda x: np.where(abs(x) > 0.3, x, 0)),
    Layer("Softshrink(0.3)", lambda: nn.Softshrink(0.3), (3, 4), lambda x: np.sign(x) * np.maximum(abs(x) - 0.3, 0)),
    Layer("Hardtanh(min_val=-0.5, max_val=2.0)", lambda: nn.Hardtanh(-0.5, 2.0), (3, 4), lambda x: np.clip(x, -0.5, 2)),
    Layer(
        "Threshold(threshold=0.1, value=20)", lambda: nn.Threshold(0.1, 20), (3, 4), lambda x: np.where(x > 0.1, x, 20)
    ),
    Layer(
        "RReLU(lower=0.1, upper=0.3)",
        lambda: nn.RReLU(0.1, 0.3).eval(),
        (3, 4),
        lambda x: np.where(x > 0, x, 0.2 * x),
    ),
    Layer("PReLU(num_parameters=1)", lambda: nn.PReLU(), (3, 4), lambda x, weight: np.where(x > 0, x, weight * x)),
    Layer(
        "PReLU(num_parameters=4)",
        lambda: nn.PReLU(4),
        (3, 4, 2),
        lambda x, weight: np.where(x > 0, x, weight[:, None] * x),
    ),
    Layer("Softmin(dim=1)", lambda: nn.Softmin(1), (3, 4), lambda x: scipy.special.softmax(-x, axis=1)),
    Layer("Softmax2d()", lambda: nn.Softmax2d(), (2, 3, 2, 2), lambda x: scipy.special.softmax(x, axis=1)),
    Layer("GLU(dim=-1)", lambda: nn.GLU(), (3, 4), lambda x: x[:, :2] * scipy.special.expit(x[:, 2:])),
    # convolutions
    Layer("Conv1d(2, 3, kernel_size=(3,), stride=(1,))", lambda: nn.Conv1d(2, 3, 3), (2, 2, 6), conv),
    Layer(
        "Conv2d(1, 2, kernel_size=(3, 3), stride=(1, 1), padding=(2, 2), padding_mode=reflect)",
        lambda: nn.Conv2d(1, 2, 3, padding=2, padding_mode="reflect"),
        (2, 1, 4, 3),
        lambda x, **state: conv(x, **state, pad="reflect", width=2),
    ),
    Layer(
        "Conv1d(1, 2, kernel_size=(3,), stride=(1,), padding=(2,), padding_mode=circular)",
        lambda: nn.Conv1d(1, 2, 3, padding=2, padding_mode="circular"),
        (2, 1, 4),
        lambda x, **state: conv(x, **state, pad="wrap", width=2),
    ),
    Layer(
        "Conv1d(1, 2, kernel_size=(3,), stride=(1,), padding=same, padding_mode=replicate)",
        lambda: nn.Conv1d(1, 2, 3, padding="same", padding_mode="replicate"),
        (2, 1, 4),
        lambda x, **state: conv(x, **state, pad="edge", width=1),
    ),
    Layer("Conv3d(2, 3, kernel_size=(2, 2, 2), stride=(1, 1, 1))", lambda: nn.Conv3d(2, 3, 2), (1, 2, 3, 4, 2), conv),
    Layer(
        "ConvTranspose1d(2, 3, kernel_size=(3,), stride=(2,), output_padding=(1,))",
        lambda: nn.ConvTranspose1d(2, 3, 3, stride=2, output_padding=1),
        (2, 2, 4),
        lambda x, **state: conv_transpose(x, **state, stride=2, extra=1),
    ),
    Layer(
        "ConvTranspose2d(2, 3, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1))",
        lambda: nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1),
        (2, 2, 3, 2),
        lambda x, **state: conv_transpose(x, **state, stride=2, padding=1),
    ),
    Layer(
        "ConvTranspose3d(2, 1, kernel_size=(2, 2, 2), stride=(1, 1, 1), bias=False)",
        lambda: nn.ConvTranspose3d(2, 1, 2, bias=False),
        (1, 2, 2, 2, 3),
        conv_transpose,
    ),
    # pools
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
    # paddings
    Layer(
        "ConstantPad1d(padding=(1, 2), value=3.5)",
        lambda: nn.ConstantPad1d((1, 2), 3.5),
        (2, 3, 4),
        padded("constant", 1, 1, 2, constant_values=3.5),
    ),
    Layer(
        "ConstantPad2d(padding=(1, 1, 1, 1), value=-1)",
        lambda: nn.ConstantPad2d(1, -1),
        (2, 3, 4),
        padded("constant", 2, 1, 1, 1, 1, constant_values=-1),
    ),
    Layer(
        "ConstantPad3d(padding=(1, 0, 2, 0, 0, 1), value=2)",
        lambda: nn.ConstantPad3d((1, 0, 2, 0, 0, 1), 2),
        (2, 2, 3, 2),
        padded("constant", 3, 1, 0, 2, 0, 0, 1, constant_values=2),
    ),
    Layer("ZeroPad1d((2, 2))", lambda: nn.ZeroPad1d(2), (2, 3, 4), padded("constant", 1, 2, 2)),
    Layer("ZeroPad2d((0, 1, 2, 0))", lambda: nn.ZeroPad2d((0, 1, 2, 0)), (2, 3, 4), padded("constant", 2, 0, 1, 2, 0)),
    Layer("ZeroPad3d((1, 1, 1, 1, 1, 1))", lambda: nn.ZeroPad3d(1), (2, 2, 2, 2), padded("constant", 3, *[1] * 6)),
    Layer("ReflectionPad1d((2, 1))", lambda: nn.ReflectionPad1d((2, 1)), (2, 3, 4), padded("reflect", 1, 2, 1)),
    Layer(
        "ReflectionPad2d((1, 1, 2, 0))",
        lambda: nn.ReflectionPad2d((1, 1, 2, 0)),
        (1, 2, 3, 4),
        padded("reflect", 2, 1, 1, 2, 0),
    ),
    Layer(
        "ReflectionPad3d((1, 1, 1, 1, 1, 1))",
        lambda: nn.ReflectionPad3d(1),
        (1, 2, 2, 3, 2),
        padded("reflect", 3, *[1] * 6),
    ),
    Layer("ReplicationPad1d((2, 1))", lambda: nn.ReplicationPad1d((2, 1)), (2, 3, 2), padded("edge", 1, 2, 1)),
    Layer(
        "ReplicationPad2d((1, 1, 2, 0))",
        lambda: nn.ReplicationPad2d((1, 1, 2, 0)),
        (1, 2, 3, 4),
        padded("edge", 2, 1, 1, 2, 0),
    ),
    Layer(
        "ReplicationPad3d((1, 1, 1, 1, 1, 1))",
        lambda: nn.ReplicationPad3d(1),
        (1, 2, 2, 3, 2),
        padded("edge", 3, *[1] * 6),
    ),
    Layer("CircularPad1d((2, 1))", lambda: nn.CircularPad1d((2, 1)), (2, 3, 4), padded("wrap", 1, 2, 1)),
    Layer(
        "CircularPad2d((1, 1, 2, 0))",
        lambda: nn.CircularPad2d((1, 1, 2, 0)),
        (1, 2, 3, 4),
        padded("wrap", 2, 1, 1, 2, 0),
    ),
    Layer(
        "CircularPad3d((1, 1, 1, 1, 1, 1))", lambda: nn.CircularPad3d(1), (1, 2, 2, 3, 2), padded("wrap", 3, *[1] * 6)
    ),
    # normalisations
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
    # shapes
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
    # what drops nothing in evaluation
    Layer("Dropout3d(p=0.5, inplace=False)", lambda: nn.Dropout3d().eval(), (2, 3, 2, 2, 2), lambda x: x),
    Layer("AlphaDropout(p=0.5, inplace=False)", lambda: nn.AlphaDropout().eval(), (2, 3), lambda x: x),
    Layer("FeatureAlphaDropout(p=0.5, inplace=False)", lambda: nn.FeatureAlphaDropout().eval(), (2, 3, 4), lambda x: x),
    Layer("Dropout1d(p=0.5, inplace=False)", lambda: nn.Dropout1d().eval(), (2, 3, 4), lambda x: x),
    Layer("Dropout2d(p=0.5, inplace=False)", lambda: nn.Dropout2d().eval(), (2, 3, 2, 2), lambda x: x),
]
