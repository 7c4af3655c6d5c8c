"""Pooling against direct loops in NumPy."""

import itertools

import numpy as np
import pytest
from image_arrays import both, close, draw

import flambeau as fb


def windows(x, kernel, stride, padding, dilation, ceil_mode, fill):
    """Return the values of each pooling window, with NaN outside the padded image."""
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = both(kernel), both(stride), both(padding), both(dilation)
    n, c, height, width = x.shape

    def size(length, k, s, p, d):
        room = length + 2 * p - d * (k - 1) - 1
        out = (room + (s - 1 if ceil_mode else 0)) // s + 1
        return out - 1 if ceil_mode and (out - 1) * s >= length + p else out

    oh, ow = size(height, kh, sh, ph, dh), size(width, kw, sw, pw, dw)
    big = np.full((n, c, height + 2 * ph + kh * dh + sh, width + 2 * pw + kw * dw + sw), np.nan)
    big[:, :, : height + 2 * ph, : width + 2 * pw] = fill
    big[:, :, ph : ph + height, pw : pw + width] = x
    for i, j in itertools.product(range(oh), range(ow)):
        yield (
            i,
            j,
            big[:, :, i * sh : i * sh + dh * (kh - 1) + 1 : dh, j * sw : j * sw + dw * (kw - 1) + 1 : dw].reshape(
                n, c, -1
            ),
            (oh, ow),
        )


def pooled(x, reduce, *args):
    out = None
    for i, j, values, shape in windows(x, *args):
        out = np.zeros((*x.shape[:2], *shape)) if out is None else out
        out[:, :, i, j] = reduce(values)
    return out


POOLS = [
    ((2, 3, 8, 8), 2, None, 0),
    ((2, 3, 9, 7), 2, None, 0),
    ((1, 2, 9, 8), 3, 2, 1),
    ((1, 2, 9, 8), (2, 3), (3, 1), (1, 0)),
    ((2, 1, 5, 6), 5, 1, 2),
    ((33, 7, 28, 28), 2, 2, 0),
]


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize(("shape", "kernel", "stride", "padding"), POOLS)
def test_max_pool2d_matches_numpy(shape, kernel, stride, padding, ceil_mode):
    x = draw(shape)
    want = pooled(x, lambda v: np.nanmax(v, -1), kernel, stride or kernel, padding, 1, ceil_mode, -np.inf)
    got, indices = fb.max_pool2d(fb.tensor(x), kernel, stride, padding, ceil_mode=ceil_mode, return_indices=True)
    assert np.array_equal(got.numpy(), want.astype(np.float32))
    picked = np.take_along_axis(x.reshape(*shape[:2], -1), indices.numpy().reshape(*shape[:2], -1), 2)
    assert np.array_equal(picked.reshape(got.shape), got.numpy())
    assert np.array_equal(
        fb.max_pool2d(fb.tensor(x[0]), kernel, stride, padding, ceil_mode=ceil_mode).numpy(), got.numpy()[0]
    )
    assert np.array_equal(
        fb.max_pool2d(fb.tensor(x).double(), kernel, stride, padding, ceil_mode=ceil_mode).numpy(), want
    )


def test_dilated_max_pool2d_matches_numpy():
    x = draw((2, 2, 9, 9))
    want = pooled(x, lambda v: np.nanmax(v, -1), 3, 2, 1, 2, False, -np.inf)
    assert np.array_equal(fb.max_pool2d(fb.tensor(x), 3, 2, 1, 2).numpy(), want.astype(np.float32))


@pytest.mark.parametrize("kernel", [2, 3])
def test_max_pool2d_propagates_nan(kernel):
    x = draw((1, 1, 6, 6))
    x[0, 0, 1, 0] = x[0, 0, 4, 5] = np.nan
    got = fb.max_pool2d(fb.tensor(x), kernel).numpy()[0, 0]
    assert np.isnan(got[1 // kernel, 0]) and np.isnan(got[4 // kernel, -1])
    assert np.isnan(got).sum() == 2


@pytest.mark.parametrize("include", [False, True])
@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize(("shape", "kernel", "stride", "padding"), POOLS)
def test_avg_pool2d_matches_numpy(shape, kernel, stride, padding, ceil_mode, include):
    x = draw(shape)
    mean = (lambda v: np.nanmean(v, -1)) if include else None
    if not include:
        want = pooled(x, lambda v: np.nanmean(v, -1), kernel, stride or kernel, padding, 1, ceil_mode, np.nan)
    else:
        want = pooled(x, mean, kernel, stride or kernel, padding, 1, ceil_mode, 0)
    close(fb.avg_pool2d(fb.tensor(x), kernel, stride, padding, ceil_mode, include), want)
    total = pooled(x, lambda v: np.nansum(v, -1), kernel, stride or kernel, padding, 1, ceil_mode, 0)
    close(fb.avg_pool2d(fb.tensor(x), kernel, stride, padding, ceil_mode, include, divisor_override=3), total / 3)
