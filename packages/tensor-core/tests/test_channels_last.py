"""Layers keep the channels-last formats of their inputs; values against NumPy and SciPy."""

import numpy as np
import pytest
from scipy import signal

import flambeau as fb

LAST = {4: fb.channels_last, 5: fb.channels_last_3d}


def draw(*shape, dtype="float32"):
    return np.random.default_rng(shape).standard_normal(shape).astype(dtype)


def last(x, dtype=None):
    """Return the array ``x`` as a channels-last tensor. Dimensions of size 1 also have the strides of PyTorch."""
    moved = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    return fb.tensor(moved, dtype=dtype and getattr(fb, dtype)).movedim(-1, 1)


def last_strides(shape):
    _, c, *sides = shape
    steps = [c * int(np.prod(sides[i + 1 :])) for i in range(len(sides))]
    return (c * int(np.prod(sides)), 1, *steps)


def check(got, want, dtype="float32"):
    tolerance = {"float32": 1e-4, "float64": 1e-12, "bfloat16": 0.1}[dtype]
    assert got.stride() == last_strides(got.shape)
    np.testing.assert_allclose(got.detach().double().numpy(), want, rtol=tolerance, atol=tolerance)


def correlate(x, w, bias):
    """Convolve without padding, in double precision."""
    out = np.stack(
        [
            [sum(signal.correlate(c, f, "valid") for c, f in zip(image, kernel, strict=True)) for kernel in w]
            for image in x.astype(np.float64)
        ]
    )
    return out + bias.reshape(-1, *[1] * (x.ndim - 2))


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize(
    ("shape", "kernel"),
    [
        ((2, 5, 6, 7), (4, 5, 1, 1)),
        ((2, 3, 6, 7), (4, 3, 3, 2)),
        ((2, 1, 5, 5), (3, 1, 2, 2)),
        ((2, 3, 4, 5, 3), (2, 3, 2, 1, 2)),
    ],
)
def test_a_convolution_keeps_the_channels_last_format(shape, kernel, dtype):
    x, w, b = draw(*shape, dtype="float64"), draw(*kernel, dtype="float64"), draw(kernel[0], dtype="float64")
    convolve = fb.conv2d if len(shape) == 4 else fb.conv3d
    out = convolve(last(x, dtype), *(fb.tensor(v).to(getattr(fb, dtype)) for v in (w, b)))
    assert out.dtype == getattr(fb, dtype)
    check(out, correlate(x, w, b), dtype)


def test_a_channels_last_weight_makes_the_result_channels_last():
    x, w = draw(2, 3, 5, 5), draw(4, 3, 3, 3)
    check(fb.conv2d(fb.tensor(x), last(w)), correlate(x, w, np.zeros(4)))
    assert fb.conv2d(fb.tensor(x), fb.tensor(w)).is_contiguous()


@pytest.mark.parametrize("size", [1, 3])
def test_gradients_of_a_channels_last_convolution_match_numpy(size):
    pytest.importorskip("flambeau.autograd")
    x, w = draw(2, 3, 6, 5, dtype="float64"), draw(4, 3, size, size, dtype="float64")
    dy = draw(2, 4, 7 - size, 6 - size, dtype="float64")
    tx, tw = last(x).requires_grad_(), fb.tensor(w).requires_grad_()
    fb.conv2d(tx, tw).backward(last(dy))
    padded = np.pad(dy, [(0, 0), (0, 0), (size - 1,) * 2, (size - 1,) * 2])
    np.testing.assert_allclose(
        tx.grad.numpy(), correlate(padded, w[..., ::-1, ::-1].swapaxes(0, 1), np.zeros(3)), atol=1e-12
    )
    want = correlate(x.swapaxes(0, 1), dy.swapaxes(0, 1), np.zeros(4)).swapaxes(0, 1)
    np.testing.assert_allclose(tw.grad.numpy(), want, atol=1e-12)


def test_a_transposed_convolution_keeps_the_channels_last_format():
    x, w = draw(2, 4, 4, 3), draw(4, 3, 3, 3)
    padded = np.pad(x, [(0, 0), (0, 0), (2, 2), (2, 2)])
    want = correlate(padded, w[..., ::-1, ::-1].swapaxes(0, 1), np.zeros(3))
    check(fb.conv_transpose2d(last(x), fb.tensor(w)), want)


def blocks(x, size):
    n, c, h, w = x.shape
    return x.reshape(n, c, h // size, size, w // size, size).swapaxes(3, 4).reshape(n, c, h // size, w // size, -1)


def test_pooling_keeps_the_channels_last_format():
    x = draw(2, 3, 6, 4)
    values, places = fb.max_pool2d(last(x), 2, return_indices=True)
    check(values, blocks(x, 2).max(-1))
    assert places.stride() == values.stride()
    check(fb.avg_pool2d(last(x), 2), blocks(x, 2).mean(-1))


def test_unpooling_keeps_the_channels_last_format():
    functional = pytest.importorskip("flambeau.nn.functional")
    x = draw(2, 3, 6, 4)
    values, places = fb.max_pool2d(last(x), 2, return_indices=True)
    assert functional.max_unpool2d(values, places, 2).stride() == last_strides(x.shape)


def test_the_mean_over_the_image_keeps_channels_last_strides():
    x = draw(2, 3, 6, 4)
    out = fb._core._adaptive_avg_pool2d(last(x), 1)
    check(out, x.mean((2, 3), keepdims=True))
    check(
        fb.conv2d(out, fb.tensor(draw(4, 3, 1, 1))),
        correlate(x.mean((2, 3), keepdims=True), draw(4, 3, 1, 1), np.zeros(4)),
    )


@pytest.mark.parametrize("training", [False, True])
def test_batch_norm_keeps_the_channels_last_format(training):
    pytest.importorskip("flambeau.autograd")
    x, g, w, b = (
        draw(3, 5, 4, 3, dtype="float64"),
        draw(3, 5, 4, 3, dtype="float64"),
        draw(5, dtype="float64") + 2,
        draw(5, dtype="float64"),
    )
    mean, var = (x.mean((0, 2, 3)), x.var((0, 2, 3))) if training else (np.zeros(5), np.ones(5))
    column = (1, 5, 1, 1)
    h = (x - mean.reshape(column)) / np.sqrt(var + 1e-5).reshape(column)
    tx, tw = last(x).requires_grad_(), fb.tensor(w).requires_grad_()
    statistics = (fb.zeros(5, dtype=fb.float64), fb.ones(5, dtype=fb.float64))
    out = fb.batch_norm(tx, tw, fb.tensor(b), *statistics, training=training)
    check(out, h * w.reshape(column) + b.reshape(column), "float64")
    out.backward(fb.tensor(g))
    if training:
        g = g - g.mean((0, 2, 3), keepdims=True) - h * (g * h).mean((0, 2, 3), keepdims=True)
    np.testing.assert_allclose(tx.grad.numpy(), g * (w / np.sqrt(var + 1e-5)).reshape(column), atol=1e-12)


def test_meta_tensors_keep_the_channels_last_format():
    x = fb.empty(2, 3, 6, 4, device="meta").to(memory_format=fb.channels_last)
    w = fb.empty(4, 3, 3, 3, device="meta")
    for out in (fb.conv2d(x, w), fb.max_pool2d(x, 2), fb.avg_pool2d(x, 2)):
        assert out.stride() == last_strides(out.shape)
