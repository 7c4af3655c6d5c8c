"""Fake quantisation, against its formula in NumPy."""

import numpy as np
import pytest

import flambeau as fb


def expected(x, scale, zero_point, low, high):
    steps = np.round((x * (np.float32(1) / scale)).astype(np.float32) + zero_point)
    return ((np.clip(steps, low, high) - zero_point) * scale).astype(np.float32), (steps >= low) & (steps <= high)


@pytest.mark.parametrize("wrapped", [False, True])
def test_fake_quantisation_with_one_scale_matches_numpy(wrapped):
    x = np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32)
    scale, zero_point = (fb.tensor(0.1), fb.tensor(3)) if wrapped else (0.1, 3)
    got = fb.fake_quantize_per_tensor_affine(fb.from_numpy(x), scale, zero_point, -8, 7)
    np.testing.assert_allclose(got.numpy(), expected(x, np.float32(0.1), 3, -8, 7)[0], atol=1e-7)
    assert fb.fake_quantize_per_tensor_affine(fb.tensor([fb.inf, -fb.inf]), 0.5, 0, -8, 7).tolist() == [3.5, -4.0]
    assert fb.fake_quantize_per_tensor_affine(fb.ones(1, dtype=fb.float64), scale, 3, -8, 7).dtype is fb.float64


def test_fake_quantisation_with_a_scale_per_channel_matches_numpy():
    x = np.random.default_rng(1).standard_normal((5, 3, 4)).astype(np.float32)
    scales, points = np.array([0.1, 0.2, 0.3], np.float32), np.array([0, -2, 5], np.int32)
    got = fb.fake_quantize_per_channel_affine(fb.from_numpy(x), fb.from_numpy(scales), fb.from_numpy(points), 1, -8, 7)
    want, _ = expected(x, scales[:, None], points[:, None], -8, 7)
    np.testing.assert_allclose(got.numpy(), want, atol=1e-7)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: fb.fake_quantize_per_tensor_affine(x, 0.1, 0, 3, 2), "`quant_min`.*got 3 and 2"),
        (lambda x: fb.fake_quantize_per_tensor_affine(x, 0.1, 9, 0, 7), r"`zero_point`.*9 is not in \[0, 7\]"),
        (lambda x: fb.fake_quantize_per_channel_affine(x, x[0], x[0].int(), 0, 0, 7), r"shape \[2\], .*got \[3\]"),
        (lambda x: fb.fake_quantize_per_channel_affine(x, x[0], x[0].int() + 8, 1, 0, 7), "`zero_point`.*not all"),
    ],
)
def test_invalid_arguments_are_rejected(call, message):
    with pytest.raises(RuntimeError, match=message):
        call(fb.ones(2, 3))
