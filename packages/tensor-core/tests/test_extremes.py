"""Tests of the largest and smallest elements and their positions against NumPy."""

import numpy as np
import pytest
from reduction_cases import CASES, draw

import flambeau as fb


@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool"]
)
@pytest.mark.parametrize(("shape", "dim", "keepdim"), CASES)
def test_any_all_max_and_min_match_numpy(shape, dim, keepdim, dtype):
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


@pytest.mark.parametrize("shape", [(9,), (70,), (5, 9), (9, 5), (5000,), (9000,)])
def test_max_and_min_propagate_nan(shape):
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
def test_the_first_of_equal_extremes_is_returned(shape, dtype):
    a = draw(shape, "int64").astype(dtype)
    x = fb.tensor(a)
    for dim in (0, 1):
        assert np.array_equal(x.argmax(dim).numpy(), a.argmax(dim))
        assert np.array_equal(x.argmin(dim).numpy(), a.argmin(dim))
        assert np.array_equal(x.t().argmax(1 - dim).numpy(), a.argmax(dim))
    assert x.argmax().item() == a.argmax()


def test_max_and_min_reject_empty_dimensions():
    with pytest.raises(RuntimeError, match="numel"):
        fb.zeros(0).max()
    with pytest.raises(IndexError, match="numel"):
        fb.zeros(0).argmax()
    with pytest.raises(IndexError, match=r"\[0, 3\]"):
        fb.zeros(0, 3).max(0)
    assert fb.zeros(0, 3).max(1).values.shape == (0,)


def test_results_of_max_and_min_have_named_fields():
    pair = fb.tensor([[1.0, 3.0], [4.0, 2.0]]).max(1)
    values, indices = pair
    assert pair.values.tolist() == values.tolist() == [3, 4]
    assert pair.indices.tolist() == indices.tolist() == [1, 0]
    assert fb.max(fb.tensor([1, 5]), fb.tensor([4, 2])).tolist() == [4, 5]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64"])
def test_max_and_min_are_correct_for_rows_of_every_length(dtype):
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


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "bool"])
@pytest.mark.parametrize("shape", [(1000, 10), (517, 3), (2000, 64), (700, 65), (64, 7), (1, 5)])
def test_argmax_and_argmin_over_few_columns_match_numpy(shape, dtype):
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
def test_max_and_min_of_narrow_integers_match_numpy(n, dtype):
    limits = np.iinfo(dtype)
    x = np.random.default_rng(n).integers(limits.min, limits.max + 1, n).astype(dtype)
    assert (int(fb.tensor(x).amax()), int(fb.tensor(x).amin())) == (x.max(), x.min())


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8"])
def test_aminmax_of_many_elements_matches_numpy(dtype):
    x = (100 * np.random.default_rng(3).random(300_001)).astype(dtype)
    t = fb.tensor(x)
    low, high = t.aminmax()
    assert (low.item(), high.item(), low.dtype, high.dtype) == (x.min(), x.max(), t.dtype, t.dtype)
    if dtype.startswith("float"):
        t[200_000] = np.nan
        assert all(value.isnan() for value in t.aminmax())
