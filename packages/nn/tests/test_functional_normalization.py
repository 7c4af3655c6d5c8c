"""Normalisation, compared with NumPy in float64."""

import numpy as np
import pytest

import flambeau as fb
from flambeau.autograd import gradcheck, gradgradcheck
from flambeau.nn import functional as F

RNG = np.random.default_rng(0)
DTYPES = {"float64": 1e-11, "float32": 2e-5, "float16": 2e-2}


def standard(x, axes, eps):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


def check(got, want, dtype):
    assert got.dtype is getattr(fb, dtype)
    np.testing.assert_allclose(got.double().numpy(), want, rtol=DTYPES[dtype], atol=DTYPES[dtype])


def draw(shape, dtype):
    return (RNG.standard_normal(shape) * 3 + 2).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "dims"), [((4, 5, 6), 1), ((4, 5, 6), 2), ((7,), 1), ((3, 1000), 1), ((0, 3), 1)])
def test_layer_norm_and_rms_norm_match_numpy(shape, dims, dtype):
    x, w, b = draw(shape, dtype), draw(shape[-dims:], dtype), draw(shape[-dims:], dtype)
    axes = tuple(range(-dims, 0))
    wide = [a.astype(float) for a in (x, w, b)]
    plain = standard(wide[0], axes, 1e-3)
    shape = shape[-dims:]
    check(F.layer_norm(fb.tensor(x), shape, fb.tensor(w), fb.tensor(b), 1e-3), plain * wide[1] + wide[2], dtype)
    check(F.layer_norm(fb.tensor(x), shape, fb.tensor(w), None, 1e-3), plain * wide[1], dtype)
    check(F.layer_norm(fb.tensor(x), shape, None, fb.tensor(b), 1e-3), plain + wide[2], dtype)
    check(F.layer_norm(fb.tensor(x), shape, eps=1e-3), plain, dtype)
    root = np.sqrt((wide[0] ** 2).mean(axes, keepdims=True) + 1e-3)
    check(F.rms_norm(fb.tensor(x), shape, fb.tensor(w), 1e-3), wide[0] / root * wide[1], dtype)


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize(("rows", "length"), [(5, 4), (16, 1), (40, 3), (33, 31), (33, 32), (70, 30), (600, 5)])
def test_derivatives_of_layer_norm_and_rms_norm_match_the_formulas(rows, length, affine):
    x = draw((rows, length), "float64")
    w, b, g = draw(length, "float64"), draw(length, "float64"), draw((rows, length), "float64")
    inverse = 1 / np.sqrt(x.var(1, keepdims=True) + 1e-3)
    h, scaled = (x - x.mean(1, keepdims=True)) * inverse, g * (w if affine else 1)
    inner = scaled - scaled.mean(1, keepdims=True) - h * (scaled * h).mean(1, keepdims=True)
    leaves = [fb.tensor(a, requires_grad=True) for a in ((x, w, b) if affine else (x,))]
    F.layer_norm(leaves[0], (length,), *leaves[1:], eps=1e-3).backward(fb.tensor(g))
    for leaf, want in zip(leaves, (inner * inverse, (g * h).sum(0), g.sum(0)), strict=False):
        np.testing.assert_allclose(leaf.grad.numpy(), want, rtol=1e-9, atol=1e-9)

    root = 1 / np.sqrt((x**2).mean(1, keepdims=True) + 1e-3)
    leaves = [fb.tensor(a, requires_grad=True) for a in ((x, w) if affine else (x,))]
    F.rms_norm(leaves[0], (length,), *leaves[1:], eps=1e-3).backward(fb.tensor(g))
    inner = scaled - x * root * (scaled * x * root).mean(1, keepdims=True)
    for leaf, want in zip(leaves, (inner * root, (g * x * root).sum(0)), strict=False):
        np.testing.assert_allclose(leaf.grad.numpy(), want, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_rms_norm_of_complex_numbers_divides_by_the_root_of_their_squares(dtype):
    x, w = ((RNG.standard_normal((2, 3)) + 1j * RNG.standard_normal((2, 3))).astype(dtype) for _ in range(2))
    want = x / np.sqrt((x**2).mean((0, 1)) + 0.5) * w
    got = F.rms_norm(fb.tensor(x), (2, 3), fb.tensor(w), 0.5)
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-4 if dtype == "complex64" else 1e-12)


def test_normalisation_of_large_means_does_not_lose_precision():
    x = (RNG.standard_normal((4, 1024)) + 3000).astype(np.float32)
    want = standard(x.astype(float), -1, 1e-5)
    np.testing.assert_allclose(F.layer_norm(fb.tensor(x), [1024]).numpy(), want, atol=2e-3)
    image = x.reshape(4, 4, 256)
    want = standard(image.reshape(4, 2, -1).astype(float), -1, 1e-5).reshape(image.shape)
    np.testing.assert_allclose(F.group_norm(fb.tensor(image), 2).numpy(), want, atol=2e-3)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(4, 6), (3, 6, 5), (2, 6, 3, 40)])
@pytest.mark.parametrize("groups", [1, 2, 3])
def test_group_norm_matches_numpy(shape, groups, dtype):
    x, w, b = draw(shape, dtype), draw(6, dtype), draw(6, dtype)
    column = (-1, *[1] * (len(shape) - 2))
    wide = [a.astype(float) for a in (x, w, b)]
    plain = standard(wide[0].reshape(shape[0], groups, -1), -1, 1e-3).reshape(shape)
    got = F.group_norm(fb.tensor(x), groups, fb.tensor(w), fb.tensor(b), 1e-3)
    check(got, plain * wide[1].reshape(column) + wide[2].reshape(column), dtype)
    check(F.group_norm(fb.tensor(x), groups, eps=1e-3), plain, dtype)


@pytest.mark.parametrize("shape", [(3, 2, 5), (2, 3, 4, 4)])
def test_instance_norm_matches_numpy_and_updates_running_statistics(shape):
    x, channels = draw(shape, float), shape[1]
    w, b, mean, var = RNG.random((4, channels))
    column, axes = (-1, *[1] * (len(shape) - 2)), tuple(range(2, len(shape)))
    running = fb.tensor(mean), fb.tensor(var)
    got = F.instance_norm(fb.tensor(x), *running, fb.tensor(w), fb.tensor(b), momentum=0.25, eps=1e-3)
    np.testing.assert_allclose(got.numpy(), standard(x, axes, 1e-3) * w.reshape(column) + b.reshape(column), atol=1e-12)
    np.testing.assert_allclose(running[0].numpy(), 0.75 * mean + 0.25 * x.mean(axes).mean(0), atol=1e-12)
    np.testing.assert_allclose(running[1].numpy(), 0.75 * var + 0.25 * x.var(axes, ddof=1).mean(0), atol=1e-12)
    still = F.instance_norm(fb.tensor(x), *running, use_input_stats=False, eps=1e-3)
    mean, var = (t.numpy().reshape(column) for t in running)
    np.testing.assert_allclose(still.numpy(), (x - mean) / np.sqrt(var + 1e-3), atol=1e-12)


def test_batch_norm_of_images_of_any_rank_matches_numpy():
    for shape in ((6, 3), (4, 3, 7), (4, 3, 5, 8)):
        x, axes, column = draw(shape, float), (0, *range(2, len(shape))), (-1, *[1] * (len(shape) - 2))
        w, b = RNG.random((2, 3))
        got = F.batch_norm(fb.tensor(x), None, None, fb.tensor(w), fb.tensor(b), True, eps=1e-3)
        np.testing.assert_allclose(
            got.numpy(), standard(x, axes, 1e-3) * w.reshape(column) + b.reshape(column), atol=1e-12
        )


def test_local_response_norm_matches_numpy():
    x = draw((2, 7, 3, 4), float)
    squares = np.pad(x**2, ((0, 0), (2, 2), (0, 0), (0, 0)))
    mean = sum(squares[:, i : i + 7] for i in range(5)) / 5
    want = x / (1.5 + 0.3 * mean) ** 0.75
    np.testing.assert_allclose(F.local_response_norm(fb.tensor(x), 5, 0.3, 0.75, 1.5).numpy(), want, atol=1e-12)


def test_normalize_divides_by_the_norm():
    x = draw((3, 4), float)
    np.testing.assert_allclose(F.normalize(fb.tensor(x)).numpy(), x / np.linalg.norm(x, axis=1, keepdims=True))
    np.testing.assert_allclose(F.normalize(fb.tensor(x), 1, 0).numpy(), x / np.abs(x).sum(0))
    assert F.normalize(fb.zeros(2, 3)).tolist() == [[0] * 3] * 2


def variables(*shapes):
    return [fb.tensor(RNG.standard_normal(s)).requires_grad_() for s in shapes]


RUNNING = fb.tensor([0.1, -0.2]).double(), fb.tensor([0.5, 1.5]).double()
DERIVATIVES = {
    "layer_norm": (lambda x, w, b: F.layer_norm(x, (4,), w, b), [(2, 2, 4), (4,), (4,)]),
    "layer_norm plain": (lambda x: F.layer_norm(x, (2, 4)), [(2, 2, 4)]),
    "rms_norm": (lambda x, w: F.rms_norm(x, (4,), w), [(2, 2, 4), (4,)]),
    "group_norm": (lambda x, w, b: F.group_norm(x, 2, w, b), [(2, 4, 3), (4,), (4,)]),
    "group_norm flat": (lambda x, w, b: F.group_norm(x, 2, w, b), [(2, 4), (4,), (4,)]),
    "batch_norm": (lambda x, w, b: F.batch_norm(x, None, None, w, b, True), [(3, 2, 2), (2,), (2,)]),
    "batch_norm flat": (lambda x, w, b: F.batch_norm(x, None, None, w, b, True), [(4, 2), (2,), (2,)]),
    "batch_norm running": (lambda x, w, b: F.batch_norm(x, *RUNNING, w, b), [(3, 2, 2), (2,), (2,)]),
    "instance_norm": (lambda x, w, b: F.instance_norm(x, None, None, w, b), [(2, 2, 3), (2,), (2,)]),
    "local_response_norm": (lambda x: F.local_response_norm(x, 3, 0.5), [(1, 4, 3)]),
    "normalize": (F.normalize, [(2, 3)]),
}


@pytest.mark.parametrize("name", DERIVATIVES)
def test_normalisation_functions_pass_gradcheck(name):
    call, shapes = DERIVATIVES[name]
    inputs = variables(*shapes)
    assert gradcheck(call, inputs)
    assert gradgradcheck(call, inputs)


@pytest.mark.parametrize("dtype", [fb.float16, fb.bfloat16])
@pytest.mark.parametrize(("rows", "length"), [(2, 5), (200, 3), (70, 300), (3, 9000)])
@pytest.mark.parametrize("function", [F.layer_norm, F.rms_norm])
def test_half_precision_gradients_match_float64(function, rows, length, dtype):
    def gradients(tensors):
        x, weight, gradient = tensors
        inputs = [t.detach().requires_grad_() for t in (x, weight)]
        function(inputs[0], (length,), inputs[1], eps=1e-5).backward(gradient)
        return [t.grad for t in inputs]

    halves = [fb.randn(*shape).to(dtype) for shape in ((rows, length), (length,), (rows, length))]
    for got, want in zip(gradients(halves), gradients([t.double() for t in halves]), strict=True):
        assert got.dtype is dtype
        precision = fb.finfo(dtype).eps / 2 * 1.01
        largest = want.abs().max().item()
        np.testing.assert_allclose(got.double().numpy(), want.numpy(), rtol=precision, atol=1e-5 * largest)


@pytest.mark.parametrize("dtype", [fb.float16, fb.bfloat16])
@pytest.mark.parametrize("shape", [(5, 6), (3, 6, 1), (4, 6, 9), (2, 6, 70), (2, 6, 80, 90), (1, 6, 0)])
@pytest.mark.parametrize("norm", ["batch", "channels-last batch", "group"])
def test_half_precision_group_and_batch_norms_match_float64(norm, shape, dtype):
    def results(tensors):
        x, weight, bias, gradient = tensors
        inputs = [t.detach().requires_grad_() for t in (x, weight, bias)]
        if norm == "group":
            y = F.group_norm(inputs[0], 2, *inputs[1:])
        else:
            y = F.batch_norm(inputs[0], None, None, *inputs[1:], training=True)
        y.backward(gradient)
        return [y.detach(), *(t.grad for t in inputs)]

    halves = [fb.randn(*size).to(dtype) for size in (shape, (6,), (6,), shape)]
    if "last" in norm and len(shape) == 4:
        halves[0] = halves[0].to(memory_format=fb.channels_last)
    for got, want in zip(results(halves), results([t.double() for t in halves]), strict=True):
        assert got.dtype is dtype and got.shape == want.shape
        if want.numel() > 0:
            precision, largest = fb.finfo(dtype).eps / 2 * 1.01, want.abs().max().item()
            np.testing.assert_allclose(got.double().numpy(), want.numpy(), rtol=precision, atol=1e-5 * largest)


def test_gradients_of_layer_norm_weights_are_correct_for_many_rows():
    """Use 300 rows, because the kernel sums rows in blocks."""
    x, w, b = variables((300, 33), (33,), (33,))
    F.layer_norm(x, (33,), w, b).backward(fb.ones(300, 33, dtype=fb.float64) * 2)
    plain = standard(x.detach().numpy(), -1, 1e-5)
    np.testing.assert_allclose(w.grad.numpy(), 2 * plain.sum(0), atol=1e-10)
    np.testing.assert_allclose(b.grad.numpy(), np.full(33, 600.0), atol=1e-10)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: F.layer_norm(fb.zeros(2, 3), (4,)), RuntimeError, r"\[4\].*\[2, 3\]"),
        (lambda: F.layer_norm(fb.zeros(2, 3), ()), RuntimeError, "at least 1-dimensional"),
        (lambda: F.layer_norm(fb.zeros(2, 3), (3,), fb.zeros(2)), RuntimeError, "weight"),
        (lambda: F.layer_norm(fb.zeros(2, 3, dtype=fb.int64), (3,)), RuntimeError, "int64"),
        (lambda: F.group_norm(fb.zeros(2, 3), 2), RuntimeError, "divisible"),
        (lambda: F.group_norm(fb.zeros(1, 3), 3), ValueError, "more than 1 value"),
        (lambda: F.group_norm(fb.zeros(2, 4, 2), 0), RuntimeError, "greater than 0"),
        (lambda: F.instance_norm(fb.zeros(2, 3, 1)), ValueError, "more than 1 spatial"),
        (lambda: F.batch_norm(fb.zeros(2, 3), None, None), RuntimeError, "running_mean"),
        (lambda: F.local_response_norm(fb.zeros(2, 3), 2), ValueError, "3D"),
        (lambda: F.rms_norm(fb.zeros(2, 3), (2,)), RuntimeError, r"\[2, 3\]"),
    ],
)
def test_normalisation_functions_reject_invalid_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()
