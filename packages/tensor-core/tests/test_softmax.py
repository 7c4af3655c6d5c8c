"""Softmax and logsumexp against SciPy."""

import numpy as np
import pytest
from reduction_cases import CASES, FLOATS, close, draw
from scipy import special

import flambeau as fb


@pytest.mark.parametrize("shape", [(), (5,), (3, 4), (2, 3, 4), (0, 3), (3, 0), (3, 5000)])
@pytest.mark.parametrize("dtype", FLOATS)
def test_softmax_and_log_softmax_match_scipy(shape, dtype):
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


def test_softmax_of_extreme_values_is_exact():
    x = fb.tensor([[1000.0, 0.0, -1000.0], [-np.inf, 0.0, 0.0], [-np.inf, -np.inf, 3.0]])
    assert fb.softmax(x, 1).tolist() == [[1, 0, 0], [0, 0.5, 0.5], [0, 0, 1]]
    assert np.isnan(fb.softmax(fb.tensor([-np.inf, -np.inf]), 0).numpy()).all()
    assert fb.softmax(fb.tensor([1, 2]), 0, dtype=fb.float32).dtype is fb.float32
    with pytest.raises(RuntimeError, match="int64"):
        fb.softmax(fb.tensor([1, 2]), 0)


@pytest.mark.parametrize(("shape", "dim", "keepdim"), [case for case in CASES if case[1] is not None])
def test_logsumexp_matches_scipy(shape, dim, keepdim):
    a = draw(shape, "float64") * 500
    axes = np.atleast_1d(dim)
    if any(a.shape[d] == 0 for d in axes):
        assert np.all(np.isneginf(fb.tensor(a).logsumexp(dim, keepdim).numpy()))
        return
    want = special.logsumexp(a, axis=dim, keepdims=keepdim) if a.size else np.sum(a, axis=dim, keepdims=keepdim)
    close(fb.tensor(a).logsumexp(dim, keepdim), want, "float64")


def test_logsumexp_of_infinities_is_correct():
    inf = np.inf
    x = fb.tensor([[inf, 0.0], [-inf, -inf], [-inf, 2.0], [np.nan, 0.0]])
    got = x.logsumexp(1).tolist()
    assert got[:3] == [inf, -inf, 2.0]
    assert np.isnan(got[3])


@pytest.mark.parametrize("shape", [(1_000_003,), (3, 200_001), (2, 300, 1000)])
def test_logsumexp_of_many_elements_matches_scipy(shape):
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


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(5, 16), (5, 17), (70, 145), (300, 200), (3, 70, 40)])
def test_softmax_of_columns_matches_scipy_and_propagates_nan(shape, dtype):
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
