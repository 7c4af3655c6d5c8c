"""Reference implementations of the layers in NumPy."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def conv2d(x, weight, bias=0.0, stride=1, padding=(0, 0), dilation=1, groups=1):
    """Compute the cross-correlation of (N, C, H, W). ``padding`` is (before, after), the same for both dimensions."""
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
    """Return the sliding windows over the last ``len(size)`` dimensions, as additional dimensions at the end."""
    axes = tuple(range(-len(size), 0))
    steps = tuple(slice(None, None, stride) for _ in size)
    return sliding_window_view(x, size, axis=axes)[(..., *steps, *(slice(None),) * len(size))]


def pool(summary, x, size, stride=1):
    return summary(windows(x, size, stride), axis=tuple(range(-len(size), 0)))


def adaptive(summary, x, parts, dims=1):
    """Apply ``summary`` to the windows that divide each of the last ``dims`` dimensions into ``parts``."""
    for axis in range(-dims, 0):
        size = x.shape[axis]
        ends = [(i * size // parts, -((-(i + 1) * size) // parts)) for i in range(parts)]
        x = np.stack([summary(x.take(range(*end), axis), axis=axis) for end in ends], axis=axis)
    return x


def conv(x, weight, bias=0.0, pad="constant", width=0):
    """Compute the cross-correlation of (N, C, *). ``pad`` and ``width`` are the mode and amount of the padding."""
    dims = weight.ndim - 2
    x = np.pad(x, [(0, 0)] * 2 + [(width, width)] * dims, mode=pad)
    patches = np.moveaxis(windows(x, weight.shape[2:]), 1, dims + 1)  # (N, *places, C, *window)
    out = np.tensordot(patches, weight, (range(dims + 1, 2 * dims + 2), range(1, dims + 2)))
    return np.moveaxis(out, -1, 1) + np.reshape(bias, (-1,) + (1,) * dims)


def conv_transpose(x, weight, bias=0.0, stride=1, padding=0, extra=0):
    """Compute the transposed convolution of (N, C, *) with a loop; ``extra`` is the output padding."""
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
    """Return a function that pads with np.pad. ``amounts`` are in the layers' order: the last dimension first."""
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
