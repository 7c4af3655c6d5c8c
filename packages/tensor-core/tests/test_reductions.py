"""Reductions against NumPy over every choice of dimensions."""

import warnings
from contextlib import nullcontext

import numpy as np
import pytest
from reduction_cases import CASES, FLOATS, close, draw

import flambeau as fb


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("shape", "dim", "keepdim"), CASES)
def test_mean_over_dimensions_matches_numpy(shape, dim, keepdim, dtype):
    a = draw(shape, dtype)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the mean of nothing
        want = np.mean(a.astype(np.float64), axis=dim, keepdims=keepdim)
    close(fb.tensor(a).mean(dim, keepdim=keepdim), want, dtype)


@pytest.mark.parametrize(("shape", "dim", "keepdim"), CASES)
@pytest.mark.parametrize("correction", [0, 1, 2.5])
def test_var_and_std_match_numpy(shape, dim, keepdim, correction):
    a = draw(shape, "float32")
    x = fb.tensor(a)
    with np.errstate(all="ignore"):
        mean = a.astype(np.float64).sum(axis=dim, keepdims=True) / np.maximum(
            a.size // max(a.sum(axis=dim, keepdims=True).size, 1), 1
        )
        squares = ((a - mean) ** 2).sum(axis=dim, keepdims=keepdim)
        axes = range(a.ndim) if dim is None else np.atleast_1d(dim)
        count = np.prod([a.shape[d] for d in axes])
        want = squares / max(count - correction, 0)
    warned = pytest.warns(UserWarning, match="degrees of freedom is <= 0") if count <= correction else nullcontext()
    with warned:
        close(x.var(dim, correction=correction, keepdim=keepdim), want, "float32")
    with np.errstate(all="ignore"), warned:
        close(x.std(dim, correction=correction, keepdim=keepdim), np.sqrt(want), "float32")


def test_warnings_of_reductions_name_the_line_of_the_call():
    with pytest.warns(UserWarning, match="degrees of freedom") as caught:
        fb.ones(1).var()
    assert [warning.filename for warning in caught] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="degrees of freedom"):
            fb.ones(1).var()


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64", "bool"])
def test_integers_are_summed_in_int64(dtype):
    a = draw((5, 400), dtype)
    assert fb.tensor(a).sum().dtype is fb.int64
    assert np.array_equal(fb.tensor(a).sum(1).numpy(), a.sum(1, dtype=np.int64))
    assert np.array_equal(fb.tensor(a).prod(0).numpy(), a.prod(0, dtype=np.int64))
    assert fb.tensor(a).sum(dtype=fb.float32).item() == a.sum()
    with pytest.raises(RuntimeError, match=dtype):
        fb.tensor(a).mean()
    with pytest.raises(RuntimeError, match=dtype):
        fb.tensor(a).var()
    assert fb.tensor(a).mean(dtype=fb.float64).item() == pytest.approx(a.mean())


def test_half_precision_is_reduced_in_float32():
    x = fb.full((100_000,), 0.1, dtype=fb.float16)
    assert x.sum().item() == pytest.approx(np.float16(0.1).astype(np.float64) * 100_000, rel=1e-3)
    y = fb.ones(4097, dtype=fb.bfloat16)
    assert y.sum().item() == 4096  # the nearest bfloat16, which adding ones in bfloat16 would never reach
    assert y.mean().item() == 1
    z = fb.zeros(3000, dtype=fb.float16)
    assert z.logsumexp(0).item() == pytest.approx(np.log(3000), rel=1e-3)


def test_prod_of_many_elements_matches_numpy():
    a = 1 + draw((1_000_003,), "float64") / 1e3
    assert fb.tensor(a).prod().item() == pytest.approx(a.prod(), rel=1e-10)
    for value in (0.0, np.nan):
        a[900_000] = value
        assert fb.tensor(a).prod().item() == pytest.approx(value, nan_ok=True)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "bfloat16", "float32", "float64", "complex64"])
@pytest.mark.parametrize("size", [0, 1, 2047, 2049, 200_000])
def test_equal_compares_every_element(dtype, size):
    x = fb.ones(size, dtype=getattr(fb, dtype))
    y = x.clone()
    assert fb.equal(x, y) and fb.equal(x, fb.ones(2 * size, dtype=x.dtype)[::2]) and fb.equal(x, fb.ones(size))
    for place in {0, size // 2, size - 1} if size else ():
        y[place] = 0
        assert not fb.equal(x, y) and not fb.equal(x.to(fb.float64 if not x.is_complex() else x.dtype), y)
        y[place] = 1
    if x.is_floating_point() and size:
        x[-1] = y[-1] = float("nan")
        assert not fb.equal(x, y) and not fb.equal(x, x)
        x[-1], y[-1] = 0.0, -0.0
        assert fb.equal(x, y)


def test_norm_count_nonzero_and_var_mean_match_numpy():
    a = draw((4, 5), "float64")
    x = fb.tensor(a)
    for p in (1, 2, 3, np.inf):
        assert x.norm(p).item() == pytest.approx(np.linalg.norm(a.ravel(), p))
        np.testing.assert_allclose(x.norm(p, dim=1).numpy(), np.linalg.norm(a, p, axis=1))
    assert fb.count_nonzero(fb.tensor([[0, 1], [2, 0]]), 0).tolist() == [1, 1]
    assert fb.equal(x, x.clone()) and not fb.equal(x, x + 1) and not fb.equal(x, x[0])
    y = a + np.array([0, 1e-9, 1e-3, np.nan, np.inf])
    for equal_nan in (False, True):
        assert np.array_equal(
            fb.isclose(x, fb.tensor(y), equal_nan=equal_nan).numpy(), np.isclose(a, y, equal_nan=equal_nan)
        )
        assert fb.allclose(x, fb.tensor(y), equal_nan=equal_nan) == np.allclose(a, y, equal_nan=equal_nan)
    variance, mean = fb.var_mean(x, 0)
    np.testing.assert_allclose(variance.numpy(), a.var(0, ddof=1))
    np.testing.assert_allclose(mean.numpy(), a.mean(0))


@pytest.mark.parametrize(
    "name",
    ["sum", "mean", "prod", "amax", "amin", "argmax", "any", "all", "logsumexp", "var", "max", "cumsum", "softmax"],
)
@pytest.mark.parametrize("dim", [2, -3, 2**40, -(2**63)])
def test_reductions_reject_dimensions_out_of_range(name, dim):
    with pytest.raises(IndexError, match=rf"\[-2, 1\], but got {dim}"):
        getattr(fb.ones(2, 3), name)(dim)


def test_reductions_reject_repeated_dimensions():
    for name in ("sum", "amax", "var", "any", "logsumexp"):
        with pytest.raises(RuntimeError, match="dim 0 appears multiple times"):
            getattr(fb.ones(2, 3), name)((0, -2))


def test_long_sums_means_and_variances_are_accurate():
    a = np.random.default_rng(0).random(3_000_001).astype(np.float32)
    assert fb.tensor(a).sum().item() == pytest.approx(a.sum(dtype=np.float64), rel=1e-6)
    assert fb.tensor(a).mean().item() == pytest.approx(a.mean(dtype=np.float64), rel=1e-6)
    assert (fb.tensor(a) + 1000).var().item() == pytest.approx(
        (a + np.float32(1000)).astype(np.float64).var(ddof=1), rel=1e-4
    )


LAYOUTS = [
    ((40, 50, 60), (0, 2)),
    ((3, 4, 5, 6), (0, 2)),
    ((3, 4, 5, 6), (1, 3)),
    ((200_000, 3), (0,)),
    ((200_000, 3), (1,)),
    ((3, 200_000), (1,)),
    ((2, 70_000, 5), (1,)),
    ((5000, 40), (0,)),
    ((50, 5000), (0,)),
    ((1, 300_000, 1), (1,)),
]


@pytest.mark.parametrize("order", ["kept", "reversed", "strided"])
@pytest.mark.parametrize(("shape", "dims"), LAYOUTS)
def test_reductions_of_every_layout_match_numpy(shape, dims, order):
    a = draw(shape, "float64")
    x = fb.tensor(a)
    if order == "reversed":
        a, x = a.transpose(), x.permute(*range(len(shape))[::-1])
        dims = tuple(len(shape) - 1 - d for d in dims)
    elif order == "strided":
        a, x = a[..., ::2], x[..., ::2]
    for keepdim in (False, True):
        for name in ("sum", "mean", "var", "amax", "amin"):
            options = {"axis": dims, "keepdims": keepdim} | ({"ddof": 1} if name == "var" else {})
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                want = getattr(np, name)(a, **options)
            got = getattr(x, name)(dims, keepdim=keepdim)
            assert got.is_contiguous()
            np.testing.assert_allclose(got.numpy(), want, rtol=1e-10, atol=1e-10)
        assert np.array_equal(x.count_nonzero(dims).numpy(), np.count_nonzero(a, axis=dims))
        if len(dims) == 1:
            assert np.array_equal(x.argmax(dims[0], keepdim).numpy(), a.argmax(dims[0], keepdims=keepdim))
            assert np.array_equal(x.min(dims[0], keepdim).values.numpy(), a.min(dims[0], keepdims=keepdim))


@pytest.mark.parametrize(
    "dtype",
    ["bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64", "float16", "float32", "float64"],
)
@pytest.mark.parametrize(("shape", "dim"), [((1000,), None), ((40, 30), 0), ((40, 30), 1)])
def test_argmax_and_aminmax_of_every_dtype_match_numpy(shape, dim, dtype):
    a = draw(shape, dtype) * (1 if dtype == "bool" else np.asarray(3, dtype))
    x = fb.tensor(a)
    assert np.array_equal(x.argmax(dim).numpy(), a.argmax(dim))
    low, high = x.aminmax(dim=dim)
    assert np.array_equal(low.numpy(), a.min(dim)) and np.array_equal(high.numpy(), a.max(dim))


@pytest.mark.parametrize("dim", [None, 0, 1, (0, 1)])
def test_nansum_and_nanmean_ignore_nan(dim):
    a = draw((30, 40), "float64")
    a[2, 3] = a[5] = np.nan
    x = fb.tensor(a)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the mean of nothing
        np.testing.assert_allclose(x.nanmean(dim).numpy(), np.nanmean(a, dim), rtol=1e-12)
    with pytest.raises(RuntimeError, match="int64"):
        fb.nanmean(fb.tensor([1, 2]))


@pytest.mark.parametrize("name", ["nansum", "nanprod", "nanmean"])
@pytest.mark.parametrize("dim", [None, 0, 1])
def test_reductions_of_complex_numbers_ignore_nan(name, dim):
    a = draw((3, 4), "float64") + 1j * draw((3, 4), "float64")
    a[0, 1], a[2, 2] = complex(np.nan, 1), complex(2, np.nan)
    np.testing.assert_allclose(getattr(fb, name)(fb.tensor(a), dim).numpy(), getattr(np, name)(a, dim), rtol=1e-12)


def test_var_accepts_all_forms_of_the_correction():
    a = draw((30, 40), "float64")
    x = fb.tensor(a)
    for got, want in (
        (x.var(False), a.var()),
        (x.var(0, False), a.var(0)),
        (x.var(0, False, True), a.var(0, keepdims=True)),
        (x.var(unbiased=False), a.var()),
        (x.std((0, 1), correction=2), a.std(ddof=2)),
        (fb.var_mean(x, False)[0], a.var()),
        (fb.var_mean(x, 1, True)[0], a.var(1, ddof=1)),
        (fb.var_mean(x, (0, 1), keepdim=True)[1], a.mean(keepdims=True)),
        (fb.std_mean(x, 0, correction=0)[0], a.std(0)),
        (fb.std_mean(x, 0)[1], a.mean(0)),
    ):
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-12)
    with pytest.raises(TypeError, match="both"):
        x.var(0, unbiased=True, correction=1)


def test_sum_to_size_sums_over_broadcast_dimensions():
    a = draw((2, 3, 4), "float64")
    x = fb.tensor(a)
    np.testing.assert_allclose(x.sum_to_size(3, 1).numpy(), a.sum((0, 2))[:, None])
    assert x.sum_to_size((2, 3, 4)).shape == (2, 3, 4)
    with pytest.raises(RuntimeError, match=r"\[2, 4\].*\[2, 3, 4\]"):
        x.sum_to_size(2, 4)


def test_renorm_limits_the_norms_of_slices():
    a = draw((3, 4, 2), "float64")
    for p in (1, 2, 3.5):
        norms = (np.abs(a) ** p).sum((0, 2), keepdims=True) ** (1 / p)
        want = a * np.where(norms > 2, 2 / (norms + 1e-7), 1)
        np.testing.assert_allclose(fb.renorm(fb.tensor(a), p, 1, 2.0).numpy(), want, rtol=1e-12)
    for arguments, error in (((0, 1, 1.0), RuntimeError), ((2, 1, -1.0), RuntimeError), ((2, 3, 1.0), IndexError)):
        with pytest.raises(error):
            fb.ones(2, 2).renorm(*arguments)
    with pytest.raises(RuntimeError, match="2 dimensions"):
        fb.ones(2).renorm(2, 0, 1.0)


@pytest.mark.parametrize("name", ["sum", "mean", "var", "prod", "norm", "amax", "argmax", "logsumexp"])
@pytest.mark.parametrize(("shape", "dim"), [((1_000_001,), 0), ((70_000, 7), 0), ((3, 300_000), 1), ((60, 70, 80), 1)])
def test_reductions_do_not_depend_on_the_number_of_threads(name, shape, dim):
    x = fb.tensor(1 + draw(shape, "float32") / 1000)
    call = (lambda: x.norm(2, dim)) if name == "norm" else (lambda: getattr(x, name)(dim))
    fb.set_num_threads(1)
    want = call()
    for threads in (2, 5):
        fb.set_num_threads(threads)
        assert fb.equal(call(), want)


def test_reductions_of_complex_numbers_match_numpy():
    rng = np.random.default_rng(0)
    a = rng.standard_normal((30, 40)) + 1j * rng.standard_normal((30, 40))
    x = fb.tensor(a)
    for dim in (None, 0, 1):
        for name in ("sum", "mean", "prod"):
            np.testing.assert_allclose(getattr(x, name)(dim).numpy(), getattr(a, name)(dim), rtol=1e-9)
        np.testing.assert_allclose(x.var(dim).numpy(), a.var(dim, ddof=1), rtol=1e-12)
        np.testing.assert_allclose(x.std(dim).numpy(), a.std(dim, ddof=1), rtol=1e-12)
    for p in (1, 2, 3, np.inf, -np.inf):
        want = np.linalg.norm(np.abs(a), p, 1)
        np.testing.assert_allclose(x.norm(p, 1).numpy(), want, rtol=1e-12)
    np.testing.assert_allclose(x.cumsum(0).numpy(), a.cumsum(0), rtol=1e-9)
    np.testing.assert_allclose(x.cumprod(1).numpy(), a.cumprod(1), rtol=1e-9)
    want = np.log(np.exp(a).cumsum(0))
    np.testing.assert_allclose(np.exp(x.logcumsumexp(0).numpy() - want), 1, rtol=1e-9)
    for name in ("amax", "amin", "argmax", "max"):
        with pytest.raises(RuntimeError):
            getattr(x, name)()


@pytest.mark.parametrize("length", [1, 2, 7, 9, 31, 33, 100, 1000, 20_001])
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_sums_of_complex_rows_match_numpy(length, dtype):
    rng = np.random.default_rng(length)
    x = (rng.standard_normal((3, length)) + 1j * rng.standard_normal((3, length))).astype(dtype)
    want = x.astype(np.complex128).sum(1)
    np.testing.assert_allclose(fb.tensor(x).sum(1).numpy(), want, atol=(1e-4 if dtype == np.complex64 else 1e-12))


@pytest.mark.parametrize("name", ["sum", "prod", "mean", "amax", "any", "count_nonzero", "logsumexp", "var"])
def test_reductions_accept_long_and_empty_dimensions(name):
    assert getattr(fb, name)(fb.zeros(300_000, 0), dim=0).shape == (0,)
    assert getattr(fb, name)(fb.zeros(2, 300_000, 0, 3), dim=1).shape == (2, 0, 3)


@pytest.mark.parametrize("columns", [2, 100, 1000])
@pytest.mark.parametrize("rows", [3, 8, 13, 16])
def test_sums_of_few_rows_equal_a_loop_that_adds_the_rows(rows, columns):
    values = np.random.default_rng(0).standard_normal((rows, columns)).astype(np.float32)
    expected = np.zeros(columns, np.float32)
    for row in values:
        expected += row
    assert np.array_equal(fb.tensor(values).sum(0).numpy(), expected)
    assert np.array_equal(fb.tensor(values.T).sum(1).numpy(), expected)
