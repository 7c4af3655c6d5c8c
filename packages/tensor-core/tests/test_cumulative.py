"""Cumulative sums, products and extremes against NumPy."""

import numpy as np
import pytest

import flambeau as fb

SHAPES = [(), (0,), (5,), (3, 4), (2, 3, 4), (3, 0), (70, 300), (4, 1000), (300, 3), (9001,), (2, 40_000)]


def draw(shape, dtype):
    rng = np.random.default_rng(np.prod(shape, dtype=int))
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if "int" in dtype:
        return rng.integers(0, 3, shape).astype(dtype)
    return np.asarray(rng.standard_normal(shape)).astype(dtype)


def each_dim(shape):
    return range(-len(shape), len(shape)) if shape else (0, -1)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "int64", "int32", "uint8", "uint16", "uint32", "uint64", "bool"]
)
def test_cumsum_matches_numpy(shape, dtype):
    a = draw(shape, dtype)
    for dim in each_dim(shape):
        want = np.atleast_1d(a).cumsum(dim, dtype=np.float64 if "float" in dtype else np.int64).reshape(shape)
        got = fb.tensor(a).cumsum(dim)
        assert got.dtype is (getattr(fb, dtype) if "float" in dtype else fb.int64)
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
def test_cumprod_matches_numpy(shape, dtype):
    a = draw(shape, dtype)
    if "float" in dtype:
        a = (1 + a / 100).astype(dtype)
    for dim in each_dim(shape):
        want = np.atleast_1d(a).cumprod(dim, dtype=np.float64 if "float" in dtype else np.int64).reshape(shape)
        np.testing.assert_allclose(fb.tensor(a).cumprod(dim).numpy(), want, rtol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "uint16", "uint32", "uint64", "bool"])
def test_cummax_and_cummin_match_numpy(shape, dtype):
    a = draw(shape, dtype)
    if "float" in dtype and a.size > 3:
        a.flat[a.size // 2] = np.nan
    b = np.atleast_1d(a)
    for dim in each_dim(shape):
        for got, ufunc in ((fb.tensor(a).cummax(dim), np.maximum), (fb.tensor(a).cummin(dim), np.minimum)):
            want = ufunc.accumulate(b, dim)
            positions = np.arange(b.shape[dim]).reshape([-1 if d == dim % b.ndim else 1 for d in range(b.ndim)])
            chosen = (b == want) | np.isnan(b) if "float" in dtype else b == want
            last = np.maximum.accumulate(np.where(chosen, positions, 0), dim)
            assert np.array_equal(got.values.numpy(), want.reshape(shape), equal_nan="float" in dtype)
            assert np.array_equal(got.indices.numpy(), last.reshape(shape))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logcumsumexp_matches_numpy(shape, dtype):
    a = draw(shape, dtype) * 300
    for dim in each_dim(shape):
        want = np.logaddexp.accumulate(np.atleast_1d(a).astype(np.float64), dim).reshape(shape)
        tolerance = 1e-6 if dtype == "float32" else 1e-12
        np.testing.assert_allclose(fb.tensor(a).logcumsumexp(dim).numpy(), want, rtol=tolerance, atol=tolerance)


def test_logcumsumexp_of_infinities_matches_numpy():
    inf = fb.inf
    x = fb.tensor([[-inf, -inf, 2.0, 2.0], [-inf, 0.0, inf, 1.0], [0.0, fb.nan, 1.0, inf]])
    got = x.logcumsumexp(1).numpy()
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(got, np.logaddexp.accumulate(x.numpy(), 1), rtol=1e-6)


def test_logcumsumexp_of_complex_infinities_has_the_expected_values():
    inf = fb.inf
    positive = fb.tensor([complex(inf, 0), complex(inf, 0), 1 + 1j]).logcumsumexp(0)
    assert positive.tolist() == [complex(inf, 0)] * 3
    negative = fb.tensor([complex(-inf, inf), complex(-inf, 0), 1 + 1j]).logcumsumexp(0)
    assert negative.tolist() == [complex(-inf, 0), complex(-inf, 0), 1 + 1j]
    undefined = fb.tensor([complex(fb.nan, 0), 1 + 1j]).logcumsumexp(0)
    assert all(value != value for value in undefined.tolist())


def test_scans_of_half_precision_accumulate_in_float32():
    y = fb.ones(5000, dtype=fb.bfloat16)
    assert y.cumsum(0)[-1].item() == 4992  # the nearest bfloat16, which adding ones in bfloat16 would never reach
    a = np.random.default_rng(0).random(3_000_001).astype(np.float32)
    assert fb.tensor(a).cumsum(0)[-1].item() == pytest.approx(a.sum(dtype=np.float64), rel=1e-7)


@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
def test_cumsum_and_cumprod_accept_dtype_and_out(name):
    x = fb.tensor([3, 2, 2], dtype=fb.uint8)
    assert getattr(x, name)(0, dtype=fb.float64).dtype is fb.float64
    assert getattr(x, name)(0, dtype=fb.int32).dtype is fb.int32
    y = fb.ones(3)
    assert getattr(y, name + "_")(0) is y
    out = fb.empty(0)
    assert getattr(fb, name)(fb.ones(3), 0, out=out) is out
    assert out.shape == (3,)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_scans_do_not_depend_on_the_number_of_threads(threads):
    a = fb.tensor(draw((1_000_001,), "float32"))
    fb.set_num_threads(1)
    want = a.cumsum(0)
    fb.set_num_threads(threads)
    assert fb.equal(a.cumsum(0), want)


@pytest.mark.parametrize("name", ["cumsum", "cumprod", "cummax", "cummin", "logcumsumexp"])
@pytest.mark.parametrize("dim", [2, -3, 2**40, -(2**63)])
def test_scans_reject_dimensions_out_of_range(name, dim):
    with pytest.raises(IndexError, match=rf"\[-2, 1\], but got {dim}"):
        getattr(fb.ones(2, 3), name)(dim)


def test_logcumsumexp_rejects_integers():
    with pytest.raises(NotImplementedError, match="int64"):
        fb.logcumsumexp(fb.tensor([1, 2]), 0)


@pytest.mark.parametrize("at", [0, 20, 47, 48, 49, 500, 999])
def test_cummax_and_cummin_propagate_nan(at):
    x = np.random.default_rng(at).standard_normal(1000)
    x[at] = np.nan
    for got, ufunc in ((fb.tensor(x).cummax(0), np.maximum), (fb.tensor(x).cummin(0), np.minimum)):
        np.testing.assert_array_equal(got.values.numpy(), ufunc.accumulate(x))
        assert got.indices[at:].tolist() == [at] * (1000 - at)
        np.testing.assert_array_equal(x[got.indices.numpy()], got.values.numpy())


@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
@pytest.mark.parametrize("n", [4097, 8320, 100_001])
def test_a_long_cumsum_does_not_depend_on_the_number_of_threads(name, n):
    x = fb.tensor(1 + np.random.default_rng(n).standard_normal(n) / n)
    threads = fb.get_num_threads()
    try:
        got = []
        for count in (1, 2):
            fb.set_num_threads(count)
            got.append(getattr(x, name)(0).numpy())
    finally:
        fb.set_num_threads(threads)
    np.testing.assert_array_equal(*got)
    np.testing.assert_allclose(got[0], getattr(np, name)(x.numpy()), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "complex64"])
@pytest.mark.parametrize("n", [4097, 9000, 50_001])
def test_a_long_cumprod_of_numbers_with_few_digits_is_exact(dtype, n):
    x = fb.tensor(np.exp(np.random.default_rng(n).standard_normal((2, n)) / 100)).to(getattr(fb, dtype))
    wide = x.to(fb.complex128 if dtype == "complex64" else fb.float64).numpy()
    got = x.cumprod(1).to(fb.complex128 if dtype == "complex64" else fb.float64).numpy()
    digits = {"float16": 2**-10, "bfloat16": 2**-7, "complex64": 1e-6}[dtype]
    np.testing.assert_allclose(got, wide.cumprod(1), rtol=digits)


def test_a_long_cumprod_stays_finite_if_its_partial_products_overflow():
    shrinking = np.repeat([3.0, 0.5, 4.0], [600, 2400, 1500])
    np.testing.assert_allclose(fb.tensor(shrinking).cumprod(0).numpy(), shrinking.cumprod(), rtol=1e-12)
    growing = np.full(9000, 1e3)
    growing[1] = 0
    assert np.array_equal(fb.tensor(growing).cumprod(0).numpy(), growing.cumprod())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("length", [3, 20, 70])
def test_cummax_and_cummin_of_short_rows_keep_signed_zeros_and_nan(dtype, length):
    rng = np.random.default_rng(length)
    a = rng.choice(np.array([-1, -0.0, 0.0, 1, 2, np.nan]), (50, length), p=[0.2, 0.2, 0.2, 0.2, 0.1, 0.1])
    for largest in (True, False):
        x = fb.tensor(a).to(getattr(fb, dtype))
        got = x.cummax(1) if largest else x.cummin(1)
        values, places = a.copy(), np.zeros(a.shape, int)
        for k in range(1, length):
            best, value = values[:, k - 1], a[:, k]
            better = np.isnan(value) | ~np.isnan(best) & (value >= best if largest else value <= best)
            values[:, k] = np.where(better, value, best)
            places[:, k] = np.where(better, k, places[:, k - 1])
        assert np.array_equal(got.indices.numpy(), places)
        kept = got.values.double().numpy()
        assert np.array_equal(kept, values, equal_nan=True) and np.array_equal(np.signbit(kept), np.signbit(values))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64", "uint64"])
@pytest.mark.parametrize("length", [1, 3, 8, 10, 16, 17, 100])
@pytest.mark.parametrize("rows", [1, 4, 21])
def test_cummax_and_cummin_of_rows_of_integers_match_numpy(dtype, length, rows):
    rng, info = np.random.default_rng(length), np.iinfo(dtype)
    few = rng.integers(0, 4, (rows, length)).astype(dtype)  # among equal extremes, the last index is returned
    many = rng.integers(info.min, info.max, (rows, length), dtype, endpoint=True)
    for a in (few, many):
        for name, ufunc in (("cummax", np.maximum), ("cummin", np.minimum)):
            got, values = getattr(fb.tensor(a), name)(1), ufunc.accumulate(a, 1)
            np.testing.assert_array_equal(got.values.numpy(), values)
            places = np.maximum.accumulate(np.where(a == values, np.arange(length), 0), 1)
            np.testing.assert_array_equal(got.indices.numpy(), places)


@pytest.mark.parametrize("name", ["cumsum", "cumprod", "logcumsumexp", "cummax", "cummin"])
@pytest.mark.parametrize("shape", [(0, 2, 5000), (0, 5000, 2), (5000, 0, 2), (2, 5000, 0)])
def test_scans_accept_empty_dimensions_next_to_long_ones(name, shape):
    for dim in range(3):
        result = getattr(fb, name)(fb.zeros(shape), dim)
        assert (result[0] if isinstance(result, tuple) else result).shape == shape
    assert [fb.ones(n).sum().item() for n in (10, 5000, 20_000)] == [10, 5000, 20_000]  # memory is intact
