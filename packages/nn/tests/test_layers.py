"""Every layer: its value and gradient against NumPy, its repr, and how it survives saving and copying.

A layer is added to these tests by one row of LAYERS.
"""

import copy
import pickle
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.special
from numpy.lib.stride_tricks import sliding_window_view

import flambeau as fb
from flambeau import nn

STEP = 1e-5  # of central differences, whose error is about STEP**2


def conv2d(x, weight, bias=0.0, stride=1, padding=(0, 0), dilation=1, groups=1):
    """Cross-correlation of (N, C, H, W); ``padding`` as (before, after) of both sides."""
    x = np.pad(x, ((0, 0), (0, 0), padding, padding))
    window = [dilation * (side - 1) + 1 for side in weight.shape[2:]]
    patches = sliding_window_view(x, window, axis=(2, 3))[:, :, ::stride, ::stride, ::dilation, ::dilation]
    pairs = zip(np.split(patches, groups, axis=1), np.split(weight, groups), strict=True)
    out = np.concatenate([np.einsum("nchwij,ocij->nohw", patch, part) for patch, part in pairs], axis=1)
    return out + np.reshape(bias, (-1, 1, 1))


def pool2d(summary, x, size, stride, padding=0, fill=0.0):
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)), constant_values=fill)
    return summary(sliding_window_view(x, size, axis=(2, 3))[:, :, ::stride, ::stride], axis=(4, 5))


def windows(x, size, stride=1):
    """Every window over the last ``len(size)`` dimensions, as so many dimensions more."""
    axes = tuple(range(-len(size), 0))
    steps = tuple(slice(None, None, stride) for _ in size)
    return sliding_window_view(x, size, axis=axes)[(..., *steps, *(slice(None),) * len(size))]


def pool(summary, x, size, stride=1):
    return summary(windows(x, size, stride), axis=tuple(range(-len(size), 0)))


def adaptive(summary, x, parts):
    """The summary of the windows that divide the last dimension into ``parts``."""
    size = x.shape[-1]
    ends = [(i * size // parts, -((-(i + 1) * size) // parts)) for i in range(parts)]
    return np.stack([summary(x[..., start:stop], axis=-1) for start, stop in ends], axis=-1)


def conv(x, weight, bias=0.0, pad="constant", width=0):
    """Cross-correlation of (N, C, *) over any number of dimensions."""
    dims = weight.ndim - 2
    x = np.pad(x, [(0, 0)] * 2 + [(width, width)] * dims, mode=pad)
    patches = np.moveaxis(windows(x, weight.shape[2:]), 1, dims + 1)  # (N, *places, C, *window)
    out = np.tensordot(patches, weight, (range(dims + 1, 2 * dims + 2), range(1, dims + 2)))
    return np.moveaxis(out, -1, 1) + np.reshape(bias, (-1,) + (1,) * dims)


def conv_transpose(x, weight, bias=0.0, stride=1, padding=0, extra=0):
    """Each value of (N, C, *) spread over a window, by plain loops."""
    dims, kernel = weight.ndim - 2, weight.shape[2:]
    sides = [(n - 1) * stride + k + extra for n, k in zip(x.shape[2:], kernel, strict=True)]
    out = np.zeros((len(x), weight.shape[1], *sides))
    for place in np.ndindex(x.shape[2:]):
        window = tuple(slice(p * stride, p * stride + k) for p, k in zip(place, kernel, strict=True))
        out[(..., *window)] += np.tensordot(x[(..., *place)], weight, 1)
    cut = tuple(slice(padding, n - padding) for n in sides)
    return out[(..., *cut)] + np.reshape(bias, (-1,) + (1,) * dims)


def normalized(x, axes, weight=1.0, bias=0.0):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5) * weight + bias


def by_channel(values, x):
    return np.reshape(values, (1, -1) + (1,) * (x.ndim - 2))


def group_norm(x, groups, weight, bias):
    grouped = normalized(x.reshape(len(x), groups, -1), 2).reshape(x.shape)
    return grouped * by_channel(weight, x) + by_channel(bias, x)


def local_response(x, size, alpha, beta, k):
    squares = np.pad(x**2, ((0, 0), (size // 2, (size - 1) // 2), (0, 0), (0, 0)))
    means = np.stack([squares[:, c : c + size].sum(1) / size for c in range(x.shape[1])], axis=1)
    return x / (k + alpha * means) ** beta


def padded(mode, dims, *amounts, **options):
    """np.pad of the last dimensions by amounts as the layers take them: the last dimension first."""
    pairs = list(zip(amounts[::2], amounts[1::2], strict=True))[::-1]
    return lambda x: np.pad(x, [(0, 0)] * (x.ndim - dims) + pairs, mode=mode, **options)


def nearest(x, factor):
    return x.repeat(factor, axis=2).repeat(factor, axis=3)


def unfolded(x, size):
    patches = windows(x, (size, size))  # (N, C, H, W, size, size)
    return patches.transpose(0, 1, 4, 5, 2, 3).reshape(len(x), x.shape[1] * size * size, -1)


def pixel_shuffle(x, r):
    n, c, h, w = x.shape
    blocks = x.reshape(n, c // r**2, r, r, h, w).transpose(0, 1, 4, 2, 5, 3)
    return blocks.reshape(n, c // r**2, h * r, w * r)


SELU_SCALE, SELU_ALPHA = 1.0507009873554804934, 1.6732632423543772848


def batch_norm(x, weight, bias, mean, var):
    shape = (1, -1) + (1,) * (x.ndim - 2)
    mean, var, weight, bias = (np.reshape(each, shape) for each in (mean, var, weight, bias))
    return (x - mean) / np.sqrt(var + 1e-5) * weight + bias


def batch_norm_of_batch(x, weight, bias, **state):
    axes = (0, *range(2, x.ndim))
    return batch_norm(x, weight, bias, x.mean(axis=axes), x.var(axis=axes))


def batch_norm_of_running(x, weight, bias, running_mean, running_var, num_batches_tracked):
    return batch_norm(x, weight, bias, running_mean, running_var)


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


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

each_layer = pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.text)


def randomized(layer: Layer, dtype: Any = fb.float64) -> tuple[nn.Module, np.ndarray, dict[str, np.ndarray]]:
    """Return the module with random state, an input, and the state, both in float64."""
    random = np.random.default_rng(20240229)
    module = layer.make().to(dtype)
    state = {}
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(fb.from_numpy(random.uniform(0.5, 1.5, tuple(tensor.shape))))
        state[name] = tensor.detach().numpy().astype(np.float64, copy=True)
    return module, random.standard_normal(layer.shape), state


def central_differences(function: Callable[[np.ndarray], float], point: np.ndarray) -> np.ndarray:
    gradient = np.empty_like(point)
    for place in np.ndindex(point.shape):
        values = []
        for offset in (STEP, -STEP):
            moved = point.copy()
            moved[place] += offset
            values.append(function(moved))
        gradient[place] = (values[0] - values[1]) / (2 * STEP)
    return gradient


@each_layer
@pytest.mark.parametrize(("dtype", "tolerance"), [(fb.float32, 2e-6), (fb.float64, 1e-13)], ids=["f32", "f64"])
def test_value(layer, dtype, tolerance):
    module, x, state = randomized(layer, dtype)
    x = fb.from_numpy(x).to(dtype)
    with fb.no_grad():
        out = module(x)
    expected = layer.reference(x.numpy().astype(np.float64), **state)
    assert out.dtype == dtype
    assert tuple(out.shape) == expected.shape
    np.testing.assert_allclose(out.numpy(), expected, rtol=10 * tolerance, atol=tolerance * max(1, abs(expected).max()))


@each_layer
def test_gradient(layer):
    module, x, state = randomized(layer)
    cotangent = np.random.default_rng(7).standard_normal(layer.reference(x, **state).shape)
    tensor = fb.from_numpy(x).requires_grad_()
    (module(tensor) * fb.from_numpy(cotangent)).sum().backward()

    def loss(x, changed=None):
        return (layer.reference(x, **{**state, **(changed or {})}) * cotangent).sum()

    expected = {"input": central_differences(loss, x)}
    for name, _ in module.named_parameters():
        expected[name] = central_differences(lambda value, name=name: loss(x, {name: value}), state[name])
    actual = {"input": tensor.grad, **{name: parameter.grad for name, parameter in module.named_parameters()}}
    for name, gradient in expected.items():
        np.testing.assert_allclose(actual[name].numpy(), gradient, rtol=1e-6, atol=1e-8, err_msg=name)


@each_layer
def test_repr(layer):
    assert repr(layer.make()) == layer.text


@each_layer
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
def test_copies_are_equal_and_independent(layer, duplicate):
    module, x, _ = randomized(layer)
    twin = duplicate(module)
    assert repr(twin) == repr(module)
    x = fb.from_numpy(x)
    np.testing.assert_array_equal(twin(x).detach().numpy(), module(x).detach().numpy())
    before = {name: tensor.numpy().copy() for name, tensor in module.state_dict().items()}
    for tensor in twin.state_dict().values():
        tensor.zero_()
    for name, tensor in module.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), before[name])


@pytest.mark.parametrize(
    ("module", "reference"),
    [
        (nn.ReLU(inplace=True), lambda x: np.maximum(x, 0)),
        (nn.SiLU(inplace=True), lambda x: x * scipy.special.expit(x)),
        (nn.LeakyReLU(0.1, inplace=True), lambda x: np.maximum(x, 0.1 * x)),
        (nn.Dropout(1.0, inplace=True), lambda x: 0 * x),
    ],
    ids=lambda v: repr(v) if isinstance(v, nn.Module) else "",
)
def test_inplace_overwrites_the_input(module, reference):
    x = np.linspace(-2, 2, 9)
    tensor = fb.from_numpy(x.copy())
    assert module(tensor) is tensor
    np.testing.assert_allclose(tensor.numpy(), reference(x), rtol=1e-12)
    assert "inplace=True" in repr(module)


@pytest.mark.parametrize("p", [0.2, 0.7])
def test_dropout_drops_and_scales(p):
    fb.manual_seed(0)
    count = 100_000
    out = nn.Dropout(p)(fb.ones(count)).numpy()
    kept = out != 0
    np.testing.assert_allclose(out[kept], 1 / (1 - p), rtol=1e-6)
    deviation = np.sqrt(p * (1 - p) / count)
    assert abs(kept.mean() - (1 - p)) < 5 * deviation


def test_batch_norm_keeps_running_statistics():
    x = np.random.default_rng(0).standard_normal((8, 3, 2, 2)) * [[[[2.0]], [[3.0]], [[4.0]]]] + 1
    values = x.transpose(1, 0, 2, 3).reshape(3, -1)
    module = nn.BatchNorm2d(3, momentum=0.3, dtype=fb.float64)
    module(fb.from_numpy(x))
    np.testing.assert_allclose(module.running_mean.numpy(), 0.3 * values.mean(1), rtol=1e-12)
    np.testing.assert_allclose(module.running_var.numpy(), 0.7 + 0.3 * values.var(1, ddof=1), rtol=1e-12)
    assert module.num_batches_tracked.item() == 1
    module.eval()(fb.from_numpy(x))
    assert module.num_batches_tracked.item() == 1
    module.reset_running_stats()
    np.testing.assert_array_equal(module.running_mean.numpy(), np.zeros(3))
    np.testing.assert_array_equal(module.running_var.numpy(), np.ones(3))


def test_batch_norm_without_momentum_averages_all_batches():
    batches = np.random.default_rng(0).standard_normal((3, 5, 2))
    module = nn.BatchNorm1d(2, momentum=None, dtype=fb.float64)
    for batch in batches:
        module(fb.from_numpy(batch))
    np.testing.assert_allclose(module.running_mean.numpy(), batches.mean((0, 1)), rtol=1e-12, atol=1e-15)


def test_batch_norm_of_no_images_has_no_statistics():
    module = nn.BatchNorm2d(3)
    module(fb.zeros(0, 3, 2, 2)).sum().backward()
    np.testing.assert_array_equal(module.running_mean.numpy(), np.zeros(3))
    np.testing.assert_array_equal(module.weight.grad.numpy(), np.zeros(3))


def test_a_failed_batch_does_not_count():
    module = nn.BatchNorm1d(3)
    with pytest.raises(ValueError, match="more than 1 value"):
        module(fb.zeros(1, 3))
    assert module.num_batches_tracked.item() == 0


def test_max_pool_tells_where_the_maxima_stand():
    values, indices = nn.MaxPool2d(2, return_indices=True)(fb.tensor([[[1.0, 9.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0]]]))
    assert values.tolist() == [[[9.0, 7.0]]]
    assert indices.tolist() == [[[1, 7]]]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.BatchNorm2d(3)(fb.zeros(2, 3)), ValueError, r"expected 4D input \(got 2D input\)"),
        (lambda: nn.BatchNorm1d(3)(fb.zeros(3)), ValueError, r"expected 2D or 3D input \(got 1D input\)"),
        (lambda: nn.BatchNorm1d(3)(fb.zeros(1, 3)), ValueError, r"more than 1 value per channel.*\[1, 3\]"),
        (lambda: nn.Dropout(1.5), ValueError, "between 0 and 1, but got 1.5"),
        (lambda: nn.Conv2d(3, 4, 1, groups=2), ValueError, "in_channels must be divisible by groups"),
        (lambda: nn.Conv2d(4, 3, 1, groups=2), ValueError, "out_channels must be divisible by groups"),
        (lambda: nn.Conv2d(4, 4, 1, groups=0), ValueError, "groups must be a positive integer"),
        (lambda: nn.Conv2d(1, 1, 3, padding="some"), ValueError, "Invalid padding string 'some'"),
        (lambda: nn.Conv2d(1, 1, 3, padding="same", stride=2), ValueError, "not supported for strided"),
        (lambda: nn.Conv2d(1, 1, 3, padding_mode="mirror"), ValueError, "padding_mode must be one of .*'mirror'"),
        (lambda: nn.Unflatten(1, (2, 4))(fb.zeros(3, 6)), RuntimeError, r"\(2, 4\) don't multiply up to .* \(6\)"),
        (lambda: nn.Unflatten(2, (2, 3))(fb.zeros(3, 6)), IndexError, "Dimension out of range"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_softmax_guesses_the_dimension_with_a_warning():
    with pytest.warns(UserWarning, match="Implicit dimension choice for softmax"):
        out = nn.Softmax()(fb.zeros(2, 4))
    np.testing.assert_array_equal(out.numpy(), np.full((2, 4), 0.25))
