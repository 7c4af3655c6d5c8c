"""Reductions against NumPy over every choice of dimensions."""

import itertools
import warnings

import numpy as np
import pytest
from scipy import special

import flambeau as fb

SHAPES = [(), (7,), (1,), (3, 4), (2, 3, 4), (2, 1, 3, 2), (4, 0), (0, 3), (130, 70)]
FLOATS = ["float32", "float64"]


def draw(shape, dtype):
    rng = np.random.default_rng(list(shape) + [5])
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if "int" in dtype:
        return rng.integers(0, 5, shape).astype(dtype)
    return np.asarray(rng.standard_normal(shape)).astype(dtype)


def choices(shape):
    """None, every single dimension from both ends, and every pair."""
    n = len(shape)
    yield None
    yield from range(-n, n)
    yield from itertools.combinations(range(n), 2)
    if n > 2:
        yield tuple(range(n))


CASES = [(shape, dim, keepdim) for shape in SHAPES for dim in choices(shape) for keepdim in (False, True)]


def close(got, want, dtype):
    assert got.shape == want.shape
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(got.numpy(), want, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("shape", "dim", "keepdim"), CASES)
def test_sums(shape, dim, keepdim, dtype):
    a = draw(shape, dtype)
    x = fb.tensor(a)
    for name in ("sum", "mean", "prod"):
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the mean of nothing
            want = getattr(np, name)(a.astype(np.float64), axis=dim, keepdims=keepdim)
        close(getattr(x, name)(dim, keepdim=keepdim), want, dtype)


@pytest.mark.parametrize(("shape", "dim", "keepdim"), CASES)
@pytest.mark.parametrize("correction", [0, 1, 2.5])
def test_spread(shape, dim, keepdim, correction):
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
    close(x.var(dim, correction=correction, keepdim=keepdim), want, "float32")
    with np.errstate(all="ignore"):
        close(x.std(dim, correction=correction, keepdim=keepdim), np.sqrt(want), "float32")


@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool"]
)
@pytest.mark.parametrize(("shape", "dim", "keepdim"), CASES)
def test_extremes_and_truth(shape, dim, keepdim, dtype):
    a = draw(shape, dtype)
    x = fb.tensor(a)
    for name in ("any", "all"):
        want = getattr(np, name)(a, axis=dim, keepdims=keepdim)
        got = getattr(x, name)(dim, keepdim=keepdim)
        assert got.dtype is (fb.uint8 if dtype == "uint8" else fb.bool)
        assert np.array_equal(got.numpy(), want)
    axes = range(a.ndim) if dim is None else np.atleast_1d(dim)
    if any(a.shape[d] == 0 for d in axes):
        for name in ("amax", "amin"):
            with pytest.raises((IndexError, RuntimeError), match=r"non-zero size|numel"):
                getattr(x, name)(() if dim is None else dim)
        return
    for name in ("amax", "amin"):
        want = getattr(np, name)(a, axis=dim, keepdims=keepdim)
        assert np.array_equal(getattr(x, name)(() if dim is None else dim, keepdim).numpy(), want)
    if isinstance(dim, int) and dtype != "bool":
        for name, arg in (("max", np.argmax), ("min", np.argmin)):
            want = arg(a, axis=dim)
            want = np.expand_dims(want, dim) if keepdim else want
            pair = getattr(x, name)(dim, keepdim)
            assert np.array_equal(pair.indices.numpy(), want)
            assert np.array_equal(pair.values.numpy(), getattr(np, name)(a, axis=dim, keepdims=keepdim))
            assert np.array_equal(getattr(x, "arg" + name)(dim, keepdim).numpy(), want)
    elif dim is None and a.size and not keepdim:
        assert x.max().item() == a.max() and x.min().item() == a.min()
        assert x.argmax().item() == a.argmax() and x.argmin().item() == a.argmin()


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


def test_half_types_are_reduced_in_float32():
    x = fb.full((100_000,), 0.1, dtype=fb.float16)
    assert x.sum().item() == pytest.approx(np.float16(0.1).astype(np.float64) * 100_000, rel=1e-3)
    y = fb.ones(4097, dtype=fb.bfloat16)
    assert y.sum().item() == 4096  # the nearest bfloat16, which adding ones in bfloat16 would never reach
    assert y.mean().item() == 1
    z = fb.zeros(3000, dtype=fb.float16)
    assert z.logsumexp(0).item() == pytest.approx(np.log(3000), rel=1e-3)


@pytest.mark.parametrize("shape", [(9,), (70,), (5, 9), (9, 5), (5000,), (9000,)])
def test_nan_spreads(shape):
    a = draw(shape, "float32")
    for place in (0, a.size // 2, a.size - 1):
        b = a.copy()
        b.ravel()[place] = np.nan
        x = fb.tensor(b)
        for name in ("sum", "mean", "prod", "max", "min", "amax", "amin"):
            assert np.isnan(getattr(x, name)().item()), name
        assert x.argmax().item() == place
        assert x.argmin().item() == place
        for dim in range(b.ndim):
            assert np.array_equal(x.amax(dim).numpy(), b.max(dim), equal_nan=True)
            assert np.array_equal(x.argmax(dim).numpy(), b.argmax(dim))
            assert np.array_equal(x.argmin(dim).numpy(), b.argmin(dim))
            assert np.array_equal(x.max(dim).values.numpy(), b.max(dim), equal_nan=True)


@pytest.mark.parametrize("dtype", ["float32", "int64", "uint8"])
@pytest.mark.parametrize("shape", [(200, 3), (3, 200), (5000, 2), (2, 5000)])
def test_ties_go_to_the_first(shape, dtype):
    a = draw(shape, "int64").astype(dtype)
    x = fb.tensor(a)
    for dim in (0, 1):
        assert np.array_equal(x.argmax(dim).numpy(), a.argmax(dim))
        assert np.array_equal(x.argmin(dim).numpy(), a.argmin(dim))
        assert np.array_equal(x.t().argmax(1 - dim).numpy(), a.argmax(dim))
    assert x.argmax().item() == a.argmax()


@pytest.mark.parametrize("shape", [(), (5,), (3, 4), (2, 3, 4), (0, 3), (3, 0), (3, 5000)])
@pytest.mark.parametrize("dtype", FLOATS)
def test_softmax(shape, dtype):
    a = draw(shape, dtype) * 20
    x = fb.tensor(a)
    for dim in range(-len(shape), len(shape)):
        if a.shape[dim] == 0:
            assert fb.softmax(x, dim).shape == shape
            continue
        close(fb.softmax(x, dim), special.softmax(a.astype(np.float64), dim), dtype)
        close(fb.log_softmax(x, dim), special.log_softmax(a.astype(np.float64), dim), dtype)
    if not shape:
        assert fb.softmax(x, 0).item() == 1
        assert fb.log_softmax(x, 0).item() == 0


def test_softmax_of_extremes():
    x = fb.tensor([[1000.0, 0.0, -1000.0], [-np.inf, 0.0, 0.0], [-np.inf, -np.inf, 3.0]])
    assert fb.softmax(x, 1).tolist() == [[1, 0, 0], [0, 0.5, 0.5], [0, 0, 1]]
    assert np.isnan(fb.softmax(fb.tensor([-np.inf, -np.inf]), 0).numpy()).all()
    assert fb.softmax(fb.tensor([1, 2]), 0, dtype=fb.float32).dtype is fb.float32
    with pytest.raises(RuntimeError, match="int64"):
        fb.softmax(fb.tensor([1, 2]), 0)


@pytest.mark.parametrize(("shape", "dim", "keepdim"), [case for case in CASES if case[1] is not None])
def test_logsumexp(shape, dim, keepdim):
    a = draw(shape, "float64") * 500
    axes = np.atleast_1d(dim)
    if any(a.shape[d] == 0 for d in axes):
        assert np.all(np.isneginf(fb.tensor(a).logsumexp(dim, keepdim).numpy()))
        return
    want = special.logsumexp(a, axis=dim, keepdims=keepdim) if a.size else np.sum(a, axis=dim, keepdims=keepdim)
    close(fb.tensor(a).logsumexp(dim, keepdim), want, "float64")


def test_logsumexp_of_infinities():
    inf = np.inf
    x = fb.tensor([[inf, 0.0], [-inf, -inf], [-inf, 2.0], [np.nan, 0.0]])
    got = x.logsumexp(1).tolist()
    assert got[:3] == [inf, -inf, 2.0]
    assert np.isnan(got[3])


@pytest.mark.parametrize("shape", [(1_000_003,), (3, 200_001), (2, 300, 1000)])
def test_logsumexp_of_many(shape):
    a = draw(shape, "float32") * 30
    axes = tuple(range(max(0, a.ndim - 2), a.ndim)) if a.ndim != 2 else (1,)
    want = special.logsumexp(a.astype(np.float64), axis=axes)
    np.testing.assert_allclose(fb.tensor(a).logsumexp(axes).numpy(), want, rtol=1e-6)
    a[..., -1] = -np.inf
    assert np.isfinite(fb.tensor(a).logsumexp(axes).numpy()).all()
    a[..., 70] = np.inf
    assert np.isposinf(fb.tensor(a).logsumexp(axes).numpy()).all()
    a[..., 7] = np.nan
    assert np.isnan(fb.tensor(a).logsumexp(axes).numpy()).all()


def test_products_of_many():
    a = 1 + draw((1_000_003,), "float64") / 1e3
    assert fb.tensor(a).prod().item() == pytest.approx(a.prod(), rel=1e-10)
    for value in (0.0, np.nan):
        a[900_000] = value
        assert fb.tensor(a).prod().item() == pytest.approx(value, nan_ok=True)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "bfloat16", "float32", "float64", "complex64"])
@pytest.mark.parametrize("size", [0, 1, 2047, 2049, 200_000])
def test_equal_looks_at_every_element(dtype, size):
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


def test_norm_and_counts():
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
def test_dimensions_out_of_range(name, dim):
    with pytest.raises(IndexError, match=rf"\[-2, 1\], but got {dim}"):
        getattr(fb.ones(2, 3), name)(dim)


def test_repeated_dimensions():
    for name in ("sum", "amax", "var", "any", "logsumexp"):
        with pytest.raises(RuntimeError, match="dim 0 appears multiple times"):
            getattr(fb.ones(2, 3), name)((0, -2))


def test_empty_extremes():
    with pytest.raises(RuntimeError, match="numel"):
        fb.zeros(0).max()
    with pytest.raises(IndexError, match="numel"):
        fb.zeros(0).argmax()
    with pytest.raises(IndexError, match=r"\[0, 3\]"):
        fb.zeros(0, 3).max(0)
    assert fb.zeros(0, 3).max(1).values.shape == (0,)


def test_pairs_have_names():
    pair = fb.tensor([[1.0, 3.0], [4.0, 2.0]]).max(1)
    values, indices = pair
    assert pair.values.tolist() == values.tolist() == [3, 4]
    assert pair.indices.tolist() == indices.tolist() == [1, 0]
    assert fb.max(fb.tensor([1, 5]), fb.tensor([4, 2])).tolist() == [4, 5]


def test_accuracy_of_a_long_sum():
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
def test_layouts(shape, dims, order):
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
@pytest.mark.parametrize(("shape", "dim"), [((1000,), None), ((40, 30), 0), ((40, 30), 1), ((9, 8, 7), (0, 2))])
def test_every_dtype_is_read_as_it_is(shape, dim, dtype):
    a = draw(shape, dtype) * (1 if dtype == "bool" else np.asarray(3, dtype))
    x = fb.tensor(a)
    wide = np.float64 if "float" in dtype else np.int64
    tolerance = 3e-3 if dtype == "float16" else 1e-4
    np.testing.assert_allclose(x.sum(dim).double().numpy(), a.sum(dim, dtype=wide), rtol=tolerance, atol=tolerance * 30)
    for name in ("any", "all"):
        assert np.array_equal(getattr(x, name)(dim).numpy(), getattr(np, name)(a, axis=dim))
    assert np.array_equal(x.amax(() if dim is None else dim).numpy(), a.max(dim))
    assert np.array_equal(x.amin(() if dim is None else dim).numpy(), a.min(dim))
    assert np.array_equal(x.count_nonzero(dim).numpy(), np.count_nonzero(a, axis=dim))
    if not isinstance(dim, tuple):
        assert np.array_equal(x.argmax(dim).numpy(), a.argmax(dim))
        low, high = x.aminmax(dim=dim)
        assert np.array_equal(low.numpy(), a.min(dim)) and np.array_equal(high.numpy(), a.max(dim))


@pytest.mark.parametrize("dim", [None, 0, 1, (0, 1)])
def test_nan_left_out(dim):
    a = draw((30, 40), "float64")
    a[2, 3] = a[5] = np.nan
    x = fb.tensor(a)
    np.testing.assert_allclose(x.nansum(dim).numpy(), np.nansum(a, dim), rtol=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the mean of nothing
        np.testing.assert_allclose(x.nanmean(dim).numpy(), np.nanmean(a, dim), rtol=1e-12)
    assert fb.nansum(fb.tensor([1, 2])).item() == 3
    with pytest.raises(RuntimeError, match="int64"):
        fb.nanmean(fb.tensor([1, 2]))


def test_ways_to_ask_for_a_spread():
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


def test_sum_to_size():
    a = draw((2, 3, 4), "float64")
    x = fb.tensor(a)
    np.testing.assert_allclose(x.sum_to_size(3, 1).numpy(), a.sum((0, 2))[:, None])
    assert x.sum_to_size((2, 3, 4)).shape == (2, 3, 4)
    with pytest.raises(RuntimeError, match=r"\[2, 4\].*\[2, 3, 4\]"):
        x.sum_to_size(2, 4)


def test_renorm():
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
def test_threads_make_no_difference(name, shape, dim):
    x = fb.tensor(1 + draw(shape, "float32") / 1000)
    call = (lambda: x.norm(2, dim)) if name == "norm" else (lambda: getattr(x, name)(dim))
    fb.set_num_threads(1)
    want = call()
    for threads in (2, 5):
        fb.set_num_threads(threads)
        assert fb.equal(call(), want)


def test_complex_reductions():
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


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64"])
def test_extremes_of_rows_of_every_length(dtype):
    for length in (*range(1, 70), 100, 127, 128, 129, 255, 513, 1000):
        a = draw((3, length), dtype)
        for place in {0, length // 2, length - 1}:
            a[1, place] = -9
            a[2, place] = 9
            x = fb.from_numpy(a)
            assert np.array_equal(x.amax(1).numpy(), a.max(1)), (length, place)
            assert np.array_equal(x.amin(1).numpy(), a.min(1)), (length, place)
            if dtype.startswith("float"):
                broken = a.copy()
                broken[0, place] = np.nan
                assert np.isnan(fb.from_numpy(broken).amax(1).numpy()).tolist() == [True, False, False]
                assert np.isnan(fb.from_numpy(broken).amin(1).numpy()).tolist() == [True, False, False]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(5, 16), (5, 17), (70, 145), (300, 200), (3, 70, 40)])
def test_softmax_down_columns(shape, dtype):
    a = draw(shape, dtype)
    a[0, ..., 3] = np.nan
    a[1, ..., 5] = np.inf
    a[:, ..., 7] = -np.inf
    with np.errstate(all="ignore"):
        wanted = special.softmax(a.astype(np.float64), 0), special.log_softmax(a.astype(np.float64), 0)
    for got, want in zip((fb.softmax(fb.from_numpy(a), 0), fb.log_softmax(fb.from_numpy(a), 0)), wanted, strict=True):
        ordinary = np.isfinite(a).all(0)
        np.testing.assert_allclose(
            got.numpy()[:, ordinary], want[:, ordinary], rtol=1e-5 if dtype == "float32" else 1e-12
        )
        assert np.isnan(got.numpy()[..., [3, 5, 7]]).any(0).all()


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "bool"])
@pytest.mark.parametrize("shape", [(1000, 10), (517, 3), (2000, 64), (700, 65), (64, 7), (1, 5)])
def test_positions_of_extremes_down_few_columns(shape, dtype):
    x = np.random.default_rng(5).integers(0, 40, shape).astype(dtype)
    t = fb.tensor(x)
    for largest, own, reference in ((True, t.max(0), np.argmax), (False, t.min(0), np.argmin)):
        assert np.array_equal(own.indices.numpy(), reference(x, 0)), largest
        assert np.array_equal(own.values.numpy(), x.max(0) if largest else x.min(0))
    if dtype.startswith("float"):
        x[[shape[0] // 3, shape[0] // 2], 1] = np.nan
        assert fb.tensor(x).max(0).indices[1] == shape[0] // 3
        assert fb.tensor(x).argmin(0)[1] == shape[0] // 3


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint16"])
@pytest.mark.parametrize("n", [1, 15, 63, 64, 65, 255, 256, 300, 5000])
def test_extremes_of_narrow_integers(n, dtype):
    limits = np.iinfo(dtype)
    x = np.random.default_rng(n).integers(limits.min, limits.max + 1, n).astype(dtype)
    assert (int(fb.tensor(x).amax()), int(fb.tensor(x).amin())) == (x.max(), x.min())


@pytest.mark.parametrize("length", [1, 2, 7, 9, 31, 33, 100, 1000, 20_001])
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_sums_of_complex_rows(length, dtype):
    rng = np.random.default_rng(length)
    x = (rng.standard_normal((3, length)) + 1j * rng.standard_normal((3, length))).astype(dtype)
    want = x.astype(np.complex128).sum(1)
    np.testing.assert_allclose(fb.tensor(x).sum(1).numpy(), want, atol=(1e-4 if dtype == np.complex64 else 1e-12))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8"])
def test_both_extremes_of_many_elements(dtype):
    x = (100 * np.random.default_rng(3).random(300_001)).astype(dtype)
    t = fb.tensor(x)
    low, high = t.aminmax()
    assert (low.item(), high.item(), low.dtype, high.dtype) == (x.min(), x.max(), t.dtype, t.dtype)
    if dtype.startswith("float"):
        t[200_000] = np.nan
        assert all(value.isnan() for value in t.aminmax())
