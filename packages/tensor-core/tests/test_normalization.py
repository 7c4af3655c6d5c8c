"""Tests of batch normalisation against NumPy, and of properties of dropout."""

import inspect

import numpy as np
import pytest
from scipy import special

import flambeau as fb

RNG = np.random.default_rng(0)


def batch_norm(x, weight, bias, eps):
    axes = tuple(i for i in range(x.ndim) if i != 1)
    shape = (1, -1) + (1,) * (x.ndim - 2)
    mean, variance = x.mean(axes), x.var(axes)
    y = (x - mean.reshape(shape)) / np.sqrt(variance.reshape(shape) + eps) * weight.reshape(shape) + bias.reshape(shape)
    return y, mean, x.var(axes, ddof=1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(8, 3), (4, 3, 5), (4, 3, 5, 6), (1, 3, 2), (2, 1, 1), (64, 16, 9, 9)])
def test_batch_norm_in_training_matches_numpy_and_updates_running_statistics(shape, dtype):
    x = (RNG.standard_normal(shape) * 3 + 10).astype(dtype)
    weight, bias = RNG.random((2, shape[1])).astype(dtype)
    mean, var = RNG.random((2, shape[1])).astype(dtype)
    running = fb.tensor(mean), fb.tensor(var)
    want, own_mean, own_var = batch_norm(x.astype(np.float64), weight, bias, 1e-3)
    got = fb.batch_norm(
        fb.tensor(x), fb.tensor(weight), fb.tensor(bias), *running, training=True, momentum=0.3, eps=1e-3
    )
    tolerance = {"rtol": 2e-5, "atol": 2e-5} if dtype == "float32" else {"rtol": 1e-10, "atol": 1e-12}
    np.testing.assert_allclose(got.numpy(), want, **tolerance)
    np.testing.assert_allclose(running[0].numpy(), 0.7 * mean + 0.3 * own_mean, **tolerance)
    np.testing.assert_allclose(running[1].numpy(), 0.7 * var + 0.3 * own_var, **tolerance)
    plain = fb.batch_norm(fb.tensor(x), None, None, training=True)
    np.testing.assert_allclose(
        plain.numpy(), batch_norm(x.astype(np.float64), np.ones(shape[1]), np.zeros(shape[1]), 1e-5)[0], **tolerance
    )
    strided = fb.tensor(x.T.copy()).permute(*range(x.ndim - 1, -1, -1))
    np.testing.assert_allclose(fb.batch_norm(strided, None, None, training=True).numpy(), plain.numpy(), **tolerance)


@pytest.mark.parametrize("shape", [(8, 3), (4, 3, 5, 6), (0, 3, 2)])
def test_batch_norm_in_evaluation_uses_running_statistics(shape):
    x = RNG.standard_normal(shape)
    mean, var, weight, bias = RNG.random((4, 3))
    column = (1, -1) + (1,) * (x.ndim - 2)
    want = (x - mean.reshape(column)) / np.sqrt(var.reshape(column) + 1e-5) * weight.reshape(column) + bias.reshape(
        column
    )
    running = fb.tensor(mean), fb.tensor(var)
    got = fb.batch_norm(fb.tensor(x), fb.tensor(weight), fb.tensor(bias), *running)
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-12, atol=1e-14)
    assert np.array_equal(running[0].numpy(), mean)
    assert fb.batch_norm(fb.zeros(2, 3, dtype=fb.float16), None, None, fb.zeros(3), fb.ones(3)).dtype is fb.float16


def test_batch_norm_of_large_means_is_accurate():
    x = (RNG.standard_normal((256, 2)) + 3000).astype(np.float32)
    want = batch_norm(x.astype(np.float64), np.ones(2), np.zeros(2), 1e-5)[0]
    np.testing.assert_allclose(fb.batch_norm(fb.tensor(x), None, None, training=True).numpy(), want, atol=2e-3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: fb.batch_norm(fb.zeros(3), None, None, training=True), RuntimeError, r"\[3\]"),
        (lambda: fb.batch_norm(fb.zeros(2, 3), None, None), RuntimeError, "running_mean"),
        (
            lambda: fb.batch_norm(fb.zeros(2, 3), None, None, fb.zeros(4), fb.zeros(4)),
            RuntimeError,
            r"3 elements.*\[2, 3\].*\[4\]",
        ),
        (lambda: fb.batch_norm(fb.zeros(1, 3), None, None, training=True), ValueError, r"\[1, 3\]"),
        (lambda: fb.batch_norm(fb.zeros(2, 3, dtype=fb.int64), None, None, training=True), RuntimeError, "int64"),
        (lambda: fb.batch_norm(fb.zeros(2, 3), None, None, 1), TypeError, "running_mean"),
        (lambda: fb.dropout(fb.zeros(2), 1.5), RuntimeError, "1.5"),
        (lambda: fb.dropout(fb.zeros(2), -0.1), RuntimeError, "-0.1"),
        (lambda: fb.dropout(fb.zeros(2), float("nan")), RuntimeError, "nan"),
        (lambda: fb.dropout(fb.zeros(2, dtype=fb.int64), 0.5), RuntimeError, "int64"),
        (lambda: fb.dropout([1.0]), TypeError, "list"),
    ],
)
def test_normalisation_rejects_invalid_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("options", [{"p": 0.5, "training": False}, {"p": 0.0}])
def test_dropout_returns_integers_unchanged_if_it_drops_nothing(options):
    x = fb.arange(3)
    assert fb.dropout(x, **options).tolist() == [0, 1, 2]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_zeroes_elements_independently_and_scales_the_others(p, dtype):
    n = 200_003
    x = fb.full((n,), 3.0, dtype=getattr(fb, dtype))
    y = fb.dropout(x, p)
    assert y.dtype is x.dtype
    values = y.numpy().astype(np.float64)
    kept = values != 0
    assert np.allclose(values[kept], 3 / (1 - p), rtol=1e-3)
    assert abs(kept.mean() - (1 - p)) < 5 * np.sqrt(p * (1 - p) / n)
    # Neighbours are independent: the share of pairs that are kept is near (1 - p)**2.
    pairs = (kept[1:] & kept[:-1]).mean()
    assert abs(pairs - (1 - p) ** 2) < 8 * np.sqrt(p * (1 - p) / n)


def test_dropout_is_a_function_of_the_generator():
    x = fb.ones(1000)
    first = fb.dropout(x, 0.5, generator=fb.Generator().manual_seed(1))
    assert fb.equal(first, fb.dropout(x, 0.5, generator=fb.Generator().manual_seed(1)))
    assert not fb.equal(first, fb.dropout(x, 0.5, generator=fb.Generator().manual_seed(2)))
    generator = fb.Generator().manual_seed(1)
    assert fb.equal(first, fb.dropout(x, 0.5, generator=generator))
    assert not fb.equal(first, fb.dropout(x, 0.5, generator=generator))
    strided = fb.ones(1000, 2)[:, 0]
    assert fb.equal(first, fb.dropout(strided, 0.5, generator=fb.Generator().manual_seed(1)))


def test_dropout_is_the_identity_in_evaluation_and_with_probability_zero():
    x = fb.rand(10)
    assert fb.dropout(x, 0.5, training=False) is x
    assert fb.equal(fb.dropout(x, 0.0), x)
    assert fb.dropout(x, 1.0).tolist() == [0] * 10
    assert fb.dropout(fb.zeros(0, 3), 0.5).shape == (0, 3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("length", [1, 2, 7, 15, 16, 17, 33, 55, 511, 512, 513, 1000])
def test_softmax_of_rows_of_every_length_matches_scipy(length, dtype):
    x = (np.random.default_rng(length).standard_normal((5, length)) * 20).astype(dtype)
    x[3] = -np.inf
    x[4, length // 2] = np.nan
    t, tolerance = fb.tensor(x), 3e-6 if dtype == "float32" else 1e-13
    with np.errstate(invalid="ignore"):
        want = special.softmax(x.astype(np.float64), 1), special.log_softmax(x.astype(np.float64), 1)
    np.testing.assert_allclose(t.softmax(1).numpy(), want[0], rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(t.log_softmax(1).numpy()[:3], want[1][:3], rtol=tolerance, atol=tolerance)
    assert t.log_softmax(1)[3:].isnan().all()


@pytest.mark.parametrize("rows", [6, 16, 33, 200])  # few rows are computed singly, many together
@pytest.mark.parametrize("length", [1, 2, 7, 8, 9, 31, 33, 59, 60, 61, 70])
def test_layer_norm_of_short_rows_matches_numpy(length, rows):
    x = np.random.default_rng(length).standard_normal((rows, length)) + 3
    want = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    got = fb.native_layer_norm(fb.tensor(x), [length], None, None, 1e-5)[0]
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [fb.float16, fb.bfloat16])
@pytest.mark.parametrize(("rows", "length"), [(1, 5), (40, 3), (21, 1000), (3, 9000)])
def test_layer_norm_of_half_precision_is_rounded_once(rows, length, dtype):
    x = fb.randn(rows, length).to(dtype)
    weight, bias = fb.randn(length).to(dtype), fb.randn(length).to(dtype)
    got = fb.layer_norm(x, (length,), weight, bias)
    a, w, b = (t.double().numpy() for t in (x, weight, bias))
    want = (a - a.mean(-1, keepdims=True)) / np.sqrt(a.var(-1, keepdims=True) + 1e-5) * w + b
    precision = fb.finfo(dtype).eps / 2 * 1.01
    np.testing.assert_allclose(got.double().numpy(), want, rtol=precision, atol=2e-6)
    assert got.dtype is dtype


def test_the_error_of_layer_norm_names_the_expected_shape():
    with pytest.raises(RuntimeError, match=r"shape \[\*, 3, 7\], but got input of size \[4, 8\]"):
        fb.layer_norm(fb.rand(4, 8), (3, 7))


@pytest.mark.parametrize("rows", [5, 40])
def test_nan_affects_only_its_row_and_the_statistics(rows):
    x = fb.rand(rows, 8)
    x[3, 2] = float("nan")
    for row, deviation in ((fb.rms_norm(x, (8,)), None), fb.native_layer_norm(x, (8,), None, None, 1e-5)[::2]):
        assert row[3].isnan().all() and not row[[0, 1, 2, 4]].isnan().any()
        assert deviation is None or deviation.isnan().flatten().tolist()[2:5] == [False, True, False]
    for image in (x, x.T.contiguous().view(1, 8, rows)):
        mean, variance = fb.zeros(8), fb.ones(8)
        fb.batch_norm(image, None, None, mean, variance, training=True)
        assert mean.isnan().tolist() == variance.isnan().tolist() == [column == 2 for column in range(8)]


@pytest.mark.parametrize("length", [3, 24, 120, 121])
def test_layer_norm_of_many_rows_does_not_depend_on_the_threads(length):
    x = fb.rand(20011, length)
    w, b = fb.rand(length), fb.rand(length)
    before = fb.get_num_threads()
    try:
        fb.set_num_threads(1)
        want = fb.layer_norm(x, (length,), w, b)
        fb.set_num_threads(4)
        assert (fb.layer_norm(x, (length,), w, b) == want).all()
    finally:
        fb.set_num_threads(before)


def test_running_mean_and_variance_change_together():
    mean, variance = fb.zeros(2), fb.from_numpy(np.broadcast_to(np.ones(2, np.float32), (2,)))
    with pytest.raises(RuntimeError, match="read-only"):
        fb.batch_norm(fb.rand(4, 2), None, None, mean, variance, training=True)
    with pytest.raises(RuntimeError, match="refers to a single memory location"):
        fb.instance_norm(fb.rand(4, 2, 3), None, None, mean, fb.ones(1).expand(2), True, 0.1, 1e-5, False)
    assert mean.tolist() == [0.0, 0.0]


def test_batch_norm_takes_its_parameters_in_the_order_of_pytorch():
    order = ["input", "weight", "bias", "running_mean", "running_var", "training", "momentum", "eps", "cudnn_enabled"]
    assert list(inspect.signature(fb.batch_norm).parameters) == order
