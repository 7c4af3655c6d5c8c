"""Quantiles, covariances, histograms, distances, differences and integrals against NumPy and SciPy."""

import numpy as np
import pytest
from scipy import integrate
from scipy.spatial import distance

import flambeau as fb

INTERPOLATIONS = ["linear", "lower", "higher", "midpoint", "nearest"]


def draw(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape)


def close(got, want, tolerance=1e-12):
    assert got.shape == np.shape(want)
    np.testing.assert_allclose(got.numpy(), want, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dim", [None, 0, 1, -1])
@pytest.mark.parametrize("q", [0.0, 0.3, 0.5, 1.0, [0.0, 0.2, 0.9]])
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_quantile_and_nanquantile_match_numpy(interpolation, q, dim, keepdim):
    a = draw(3, 4, 5)
    given = fb.tensor(q, dtype=fb.float64) if isinstance(q, list) else q
    want = np.quantile(a, q, axis=dim, keepdims=keepdim, method=interpolation)
    close(fb.quantile(fb.tensor(a), given, dim, keepdim, interpolation=interpolation), want)
    a[0, 1, 2] = np.nan
    got = fb.quantile(fb.tensor(a), given, dim, keepdim, interpolation=interpolation)
    close(got, np.quantile(a, q, axis=dim, keepdims=keepdim, method=interpolation))
    got = fb.nanquantile(fb.tensor(a), given, dim, keepdim, interpolation=interpolation)
    close(got, np.nanquantile(a, q, axis=dim, keepdims=keepdim, method=interpolation))


def test_nanquantile_of_only_nan_is_nan():
    assert fb.nanquantile(fb.tensor([fb.nan, fb.nan]), 0.5).isnan()


@pytest.mark.parametrize("n", [0, 1, 2, 6])
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_diff_matches_numpy(n, dim):
    a = draw(3, 4, 5)
    close(fb.diff(fb.tensor(a), n, dim), np.diff(a, n, dim))
    ends = [a.take([0, 1], dim), a.take([2], dim)]
    got = fb.diff(fb.tensor(a), n, dim, *map(fb.tensor, ends))
    close(got, np.diff(a, n, dim, *ends) if n else a)


def test_diff_of_booleans_matches_numpy():
    a = np.array([True, True, False])
    assert np.array_equal(fb.diff(fb.tensor(a)).numpy(), np.diff(a))


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_trapezoid_and_cumulative_trapezoid_match_scipy(dim):
    y, x = draw(3, 4, 5), np.sort(draw(3, 4, 5), dim)
    grid = np.sort(draw(y.shape[dim]))
    for given, options in ((None, {}), (None, {"dx": 0.3}), (x, {}), (grid, {})):
        arguments = [fb.tensor(y)] + ([] if given is None else [fb.tensor(given)])
        close(fb.trapezoid(*arguments, dim=dim, **options), integrate.trapezoid(y, given, axis=dim, **options))
        got = fb.cumulative_trapezoid(*arguments, dim=dim, **options)
        close(got, integrate.cumulative_trapezoid(y, given, axis=dim, **options))
    assert fb.trapezoid(fb.tensor([1, 2, 4])).item() == 4.5
    assert fb.trapezoid(fb.zeros(0)).item() == 0


@pytest.mark.parametrize("weights", [{}, {"fweights"}, {"aweights"}, {"fweights", "aweights"}])
@pytest.mark.parametrize("correction", [0, 1, 2])
def test_cov_matches_numpy(weights, correction):
    a = draw(3, 6)
    given = {"fweights": np.array([1, 2, 0, 3, 1, 1]), "aweights": np.abs(draw(6))}
    options = {name: given[name] for name in weights}
    want = np.cov(a, ddof=correction, **options)
    close(fb.cov(fb.tensor(a), correction=correction, **{k: fb.tensor(v) for k, v in options.items()}), want)
    close(fb.cov(fb.tensor(a[0])), np.cov(a[0]))


def test_corrcoef_matches_numpy():
    a = draw(3, 6)
    close(fb.corrcoef(fb.tensor(a)), np.corrcoef(a))
    with pytest.warns(UserWarning, match="degrees of freedom"):
        assert fb.corrcoef(fb.tensor(3.0)).isnan()


@pytest.mark.parametrize("options", [{}, {"weight": True}, {"density": True}, {"weight": True, "density": True}])
@pytest.mark.parametrize("bins", [7, np.array([-2.0, 0.0, 1.0, 5.0])])
def test_histogram_matches_numpy(bins, options):
    a, weight = draw(500), np.abs(draw(500))
    edges = fb.tensor(bins) if isinstance(bins, np.ndarray) else bins
    mine = {"weight": fb.tensor(weight)} if "weight" in options else {}
    numpys = {"weights": weight} if "weight" in options else {}
    density = options.get("density", False)
    got = fb.histogram(fb.tensor(a), edges, density=density, **mine)
    want = np.histogram(a, bins, density=density, **numpys)
    close(got.hist, want[0])
    close(got.bin_edges, want[1])
    points = a.reshape(250, 2)
    mine = {name: w[:250] for name, w in mine.items()}
    numpys = {name: w[:250] for name, w in numpys.items()}
    got = fb.histogramdd(fb.tensor(points), [edges, edges], density=density, **mine)
    want = np.histogramdd(points, [bins, bins], density=density, **numpys)
    close(got.hist, want[0])
    for have, edge in zip(got.bin_edges, want[1], strict=True):
        close(have, edge)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [1, 7, 1000])
@pytest.mark.parametrize("kind", ["equidistant", "uneven", "repeated"])
def test_histogram_finds_the_bins_of_edges_and_their_neighbours(dtype, count, kind):
    random = np.random.default_rng(0)
    edges = np.linspace(-3, 2, count + 1, dtype=dtype)
    if kind != "equidistant":
        edges = np.sort(random.standard_normal(count + 1).astype(dtype) ** 5)
    if kind == "repeated":
        edges[1:-1:2] = edges[:-2:2][: len(edges[1:-1:2])]
    neighbours = [edges, np.nextafter(edges, dtype(9e9)), np.nextafter(edges, dtype(-9e9))]
    x = np.concatenate([*neighbours, random.standard_normal(5000).astype(dtype)])
    found = fb.histogram(fb.from_numpy(x), fb.from_numpy(edges)).hist.numpy()
    np.testing.assert_array_equal(found, np.histogram(x, edges)[0])


def test_histogram_ignores_elements_outside_the_range():
    x = fb.tensor([0.0, 1.0, 1.0, 2.0, 5.0])
    assert fb.histogram(x, 2, range=(0.0, 2.0)).hist.tolist() == [1, 3]
    assert fb.histogramdd(fb.stack([x, x], 1), 2, range=[0, 2, 1, 2]).hist.tolist() == [[0, 0], [2, 1]]


def test_isin_matches_numpy():
    a, b = np.random.default_rng(0).integers(0, 30, (2, 4, 5))
    for invert in (False, True):
        got = fb.isin(fb.tensor(a), fb.tensor(b), invert=invert)
        assert np.array_equal(got.numpy(), np.isin(a, b, invert=invert))
    assert fb.isin(3, fb.tensor([1, 3])).item()
    assert fb.isin(fb.tensor([1, 3]), 3).tolist() == [False, True]
    assert fb.isin(fb.tensor([1.5, 2.0, fb.nan]), fb.tensor([fb.nan, 2.0])).tolist() == [False, True, False]
    assert fb.isin(fb.tensor([1]), fb.tensor([])).tolist() == [False]


@pytest.mark.parametrize("p", [0, 0.5, 1, 2, 3, np.inf])
@pytest.mark.parametrize(("rows", "width"), [(4, 3), (30, 3), (131, 3), (30, 45)])
def test_cdist_pdist_and_dist_match_scipy(p, rows, width):
    a, b = draw(rows, width), draw(rows + 2, width)
    kind = {0: ("hamming",), np.inf: ("chebyshev",)}.get(p, ("minkowski", p))
    scale = width if p == 0 else 1
    options = {"p": p} if len(kind) == 2 else {}
    want = distance.cdist(a, b, kind[0], **options) * scale
    close(fb.cdist(fb.tensor(a), fb.tensor(b), p), want, 1e-7)
    mode = "donot_use_mm_for_euclid_dist"
    close(fb.cdist(fb.tensor(a), fb.tensor(b), p, compute_mode=mode), want)
    close(fb.pdist(fb.tensor(a), p), distance.pdist(a, kind[0], **options) * scale)
    batch = fb.cdist(fb.tensor(a).unsqueeze(0).expand(2, -1, -1), fb.tensor(b), p)
    assert batch.shape == (2, rows, rows + 2)
    close(fb.pairwise_distance(fb.tensor(a), fb.tensor(b[:rows]), p, eps=0.0), np.diagonal(want[:, :rows]))
    if p:
        want = (np.abs(a - a[::-1]) ** p).sum() ** (1 / p) if np.isfinite(p) else np.abs(a - a[::-1]).max()
        close(fb.dist(fb.tensor(a), fb.tensor(a[::-1].copy()), p), want)


def test_cosine_similarity_matches_scipy():
    a, b = draw(4, 5), draw(4, 5)
    want = [1 - distance.cosine(x, y) for x, y in zip(a, b, strict=True)]
    close(fb.cosine_similarity(fb.tensor(a), fb.tensor(b)), want)
    assert fb.cosine_similarity(fb.zeros(1, 3), fb.ones(1, 3)).item() == 0


ONES = fb.ones(2, 3)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: fb.quantile(ONES.half(), 0.5), RuntimeError, "float or double"),
        (lambda: fb.quantile(ONES, 2.0), RuntimeError, r"\[0, 1\] but got 2"),
        (lambda: fb.quantile(ONES, fb.tensor([0.5, 2.0])), RuntimeError, r"\[0, 1\]"),
        (lambda: fb.quantile(ONES, fb.tensor(0.5, dtype=fb.float64)), RuntimeError, "same dtype"),
        (lambda: fb.quantile(ONES, ONES), RuntimeError, "scalar or 1D"),
        (lambda: fb.quantile(ONES, 0.5, interpolation="cubic"), RuntimeError, "got cubic"),
        (lambda: fb.quantile(ONES[:0], 0.5), RuntimeError, "non-empty"),
        (lambda: fb.diff(fb.tensor(1.0)), RuntimeError, "one-dimensional"),
        (lambda: fb.diff(ONES, -1), RuntimeError, "non-negative"),
        (lambda: fb.diff(ONES, prepend=fb.ones(2)), RuntimeError, "same dimension"),
        (lambda: fb.diff(ONES, prepend=fb.ones(3, 3)), RuntimeError, r"size\(0\) = 2"),
        (lambda: fb.trapezoid(ONES, ONES, dx=1), TypeError, "both"),
        (lambda: fb.trapezoid(ONES, fb.ones(2)), RuntimeError, "got 2 for 3"),
        (lambda: fb.trapezoid(ONES > 0), RuntimeError, "bool"),
        (lambda: fb.trapezoid(fb.tensor(1.0)), IndexError, "no dimensions"),
        (lambda: fb.cov(fb.ones(1, 1, 1)), RuntimeError, "two or fewer"),
        (lambda: fb.cov(ONES > 0), RuntimeError, "bool"),
        (lambda: fb.cov(ONES, fweights=fb.ones(3)), RuntimeError, "integral"),
        (lambda: fb.cov(ONES, aweights=fb.tensor([1, 2, 3])), RuntimeError, "floating"),
        (lambda: fb.cov(ONES, fweights=fb.tensor([1, 2])), RuntimeError, "2 != 3"),
        (lambda: fb.cov(ONES, fweights=fb.tensor([1, -2, 3])), RuntimeError, "negative"),
        (lambda: fb.cov(ONES, fweights=fb.tensor([0, 0, 0])), RuntimeError, "zero"),
        (lambda: fb.corrcoef(fb.ones(1, 1, 1)), RuntimeError, "two or fewer"),
        (lambda: fb.histogram(fb.tensor([1]), 3), NotImplementedError, "int64"),
        (lambda: fb.histogram(ONES, 0), RuntimeError, "bins must be > 0"),
        (lambda: fb.histogram(ONES, 3, range=(2.0, 1.0)), RuntimeError, "min 2 max 1"),
        (lambda: fb.histogram(ONES * fb.inf, 3), RuntimeError, "not finite"),
        (lambda: fb.histogram(ONES, 3, weight=fb.ones(2)), RuntimeError, r"shape \[2\]"),
        (lambda: fb.histogramdd(ONES, [1, 2]), RuntimeError, "expected 3"),
        (lambda: fb.histogramdd(fb.ones(3), 2), RuntimeError, "at least 2"),
        (lambda: fb.isin(1, 2), TypeError, "must be Tensor"),
        (lambda: fb.isin(ONES > 0, ONES), RuntimeError, "bool"),
        (lambda: fb.cdist(fb.ones(3), ONES), RuntimeError, "X1 got: 1D"),
        (lambda: fb.cdist(ONES, fb.ones(2, 4)), RuntimeError, "X1: 3 X2: 4"),
        (lambda: fb.cdist(ONES, ONES, -1), RuntimeError, "non-negative"),
        (lambda: fb.cdist(ONES, ONES, compute_mode="mm"), ValueError, "mm is not"),
        (lambda: fb.cdist(ONES.long(), ONES.long()), RuntimeError, "floating"),
        (lambda: fb.pdist(fb.ones(3)), RuntimeError, "2D"),
        (lambda: fb.pdist(ONES, -1), RuntimeError, "non-negative"),
        (lambda: fb.cosine_similarity(ONES.long(), ONES.long()), RuntimeError, "floating"),
    ],
)
def test_statistics_functions_reject_invalid_arguments(call, error, text):
    with pytest.raises(error, match=text):
        call()


@pytest.mark.parametrize("reduce", ["sum", "mean", "max", "amax", "min", "amin", "prod"])
@pytest.mark.parametrize("initial", [None, 0.5])
def test_segment_reduce_matches_numpy(reduce, initial):
    a, lengths = draw(6, 3), [2, 0, 1, 3]
    parts = [a[begin:end] for begin, end in ((0, 2), (2, 2), (2, 3), (3, 6))]
    starts = {"sum": 0.0, "mean": 0.0, "max": -np.inf, "min": np.inf, "prod": 1.0}
    kind = reduce.removeprefix("a")  # amax is another name of max, and amin of min
    start = starts[kind] if initial is None else initial
    fold = {"max": np.max, "min": np.min, "prod": np.prod}.get(kind, np.sum)
    want = np.stack([fold(np.vstack([np.full((1, 3), start), part]), 0) for part in parts])
    if reduce == "mean":
        with np.errstate(invalid="ignore"):
            want = want / np.maximum(np.array(lengths), 0 if initial is None else 1)[:, None]
    x = fb.tensor(a)
    close(fb.segment_reduce(x, reduce, lengths=fb.tensor(lengths), initial=initial), want)
    close(fb.segment_reduce(x, reduce, offsets=fb.tensor([0, 2, 2, 3, 6]), initial=initial), want)
    rows = fb.segment_reduce(x.t().contiguous(), reduce, lengths=fb.tensor([lengths] * 3), axis=1, initial=initial)
    close(rows, want.T)
    with pytest.raises(RuntimeError, match="sum to 6"):
        fb.segment_reduce(x, reduce, lengths=fb.tensor([2, 2]))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int16", "uint8"])
def test_isin_of_large_sets_matches_numpy(dtype):
    rng = np.random.default_rng(11)
    x, members = rng.integers(0, 200, 3000).astype(dtype), rng.integers(0, 250, 97).astype(dtype)
    if dtype.startswith("float"):
        x[:4], members[:3] = [np.nan, 0.0, -0.0, np.inf], [np.nan, -0.0, np.nan]
    assert np.array_equal(fb.isin(fb.tensor(x), fb.tensor(members)).numpy(), np.isin(x, members))
    assert np.array_equal(fb.isin(fb.tensor(x), fb.tensor(members), invert=True).numpy(), ~np.isin(x, members))


def test_isin_finds_nothing_in_a_set_of_only_nan():
    assert not fb.isin(fb.tensor([1.0, float("nan")]), fb.full((40,), float("nan"))).any()
