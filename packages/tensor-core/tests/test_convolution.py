"""Convolutions against direct loops in NumPy, and invalid arguments of convolutions and pooling."""

import itertools

import numpy as np
import pytest
from image_arrays import both, close, draw
from scipy import signal

import flambeau as fb


def conv2d(x, w, b=None, stride=1, padding=0, dilation=1, groups=1):
    """Compute a convolution in float64, with a loop over filters and output positions."""
    (sh, sw), (ph, pw), (dh, dw) = both(stride), both(padding), both(dilation)
    x = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    n, _channels, height, width = x.shape
    filters, per_group, kh, kw = w.shape
    oh, ow = (height - dh * (kh - 1) - 1) // sh + 1, (width - dw * (kw - 1) - 1) // sw + 1
    out = np.zeros((n, filters, oh, ow))
    for f in range(filters):
        first = f // (filters // groups) * per_group
        for i, j in itertools.product(range(oh), range(ow)):
            part = x[
                :,
                first : first + per_group,
                i * sh : i * sh + dh * (kh - 1) + 1 : dh,
                j * sw : j * sw + dw * (kw - 1) + 1 : dw,
            ]
            out[:, f, i, j] = (part * w[f]).sum((1, 2, 3))
    return out + (0 if b is None else b[:, None, None])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("shape", "kernel", "filters", "options"),
    [
        ((2, 3, 8, 9), (3, 3), 4, {}),
        ((2, 3, 8, 9), (3, 3), 4, {"padding": 1}),
        ((2, 3, 8, 9), (2, 4), 4, {"stride": 2, "padding": (1, 3)}),
        ((2, 3, 8, 9), (3, 2), 4, {"stride": (3, 1), "dilation": 2}),
        ((1, 4, 7, 7), (3, 3), 6, {"groups": 2, "padding": 2, "dilation": (1, 2)}),
        ((2, 6, 5, 5), (3, 3), 6, {"groups": 6}),
        ((2, 6, 9, 19), (3, 3), 6, {"groups": 6, "stride": 2, "padding": 1}),
        ((1, 4, 20, 23), (5, 3), 8, {"groups": 4, "padding": (2, 1)}),
        ((1, 4, 17, 18), (3, 3), 4, {"groups": 4, "stride": (3, 2), "dilation": 2}),
        ((1, 4, 1, 150), (1, 5), 4, {"groups": 4}),
        ((1, 4, 1, 9), (1, 5), 4, {"groups": 4}),
        ((3, 5, 6, 7), (1, 1), 4, {}),
        ((3, 5, 6, 7), (1, 1), 4, {"stride": 2}),
        ((3, 4, 6, 7), (1, 1), 4, {"groups": 2}),
        ((1, 1, 5, 5), (5, 5), 1, {}),
        ((1, 1, 1, 1), (3, 3), 2, {"padding": 4, "stride": 3}),
        ((2, 2, 4, 4), (2, 2), 3, {"padding": 5}),
        ((0, 3, 5, 5), (3, 3), 2, {}),
        ((17, 3, 12, 12), (5, 5), 8, {"padding": 2}),
        # Convolutions that unfold the images panel by panel: several samples, many kernel elements, filters, groups.
        ((9, 40, 7, 7), (3, 3), 150, {"padding": 1}),
        ((5, 3, 21, 34), (7, 7), 13, {"padding": 3, "stride": 2}),
        ((4, 6, 13, 40), (3, 5), 26, {"padding": (0, 2), "stride": 3, "groups": 2, "dilation": (2, 1)}),
        ((3, 2, 4, 70), (2, 3), 5, {"stride": (1, 2)}),
        ((2, 1, 5, 5), (2, 2), 3, {"padding": 900, "stride": 1000}),
    ],
)
def test_conv2d_matches_numpy(shape, kernel, filters, options, dtype):
    groups = options.get("groups", 1)
    x, w, b = draw(shape, dtype), draw((filters, shape[1] // groups, *kernel), dtype, 1), draw((filters,), dtype, 2)
    want = conv2d(x, w, b, **options)
    close(fb.conv2d(fb.tensor(x), fb.tensor(w), fb.tensor(b), **options), want, dtype)
    close(fb.conv2d(fb.tensor(x), fb.tensor(w), None, **options), conv2d(x, w, **options), dtype)
    if shape[0]:
        close(fb.conv2d(fb.tensor(x[0]), fb.tensor(w), fb.tensor(b), **options), want[0], dtype)
    strided = fb.tensor(np.ascontiguousarray(x.transpose(3, 2, 1, 0))).permute(3, 2, 1, 0)
    close(fb.conv2d(strided, fb.tensor(w), fb.tensor(b), **options), want, dtype)


@pytest.mark.parametrize("options", [{}, {"padding": 1, "stride": 2}, {"groups": 2}])
def test_convolutions_of_integers_are_exact(options):
    generator = np.random.default_rng(3)
    x, w = generator.integers(-9, 9, (2, 4, 6, 5)), generator.integers(-9, 9, (4, 4 // options.get("groups", 1), 3, 2))
    assert np.array_equal(fb.conv2d(fb.tensor(x), fb.tensor(w), **options).numpy(), conv2d(x, w, **options))
    pooled = fb.max_pool2d(fb.tensor(x), 2)
    assert pooled.dtype is fb.int64
    assert np.array_equal(pooled.numpy(), x[:, :, :6, :4].reshape(2, 4, 3, 2, 2, 2).max((3, 5)))
    mean = x[:, :, :6, :4].reshape(2, 4, 3, 2, 2, 2).sum((3, 5)) / 4
    assert np.array_equal(fb.avg_pool2d(fb.tensor(x), 2).numpy(), np.trunc(mean))
    weight = generator.integers(-9, 9, (3, 5))
    assert np.array_equal(fb.linear(fb.tensor(x), fb.tensor(weight)).numpy(), x @ weight.T)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("size", "dilation"), [((13, 9), 2), ((12, 5), 1), ((6, 5), 1)])
def test_conv2d_with_many_channels_and_filters_is_exact_for_integers(size, dilation, dtype):
    """Test sizes that need several blocks of filters and of products, and an incomplete panel of positions."""
    generator = np.random.default_rng(5)
    x, w = generator.integers(-4, 5, (2, 160, *size)).astype(dtype), generator.integers(-4, 5, (500, 160, 3, 3))
    padded = np.pad(x, ((0, 0), (0, 0), (dilation, dilation), (dilation, dilation)))
    shifted = [
        [padded[:, :, i * dilation :, j * dilation :][:, :, : size[0], : size[1]] for j in range(3)] for i in range(3)
    ]
    want = np.einsum("ijnchw,fcij->nfhw", np.array(shifted), w.astype(dtype), optimize=True)
    got = fb.conv2d(fb.tensor(x), fb.tensor(w.astype(dtype)), padding=dilation, dilation=dilation)
    assert np.array_equal(got.numpy(), want)


def test_weight_gradients_of_large_convolutions_match_numpy():
    """Test sizes for which the gradient of the weight is computed in several parts and blocks."""
    autograd = pytest.importorskip("flambeau.autograd")
    x, w = draw((9, 3, 30, 31), "float64"), draw((26, 3, 3, 2), "float64", 1)
    weight = fb.tensor(w, requires_grad=True)
    out = fb.conv2d(fb.tensor(x), weight)
    seed = draw(tuple(out.shape), "float64", 2)
    (got,) = autograd.grad(out, weight, fb.tensor(seed))
    want = np.stack([[[[(seed[:, f] * x[:, c, i : i + 28, j : j + 30]).sum() for j in range(2)] for i in range(3)]
                      for c in range(3)] for f in range(26)])  # fmt: skip
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("shape", "kernel", "filters", "options"),
    [
        ((5, 8, 6, 7), (3, 2), 16, {"padding": (1, 0)}),
        ((2, 13, 9, 20), (2, 3), 33, {"stride": 2, "padding": 1}),
        ((3, 24, 11, 11), (3, 3), 70, {"dilation": 2, "padding": 2}),
        ((2, 20, 5, 5), (2, 2), 32, {"groups": 2}),
        ((1, 9, 2, 700), (1, 5), 17, {"stride": (1, 2)}),
        ((1, 9, 3, 2500), (2, 3), 18, {"padding": 1}),
    ],
)
def test_weight_gradients_of_convolutions_with_many_channels_match_numpy(shape, kernel, filters, options, dtype):
    """Test rows with several tiles or none, several samples at a time, and more positions than are packed at once."""
    (sh, sw), (ph, pw), (dh, dw) = (
        both(options.get(o, d)) for o, d in (("stride", 1), ("padding", 0), ("dilation", 1))
    )
    groups = options.get("groups", 1)
    x = draw(shape, dtype)
    size = (filters, shape[1] // groups, *kernel)
    out = fb.conv2d(fb.tensor(x), fb.zeros(size, dtype=getattr(fb, dtype)), **options).shape
    seed = draw(tuple(out), dtype, 1)
    got = fb._core.nn_conv2d_weight(fb.tensor(x), size, fb.tensor(seed), **options).numpy()
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    want = np.zeros(size)
    for g, i, j in itertools.product(range(groups), range(kernel[0]), range(kernel[1])):
        own = slice(g * filters // groups, (g + 1) * filters // groups)
        channels = slice(g * size[1], (g + 1) * size[1])
        part = padded[:, channels, i * dh :: sh, j * dw :: sw][:, :, : out[2], : out[3]]
        want[own, :, i, j] = np.einsum("nfhw,nchw->fc", seed[:, own].astype(np.float64), part)
    tolerance = 2e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * np.abs(want).max())


@pytest.mark.parametrize("shape", [(3, 5, 5, 6), (1, 4, 14, 14), (6, 2, 4, 3)])
@pytest.mark.parametrize("groups", [1, 2])
def test_gradients_of_convolutions_of_small_images_are_adjoint(shape, groups):
    """Test that both gradients satisfy the adjoint identity, without a reference implementation."""
    autograd = pytest.importorskip("flambeau.autograd")
    channels = shape[1] * groups
    x = fb.tensor(draw((shape[0], channels, *shape[2:]), "float64"), requires_grad=True)
    w = fb.tensor(draw((130 * groups, shape[1], 3, 2), "float64", 1), requires_grad=True)
    out = fb.conv2d(x, w, padding=1, groups=groups, dilation=(1, 2))
    seed = fb.tensor(draw(tuple(out.shape), "float64", 2))
    of_input, of_weight = autograd.grad(out, (x, w), seed)
    # A convolution is linear in x and in w: <dy, y(x, w)> = <dx, x> = <dw, w>, even for other x and w.
    other, filters = fb.tensor(draw(tuple(x.shape), "float64", 3)), fb.tensor(draw(tuple(w.shape), "float64", 4))
    options = {"padding": 1, "groups": groups, "dilation": (1, 2)}
    for got, want in (
        ((of_input * other).sum(), (seed * fb.conv2d(other, w, **options)).sum()),
        ((of_weight * filters).sum(), (seed * fb.conv2d(x, filters, **options)).sum()),
    ):
        np.testing.assert_allclose(got.item(), want.item(), rtol=1e-10)


def test_conv2d_equals_the_correlation_of_scipy():
    x, w = draw((30, 31), "float64"), draw((4, 5), "float64", 1)
    got = fb.conv2d(fb.tensor(x)[None, None], fb.tensor(w)[None, None])[0, 0]
    close(got, signal.correlate2d(x, w, "valid"), "float64")


@pytest.mark.parametrize("kernel", [(1, 1), (2, 2), (3, 3), (3, 4), (4, 3), (5, 2)])
@pytest.mark.parametrize("dilation", [1, 2, (1, 3)])
def test_conv2d_with_padding_same_matches_numpy(kernel, dilation):
    x, w = draw((2, 3, 9, 8)), draw((4, 3, *kernel), seed=1)
    total = [d * (k - 1) for d, k in zip(both(dilation), kernel, strict=True)]
    padded = np.pad(x, ((0, 0), (0, 0), *((t // 2, t - t // 2) for t in total)))
    got = fb.conv2d(fb.tensor(x), fb.tensor(w), padding="same", dilation=dilation)
    assert got.shape == (2, 4, 9, 8)
    close(got, conv2d(padded, w, dilation=dilation))
    close(
        fb.conv2d(fb.tensor(x[0]), fb.tensor(w), padding="same", dilation=dilation),
        conv2d(padded, w, dilation=dilation)[0],
    )
    close(fb.conv2d(fb.tensor(x), fb.tensor(w), padding="valid"), conv2d(x, w))


@pytest.mark.parametrize("layout", [fb.contiguous_format, fb.channels_last])
@pytest.mark.parametrize(
    ("shape", "kernel", "filters", "options"),
    [
        ((2, 16, 12, 13), (3, 3), 24, {"padding": 1}),
        ((2, 16, 12, 13), (3, 5), 20, {"stride": 2, "padding": (0, 3), "dilation": (1, 2)}),
        ((3, 32, 9, 9), (1, 1), 16, {}),
        ((2, 32, 9, 9), (3, 2), 48, {"groups": 2}),
        ((20, 8, 30, 31), (3, 3), 9, {"padding": (2, 0)}),
    ],
)
def test_convolutions_of_bfloat16_round_once(shape, kernel, filters, options, layout):
    def rounded(shape, seed):
        return fb.from_numpy(draw(shape, seed=seed)).to(fb.bfloat16)

    x = rounded(shape, 1).contiguous(memory_format=layout)
    w = rounded((filters, shape[1] // options.get("groups", 1), *kernel), 2)
    b = rounded((filters,), 3)
    dy = rounded(tuple(fb.conv2d(x, w, **options).shape), 4)
    wide = [t.double() for t in (x, w, b, dy)]
    for compute in (
        lambda x, w, b, dy: fb.conv2d(x, w, b, **options),
        lambda x, w, b, dy: fb._core.nn_conv2d_input(x.shape, w, dy, **options),
        lambda x, w, b, dy: fb._core.nn_conv2d_weight(x, w.shape, dy, **options),
    ):
        got, want = compute(x, w, b, dy), compute(*wide).numpy()
        assert got.dtype == fb.bfloat16
        np.testing.assert_allclose(got.double().numpy(), want, rtol=2**-8, atol=1e-6 * np.abs(want).max())


def test_conv2d_in_half_precision_is_close_to_numpy():
    x, w = fb.tensor(draw((2, 3, 6, 6))).half(), fb.tensor(draw((4, 3, 3, 3), seed=1)).half()
    got = fb.conv2d(x, w)
    assert got.dtype is fb.float16
    np.testing.assert_allclose(
        got.float().numpy(), conv2d(x.numpy(), w.numpy().astype(np.float64)), rtol=2e-3, atol=2e-3
    )


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: fb.conv2d(fb.zeros(1, 3, 8, 8), fb.zeros(4, 2, 3, 3)),
            RuntimeError,
            r"\[4, 2, 3, 3\].*\[1, 3, 8, 8\].*2 channels.*3",
        ),
        (lambda: fb.conv2d(fb.zeros(1, 3, 2, 2), fb.zeros(4, 3, 3, 3)), RuntimeError, r"2 x 2.*3 x 3"),
        (lambda: fb.conv2d(fb.zeros(8, 8), fb.zeros(4, 2, 3, 3)), RuntimeError, r"\[8, 8\]"),
        (lambda: fb.conv2d(fb.zeros(8), fb.zeros(4, 2, 3, 2), padding="same"), RuntimeError, r"\[8\]"),
        (lambda: fb.conv2d(fb.zeros(1, 3, 8, 8), fb.zeros(3, 3)), RuntimeError, r"\[3, 3\]"),
        (
            lambda: fb.conv2d(fb.zeros(1, 3, 8, 8), fb.zeros(4, 3, 3, 3, dtype=fb.float64)),
            RuntimeError,
            "float32.*float64",
        ),
        (lambda: fb.conv2d(fb.zeros(1, 3, 8, 8), fb.zeros(4, 3, 3, 3), fb.zeros(3)), RuntimeError, r"\[3\]"),
        (lambda: fb.conv2d(fb.zeros(1, 3, 8, 8), fb.zeros(4, 3, 3, 3), stride=0), RuntimeError, "stride"),
        (lambda: fb.conv2d(fb.zeros(1, 3, 8, 8), fb.zeros(4, 3, 3, 3), padding=-1), RuntimeError, "padding"),
        (lambda: fb.conv2d(fb.zeros(1, 3, 8, 8), fb.zeros(4, 3, 3, 3), padding=2**63 - 1), RuntimeError, "padding"),
        (lambda: fb.conv2d(fb.zeros(1, 3, 8, 8), fb.zeros(4, 3, 3, 3), dilation=2**62), RuntimeError, "dilation"),
        (lambda: fb.conv2d(fb.zeros(1, 3, 8, 8), fb.zeros(4, 3, 3, 3), padding="full"), RuntimeError, "full"),
        (
            lambda: fb.conv2d(fb.zeros(1, 3, 8, 8), fb.zeros(4, 3, 3, 3), stride=2, padding="same"),
            RuntimeError,
            "strided",
        ),
        (lambda: fb.conv2d(fb.zeros(1, 3, 8, 8), fb.zeros(4, 3, 3, 3), stride=(1, 2, 3)), RuntimeError, r"\[1, 2, 3\]"),
        (lambda: fb.conv2d(fb.zeros(1, 3, 8, 8), fb.zeros(4, 3, 3, 3), groups=0), RuntimeError, "groups"),
        (
            lambda: fb.conv2d(fb.zeros(1, 3, 8, 8, dtype=fb.bool), fb.zeros(4, 3, 3, 3, dtype=fb.bool)),
            RuntimeError,
            "bool",
        ),
        (lambda: fb.max_pool2d(fb.zeros(1, 1, 2, 2), 3), RuntimeError, r"\[1, 1, 2, 2\].*too small"),
        (lambda: fb.max_pool2d(fb.zeros(1, 1, 4, 4), 2, padding=2), RuntimeError, "pad=.*2"),
        (lambda: fb.max_pool2d(fb.zeros(4, 4), 2), RuntimeError, r"\[4, 4\]"),
        (lambda: fb.max_pool2d(fb.zeros(1, 1, 4, 4), 0), RuntimeError, "positive"),
        (lambda: fb.max_pool2d(fb.zeros(1, 1, 4, 4), 3, dilation=2**62), RuntimeError, "dilation"),
        (lambda: fb.avg_pool2d(fb.zeros(1, 1, 4, 4), 2, divisor_override=0), RuntimeError, "divisor"),
        (lambda: fb.avg_pool2d(fb.zeros(1, 1, 4, 4), "2"), TypeError, "kernel_size"),
    ],
)
def test_convolutions_and_pooling_reject_invalid_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()


def shape_of_layer(dims, batch, channels, filters, groups, transposed):
    """Return the shapes of an input and of a weight that match. Some sizes can be 0."""
    weight = (channels, filters // groups) if transposed else (filters, channels // groups)
    return (batch, channels, *(9, 8, 7)[:dims]), (*weight, *(3, 2, 3)[:dims])


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("options", [{}, {"stride": 2}, {"stride": 3, "padding": 1, "dilation": 2}, {"groups": 2}])
@pytest.mark.parametrize("dtype", [fb.float32, fb.float16, fb.int64])
def test_a_convolution_without_channels_gives_the_bias(dims, options, dtype):
    groups = options.get("groups", 1)
    for batch in (0, 2):
        input, weight = shape_of_layer(dims, batch, 0, 4, groups, False)
        bias = fb.arange(4).to(dtype)
        function = getattr(fb, f"conv{dims}d")
        out = function(fb.zeros(input, dtype=dtype), fb.zeros(weight, dtype=dtype), bias, **options)
        expected = function(fb.zeros(batch, groups, *input[2:]), fb.zeros(4, 1, *weight[2:]), **options).shape
        assert out.shape == expected and (out == bias.reshape(-1, *[1] * dims)).all()
        assert (function(fb.zeros(input), fb.zeros(weight), **options) == 0).all()


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("options", [{}, {"stride": 2}, {"stride": 3, "padding": 1, "dilation": 2}])
def test_a_transposed_convolution_without_filters_or_samples_is_empty(dims, options):
    for batch, filters in ((2, 0), (0, 4), (0, 0)):
        input, weight = shape_of_layer(dims, batch, 2, filters, 1, True)
        out = getattr(fb, f"conv_transpose{dims}d")(fb.zeros(input), fb.zeros(weight), fb.zeros(filters), **options)
        assert out.numel() == 0 and out.shape[:2] == (batch, filters)
