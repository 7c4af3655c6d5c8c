"""Convolutions and transposed convolutions in one to three dimensions, compared with loops over the windows."""

import itertools

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn
from flambeau.autograd import gradcheck, gradgradcheck
from flambeau.nn import functional as F

RNG = np.random.default_rng(0)
CONVOLUTIONS = {1: (F.conv1d, F.conv_transpose1d), 2: (F.conv2d, F.conv_transpose2d), 3: (F.conv3d, F.conv_transpose3d)}
SIZES = {1: (9,), 2: (6, 7), 3: (4, 5, 6)}
KERNELS = {1: (3,), 2: (3, 2), 3: (2, 3, 2)}


def draw(*shape):
    return RNG.standard_normal(shape)


def taps(shape, kernel, stride, padding, dilation):
    """Yield (output position, kernel position, input position) for all pairs whose input position is not padding."""
    out = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(shape, kernel, stride, padding, dilation, strict=True)
    ]
    for o in itertools.product(*map(range, out)):
        for k in itertools.product(*map(range, kernel)):
            i = tuple(a * s - p + b * d for a, b, s, p, d in zip(o, k, stride, padding, dilation, strict=True))
            if all(0 <= a < n for a, n in zip(i, shape, strict=True)):
                yield o, k, i


def correlate(x, w, stride, padding, dilation, groups):
    shape = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(x.shape[2:], w.shape[2:], stride, padding, dilation, strict=True)
    ]
    y = np.zeros((x.shape[0], w.shape[0], *shape))
    width, filters = w.shape[1], w.shape[0] // groups
    for o, k, i in taps(x.shape[2:], w.shape[2:], stride, padding, dilation):
        for g in range(groups):
            rows = slice(g * filters, (g + 1) * filters)
            y[(slice(None), rows, *o)] += (
                x[(slice(None), slice(g * width, (g + 1) * width), *i)] @ w[(rows, slice(None), *k)].T
            )
    return y


OPTIONS = [
    {},
    {"stride": 2},
    {"padding": 1},
    {"stride": 2, "padding": 1, "dilation": 2},
    {"groups": 2},
    {"stride": 3, "padding": 2, "groups": 2},
]


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_convolution_matches_numpy(dims, options):
    groups = options.get("groups", 1)
    size = tuple(n + 3 for n in SIZES[dims])
    x, w, b = draw(2, 4, *size), draw(6, 4 // groups, *KERNELS[dims]), draw(6)
    whole = [[options.get(name, default)] * dims for name, default in (("stride", 1), ("padding", 0), ("dilation", 1))]
    want = correlate(x, w, *whole, groups) + b.reshape(-1, *[1] * dims)
    convolution = CONVOLUTIONS[dims][0]
    np.testing.assert_allclose(
        convolution(fb.tensor(x), fb.tensor(w), fb.tensor(b), **options).numpy(), want, atol=1e-12
    )
    one = convolution(fb.tensor(x[0]), fb.tensor(w), fb.tensor(b), **options)
    np.testing.assert_allclose(one.numpy(), want[0], atol=1e-12)
    single = convolution(fb.tensor(x).float(), fb.tensor(w).float(), fb.tensor(b).float(), **options)
    np.testing.assert_allclose(single.numpy(), want, rtol=1e-4, atol=1e-4)
    whole_numbers = [fb.tensor((a * 3).astype(np.int64)) for a in (x, w, b)]
    exact = correlate(*[t.numpy().astype(float) for t in whole_numbers[:2]], *whole, groups)
    exact += whole_numbers[2].numpy().reshape(-1, *[1] * dims)
    assert np.array_equal(convolution(*whole_numbers, **options).numpy(), exact)


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize(
    "options", [*OPTIONS, {"stride": 2, "output_padding": 1}, {"dilation": 2, "output_padding": 1}], ids=str
)
def test_transposed_convolution_is_the_transpose(dims, options):
    """Check that <conv(x), y> == <x, conv_transpose(y)>."""
    groups = options.get("groups", 1)
    y, w = draw(2, 6, *SIZES[dims]), draw(6, 4 // groups, *KERNELS[dims])
    out = CONVOLUTIONS[dims][1](fb.tensor(y), fb.tensor(w), **options).numpy()
    whole = [[options.get(name, default)] * dims for name, default in (("stride", 1), ("padding", 0), ("dilation", 1))]
    extra = options.get("output_padding", 0)
    sizes = [
        (n - 1) * s - 2 * p + d * (k - 1) + 1 + extra
        for n, k, s, p, d in zip(y.shape[2:], w.shape[2:], *whole, strict=True)
    ]
    assert out.shape == (2, 4, *sizes)
    x = draw(*out.shape)
    image = correlate(x, w, *whole, groups)[(slice(None), slice(None), *map(slice, y.shape[2:]))]
    np.testing.assert_allclose((image * y).sum(), (x * out).sum(), rtol=1e-10)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_convolutions_pass_gradcheck(dims):
    x, w, b = (fb.tensor(a).requires_grad_() for a in (draw(2, 2, *[4] * dims), draw(2, 1, *[2] * dims), draw(2)))
    convolution, transposed = CONVOLUTIONS[dims]
    for call in (
        lambda x, w, b: convolution(x, w, b, padding=1, groups=2),
        lambda x, w, b: convolution(x, w, b, stride=2, groups=2),
        lambda x, w, b: transposed(x, w, b, stride=2, padding=1, groups=2),
    ):
        assert gradcheck(call, (x, w, b))
        assert gradgradcheck(call, (x, w, b))


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2])
def test_padding_same_keeps_the_size_and_padding_valid_adds_no_zeros(dims, dilation):
    x, w = fb.tensor(draw(1, 2, *SIZES[dims])), fb.tensor(draw(3, 2, *[2] * dims))
    convolution = CONVOLUTIONS[dims][0]
    same = convolution(x, w, padding="same", dilation=dilation)
    assert same.shape[2:] == x.shape[2:]
    before = dilation // 2
    wide = F.pad(x, [before, dilation - before] * dims)
    assert fb.allclose(same, convolution(wide, w, dilation=dilation))
    assert fb.equal(convolution(x, w, padding="valid", dilation=dilation), convolution(x, w, dilation=dilation))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: F.conv1d(fb.zeros(2, 3, 4, 5), fb.zeros(1, 3, 2)), r"conv1d.*\[2, 3, 4, 5\]"),
        (lambda: F.conv3d(fb.zeros(2, 3, 4, 5), fb.zeros(1, 3, 2)), r"\[1, 3, 2\]"),
        (lambda: F.conv1d(fb.zeros(2, 3, 4), fb.zeros(1, 2, 2)), "3 channels"),
        (lambda: F.conv1d(fb.zeros(2, 3, 4), fb.zeros(1, 3, 5)), "greater than actual input size"),
        (lambda: F.conv1d(fb.zeros(2, 3, 4), fb.zeros(1, 3, 2), stride=0), "stride"),
        (lambda: F.conv1d(fb.zeros(2, 3, 4), fb.zeros(1, 3, 2), stride=(1, 1)), "1 values"),
        (lambda: F.conv2d(fb.zeros(2, 3, 4, 4), fb.zeros(1, 3, 2, 2), padding=-1), "negative padding"),
        (lambda: F.conv2d(fb.zeros(2, 3, 4, 4), fb.zeros(1, 3, 2, 2), padding="full"), "full"),
        (lambda: F.conv1d(fb.zeros(2, 3, 4), fb.zeros(1, 3, 2), padding="same", stride=2), "strided"),
        (lambda: F.conv1d(fb.zeros(2, 3, 4), fb.zeros(1, 3, 2).double()), "should be the same"),
        (lambda: F.conv1d(fb.zeros(2, 3, 4), fb.zeros(1, 3, 2), fb.zeros(2)), "bias"),
        (lambda: F.conv_transpose1d(fb.zeros(2, 3, 4), fb.zeros(3, 1, 2), output_padding=1), "output padding"),
        (lambda: F.conv_transpose1d(fb.zeros(2, 3, 4), fb.zeros(2, 1, 2)), "channels"),
        (lambda: F.conv_transpose1d(fb.zeros(2, 3, 1), fb.zeros(3, 1, 2), padding=1), "too small"),
        (lambda: F.conv2d(fb.zeros(2, 3, 4, 4), fb.zeros(1, 3, 2, 2), dilation=2**31), "2\\*\\*31"),
    ],
)
def test_convolutions_reject_invalid_arguments(call, message):
    with pytest.raises(RuntimeError, match=message):
        call()


def test_conv_tbc_equals_conv1d_with_permuted_dimensions():
    x, w, b = fb.tensor(draw(7, 2, 3)), fb.tensor(draw(3, 3, 4)), fb.tensor(draw(4))
    want = F.conv1d(x.permute(1, 2, 0), w.permute(2, 1, 0), b, padding=1).permute(2, 0, 1)
    assert fb.allclose(F.conv_tbc(x, w, b, 1), want)


def test_bilinear_equals_its_definition():
    a, b, w, bias = draw(5, 2, 3), draw(5, 2, 4), draw(6, 3, 4), draw(6)
    want = np.einsum("...i,kij,...j->...k", a, w, b) + bias
    np.testing.assert_allclose(F.bilinear(*map(fb.tensor, (a, b, w, bias))).numpy(), want, atol=1e-12)
    layer = nn.Bilinear(3, 4, 6, dtype=fb.float64)
    layer.load_state_dict({"weight": fb.tensor(w), "bias": fb.tensor(bias)})
    np.testing.assert_allclose(layer(fb.tensor(a), fb.tensor(b)).detach().numpy(), want, atol=1e-12)
    with pytest.raises(RuntimeError, match="batch"):
        F.bilinear(fb.zeros(2, 3), fb.zeros(3, 4), fb.zeros(6, 3, 4))


# Windows


@pytest.mark.parametrize(
    "options", [{"kernel_size": 2}, {"kernel_size": (2, 3), "stride": 2, "padding": 1, "dilation": (2, 1)}], ids=str
)
def test_unfold_and_fold_match_numpy_and_are_adjoint(options):
    x = draw(2, 3, 6, 7)
    pairs = {
        name: np.broadcast_to(options.get(name, default), 2).tolist()
        for name, default in (("kernel_size", 1), ("stride", 1), ("padding", 0), ("dilation", 1))
    }
    columns = {}
    for o, k, i in taps(x.shape[2:], pairs["kernel_size"], pairs["stride"], pairs["padding"], pairs["dilation"]):
        columns[o, k] = x[:, :, i[0], i[1]]
    got = F.unfold(fb.tensor(x), **options)
    outs = sorted({o for o, _ in columns})
    kernels = list(itertools.product(*map(range, pairs["kernel_size"])))
    shape = (outs[-1][0] + 1, outs[-1][1] + 1)
    want = np.zeros((2, 3, len(kernels), shape[0] * shape[1]))
    for (o, k), values in columns.items():
        want[:, :, kernels.index(k), o[0] * shape[1] + o[1]] = values
    assert np.array_equal(got.numpy(), want.reshape(2, -1, shape[0] * shape[1]))
    y = fb.tensor(draw(*got.shape))
    np.testing.assert_allclose(
        (F.fold(y, (6, 7), **options) * fb.tensor(x)).sum().item(), (got * y).sum().item(), rtol=1e-10
    )
    assert gradgradcheck(lambda x: F.unfold(x, **options).square(), (fb.tensor(x[:1, :1]).requires_grad_(),))


def test_fold_and_unfold_reject_invalid_arguments():
    with pytest.raises(RuntimeError, match="too small"):
        F.unfold(fb.zeros(1, 1, 2, 2), 3)
    with pytest.raises(RuntimeError, match="sliding blocks"):
        F.fold(fb.zeros(1, 4, 3), (3, 3), 2)
    with pytest.raises(RuntimeError, match="divisible"):
        F.fold(fb.zeros(1, 3, 4), (3, 3), 2)


@pytest.mark.parametrize("dtype", [fb.float16, fb.bfloat16])
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_transposed_convolutions_of_half_precision_are_rounded_once(dims, dtype):
    transposed = CONVOLUTIONS[dims][1]
    generator = np.random.default_rng(dims)
    x, w, b = (
        fb.tensor(generator.standard_normal(s), dtype=dtype) for s in ((2, 3, *[4] * dims), (3, 2, *[3] * dims), (2,))
    )
    want = transposed(x.float(), w.float(), b.float()).to(dtype)
    assert transposed(x, w, b).equal(want)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_nn_grad_functions_equal_the_gradients_of_convolution(dims):
    x, weight = fb.randn(2, 3, *[5, 4, 6][:dims]), fb.randn(6, 1, *[2] * dims)
    options = {"stride": 2, "padding": 1, "groups": 3}
    x.requires_grad_(), weight.requires_grad_()
    out = CONVOLUTIONS[dims][0](x, weight, **options)
    given = fb.randn(out.shape)
    out.backward(given)
    of_input, of_weight = (getattr(nn.grad, f"conv{dims}d_{operand}") for operand in ("input", "weight"))
    np.testing.assert_allclose(of_input(x.shape, weight, given, **options).detach(), x.grad, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(of_weight(x, weight.shape, given, **options).detach(), weight.grad, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [fb.float64, fb.complex128])
def test_nn_grad_functions_are_differentiable(dtype):
    x, weight, given = (
        fb.randn(s, dtype=dtype, requires_grad=True) for s in ((1, 2, 4, 3), (2, 2, 2, 2), (1, 2, 3, 2))
    )
    assert fb.autograd.gradcheck(lambda w, g: nn.grad.conv2d_input(x.shape, w, g), (weight, given))
    assert fb.autograd.gradcheck(lambda x, g: nn.grad.conv2d_weight(x, weight.shape, g), (x, given))
    out = F.conv2d(x, weight)
    dx, dw = fb.autograd.grad(out, (x, weight), given)
    assert fb.allclose(nn.grad.conv2d_input(x.shape, weight, given), dx)
    assert fb.allclose(nn.grad.conv2d_weight(x, weight.shape, given), dw)


def test_nn_grad_functions_reject_invalid_arguments():
    x, weight = fb.randn(2, 3, 5, 5), fb.randn(4, 3, 3, 3)
    with pytest.raises(RuntimeError, match=r"expected grad_output of the output's size \[2, 4, 3, 3\]"):
        nn.grad.conv2d_input(x.shape, weight, fb.zeros(2, 4, 5, 5))
    with pytest.raises(RuntimeError, match=r"grad_output .* should have the same dtype"):
        nn.grad.conv2d_weight(x, weight.shape, fb.zeros(2, 4, 3, 3, dtype=fb.float64))
    with pytest.raises(RuntimeError, match="to have 3 channels"):
        nn.grad.conv2d_input((2, 5, 5, 5), weight, fb.zeros(2, 4, 3, 3))


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64])
@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_depthwise_convolution_matches_numpy_for_all_widths(stride, kernel, dtype):
    # Small integers have exact results. Vectors, their remainders and the padding depend on the width.
    height = 6
    for width, padding in itertools.product(range(1, 42), (0, 1, 2)):
        if width + 2 * padding < kernel:
            continue
        x = fb.randint(-5, 6, (2, 3, height, width)).to(dtype)
        weight = fb.randint(-3, 4, (3, 1, kernel, kernel)).to(dtype)
        result = F.conv2d(x, weight, stride=stride, padding=padding, groups=3).numpy()
        padded = np.pad(x.numpy(), ((0, 0), (0, 0), (padding, padding), (padding, padding)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), (2, 3))[:, :, ::stride, ::stride]
        np.testing.assert_array_equal(result, np.einsum("ncyxij,cij->ncyx", windows, weight.numpy()[:, 0]))
