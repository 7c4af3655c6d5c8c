"""Interpolation, padding and rearrangement of images, compared with NumPy."""

import numpy as np
import pytest

import flambeau as fb
from flambeau.autograd import gradcheck, gradgradcheck
from flambeau.nn import functional as F

RNG = np.random.default_rng(0)
SIZES = {1: (7,), 2: (5, 7), 3: (3, 4, 5)}
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


def matrix(n, out, kind, align_corners=False):
    """Return the matrix of interpolation weights along one dimension."""
    m = np.zeros((out, n))
    for o in range(out):
        if kind == "nearest":
            m[o, min(int(np.floor(np.float32(o) * np.float32(n / out))), n - 1)] = 1
        elif kind == "nearest-exact":
            m[o, min(int(np.floor((o + 0.5) * n / out)), n - 1)] = 1
        else:
            x = o * (n - 1) / max(out - 1, 1) if align_corners else (o + 0.5) * n / out - 0.5
            if kind == "linear":
                x = max(x, 0)
                low = min(int(x), n - 1)
                m[o, low] += 1 - (x - low)
                m[o, min(low + 1, n - 1)] += x - low
            else:
                low, a = int(np.floor(x)), -0.75
                for k in range(low - 1, low + 3):
                    d = abs(x - k)
                    w = (a + 2) * d**3 - (a + 3) * d**2 + 1 if d <= 1 else a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a
                    m[o, min(max(k, 0), n - 1)] += w
    return m


def interpolated(x, size, kind, align_corners=False):
    for d, out in enumerate(size):
        m = matrix(x.shape[2 + d], out, kind, align_corners)
        x = np.moveaxis(np.tensordot(m, x, (1, 2 + d)), 0, 2 + d)
    return x


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("size", [2, 9, 20])
@pytest.mark.parametrize("align_corners", [None, False, True])
def test_interpolate_matches_numpy_in_every_mode(dims, size, align_corners):
    x, sizes = RNG.standard_normal((2, 3, *SIZES[dims])), [size] * dims
    kinds = {"linear": LINEAR[dims]} | ({"cubic": "bicubic"} if dims == 2 else {})
    if align_corners is None:
        kinds |= {"nearest": "nearest", "nearest-exact": "nearest-exact"}
    for kind, mode in kinds.items():
        got = F.interpolate(fb.tensor(x), sizes, mode=mode, align_corners=align_corners)
        np.testing.assert_allclose(got.numpy(), interpolated(x, sizes, kind, bool(align_corners)), atol=1e-12)
        single = F.interpolate(fb.tensor(x).float(), sizes, mode=mode, align_corners=align_corners)
        np.testing.assert_allclose(single.numpy(), got.numpy(), atol=1e-5)


def test_interpolate_accepts_scale_factors():
    x = fb.tensor(RNG.standard_normal((1, 2, 5, 7)))
    assert F.interpolate(x, scale_factor=2).shape == (1, 2, 10, 14)
    assert F.interpolate(x, scale_factor=(0.5, 1.5)).shape == (1, 2, 2, 10)
    twice = F.interpolate(x, scale_factor=2)
    assert fb.equal(twice[:, :, ::2, ::2], x) and fb.equal(twice[:, :, 1::2, 1::2], x)
    # 5 * 0.7 = 3.5 is rounded to 3, so the given scale differs from the ratio of the sizes.
    given = F.interpolate(x, scale_factor=0.7, mode="bilinear")
    recomputed = F.interpolate(x, scale_factor=0.7, mode="bilinear", recompute_scale_factor=True)
    assert fb.equal(recomputed, F.interpolate(x, (3, 4), mode="bilinear"))
    assert not fb.allclose(given, recomputed)


def test_antialias_averages_over_the_input_pixels():
    x = RNG.standard_normal((1, 1, 8, 8))
    half = F.interpolate(fb.tensor(x), (4, 4), mode="bilinear", antialias=True).numpy()
    weights = np.array([0.25, 0.75, 0.75, 0.25])
    row = np.zeros((4, 8))
    for o in range(4):
        for k, w in enumerate(weights, 2 * o - 1):
            if 0 <= k < 8:
                row[o, k] = w
    row /= row.sum(1, keepdims=True)
    np.testing.assert_allclose(half[0, 0], row @ x[0, 0] @ row.T, atol=1e-12)
    for mode in ("bilinear", "bicubic"):
        constant = F.interpolate(fb.full((1, 1, 9, 9), 3.0), (4, 5), mode=mode, antialias=True)
        np.testing.assert_allclose(constant.numpy(), 3, rtol=1e-6)


def test_interpolate_rounds_uint8_results():
    x = fb.tensor([[[[0, 255], [255, 0]]]], dtype=fb.uint8)
    assert F.interpolate(x, (3, 3), mode="bilinear", align_corners=True)[0, 0, 1].tolist() == [128, 128, 128]
    assert F.interpolate(x, (4, 4), mode="nearest").dtype is fb.uint8


def test_area_interpolation_equals_average_pooling():
    x = fb.tensor(RNG.standard_normal((1, 2, 6, 6)))
    assert fb.allclose(F.interpolate(x, (3, 2), mode="area"), F.avg_pool2d(x, (2, 3)))


def test_upsample_functions_warn_of_deprecation():
    x = fb.arange(4.0).reshape(1, 1, 2, 2)
    for call in (F.upsample_nearest, F.upsample_bilinear, F.upsample):
        with pytest.warns(UserWarning, match="deprecated"):
            assert call(x, scale_factor=2).shape == (1, 1, 4, 4)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_derivatives_of_interpolation_match_finite_differences(dims):
    x = fb.tensor(RNG.standard_normal((1, 2, *[3] * dims))).requires_grad_()
    modes = ["nearest", LINEAR[dims], *(["bicubic"] if dims == 2 else [])]
    for mode in modes:
        for size in (2, 5):
            assert gradcheck(lambda x, mode=mode, size=size: F.interpolate(x, size, mode=mode), (x,))
            assert gradgradcheck(lambda x, mode=mode, size=size: F.interpolate(x, size, mode=mode).square(), (x,))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: F.interpolate(x), ValueError, "either size or scale_factor"),
        (lambda x: F.interpolate(x, 2, 2), ValueError, "only one"),
        (lambda x: F.interpolate(x, (2, 2, 2)), ValueError, "spatial dimensions"),
        (lambda x: F.interpolate(x, scale_factor=(2,)), ValueError, "spatial dimensions"),
        (lambda x: F.interpolate(x, 2, mode="nearest", align_corners=True), ValueError, "align_corners"),
        (lambda x: F.interpolate(x, 2, mode="nearest", antialias=True), ValueError, "Anti-alias"),
        (lambda x: F.interpolate(x, 2, mode="linear"), NotImplementedError, "linear"),
        (lambda x: F.interpolate(x, 2, mode="cubic"), NotImplementedError, "cubic"),
        (lambda x: F.interpolate(x, 0), RuntimeError, "greater than 0"),
        (lambda x: F.interpolate(x.long(), 2, mode="bilinear"), NotImplementedError, "int64"),
        (lambda x: F.interpolate(x, 2**40), RuntimeError, "2\\*\\*31"),
        (lambda x: F.interpolate(x, scale_factor=float("inf")), RuntimeError, "factor of inf"),
        (lambda x: F.interpolate(x, scale_factor=float("nan")), RuntimeError, "factor of nan"),
        (lambda x: F.interpolate(x, scale_factor="2"), TypeError, "scale_factor"),
        (lambda x: F.interpolate(x, 2, recompute_scale_factor=True), ValueError, "explicit size"),
        (lambda x: F.interpolate(x[0, 0], 2), NotImplementedError, "2D"),
        (lambda x: F.interpolate(x[0, 0, 0, 0], scale_factor=2, mode="area"), NotImplementedError, "0D"),
    ],
)
def test_interpolation_rejects_invalid_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call(fb.zeros(1, 1, 4, 4))


# Padding

NAMES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@pytest.mark.parametrize("mode", NAMES)
@pytest.mark.parametrize("amounts", [(1, 2), (2, 0, 1, 1), (1, 1, 0, 2, 1, 0)])
@pytest.mark.parametrize("dtype", ["float64", "int32"])
def test_pad_matches_numpy_in_every_mode(mode, amounts, dtype):
    dims = len(amounts) // 2
    x = (RNG.standard_normal((2, 3, *[4] * dims)) * 9).astype(dtype)
    pairs = [(0, 0), (0, 0), *[(amounts[2 * i], amounts[2 * i + 1]) for i in reversed(range(dims))]]
    got = F.pad(fb.tensor(x), amounts, mode)
    assert np.array_equal(got.numpy(), np.pad(x, pairs, NAMES[mode]))
    if dtype == "float64":
        small = fb.tensor(x[:1, :1]).requires_grad_()
        assert gradcheck(lambda x: F.pad(x, amounts, mode), (small,))


def test_negative_padding_crops():
    x = fb.arange(12).reshape(1, 3, 4)
    assert F.pad(x, (-1, -1)).tolist() == x[..., 1:3].tolist()
    assert F.pad(x, (-1, 2), value=9)[0, 0].tolist() == [1, 2, 3, 9, 9]
    assert F.pad(x, (-2, 1), "replicate")[0, 0].tolist() == [2, 3, 3]
    assert F.pad(x, (-1, 1), "circular")[0, 0].tolist() == [1, 2, 3, 1]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: F.pad(x, (1,)), RuntimeError, "divisible by 2"),
        (lambda x: F.pad(x, (1,) * 8), RuntimeError, "two times the input dimension"),
        (lambda x: F.pad(x, (-3, -2)), RuntimeError, "negative output size"),
        (lambda x: F.pad(x, (1, 1), "mirror"), NotImplementedError, "mirror"),
        (
            lambda x: F.pad(x, (1,) * 7, "mirror"),
            NotImplementedError,
            "mode mirror: expected constant, reflect",
        ),
        (lambda x: F.pad(x, (4, 0), "reflect"), RuntimeError, "less than the corresponding"),
        (lambda x: F.pad(x, (5, 0), "circular"), RuntimeError, "more than once"),
        (lambda x: F.pad(x, (-4, 3), "circular"), RuntimeError, "empty dimension"),
        (lambda x: F.pad(x, (-6, 4), "circular"), RuntimeError, "empty dimension"),
        (lambda x: F.pad(x, (1, 1), "reflect", 2.0), ValueError, "value"),
    ],
)
def test_pad_rejects_invalid_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call(fb.zeros(1, 3, 4))


# Rearranging


def test_pixel_unshuffle_inverts_pixel_shuffle():
    x = RNG.standard_normal((2, 12, 3, 5))
    up = F.pixel_shuffle(fb.tensor(x), 2)
    want = x.reshape(2, 3, 2, 2, 3, 5).transpose(0, 1, 4, 2, 5, 3).reshape(2, 3, 6, 10)
    assert np.array_equal(up.numpy(), want)
    assert np.array_equal(F.pixel_unshuffle(up, 2).numpy(), x)
    with pytest.raises(RuntimeError, match="divisible"):
        F.pixel_shuffle(fb.zeros(3, 2, 2), 2)
    with pytest.raises(RuntimeError, match="divisible"):
        F.pixel_unshuffle(fb.zeros(1, 3, 2), 2)
    with pytest.raises(RuntimeError, match="positive"):
        F.pixel_shuffle(fb.zeros(4, 2, 2), 0)


def test_channel_shuffle_interleaves_groups():
    x = fb.arange(6).reshape(1, 6, 1)
    assert F.channel_shuffle(x, 2).flatten().tolist() == [0, 3, 1, 4, 2, 5]
    with pytest.raises(RuntimeError, match="divisible"):
        F.channel_shuffle(x, 4)
