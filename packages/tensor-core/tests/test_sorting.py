"""Sorting, selecting, searching and counting against NumPy."""

import numpy as np
import pytest

import flambeau as fb

DTYPES = [
    "float16",
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "bool",
]
LENGTHS = [0, 1, 2, 7, 150, 1000, 9000, 70_000]


def draw(shape, dtype, specials=True):
    rng = np.random.default_rng(np.prod(shape, dtype=int) + 1)
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if "int" in dtype:
        limits = np.iinfo(dtype)
        return rng.integers(max(limits.min, -(10**12)), min(limits.max, 10**12), shape, dtype=dtype)
    values = (rng.standard_normal(shape) * 50).astype(dtype)
    if specials and values.size > 6:
        values.flat[[1, values.size // 2, -2]] = np.nan, -0.0, np.inf
        values.flat[[2, values.size // 2 + 1, -1]] = 0.0, -np.inf, np.nan
    return values


def same(got, want):
    assert got.shape == want.shape
    assert np.array_equal(got.numpy(), want, equal_nan=want.dtype.kind == "f"), (got, want)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", LENGTHS)
def test_sort_and_argsort_match_numpy(n, dtype):
    a = draw((n,), dtype)
    values, indices = fb.sort(fb.tensor(a))
    order = np.argsort(a, kind="stable")
    same(values, a[order])
    same(indices, order)
    same(fb.argsort(fb.tensor(a)), order)
    backwards = np.lexsort((np.arange(n), -np.unique(a, return_inverse=True, equal_nan=True)[1]))
    same(fb.argsort(fb.tensor(a), descending=True), backwards)
    same(fb.sort(fb.tensor(a), descending=True).values, a[backwards])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("rows", "n"), [(15, 8), (16, 1), (37, 2), (33, 8), (17, 33), (40, 64), (20, 65), (16, 1025)])
def test_many_short_rows_equal_separate_sorts(rows, n, dtype):
    a = draw((rows, n), dtype)
    a[::2] = a[::2, :1]  # equal elements, which keep their order
    order = np.argsort(a, 1, kind="stable")
    ranks = np.unique(a, return_inverse=True, equal_nan=True)[1].reshape(a.shape).astype(np.int64)
    backwards = np.argsort(-ranks, 1, kind="stable")
    for descending, want in ((False, order), (True, backwards)):
        values, indices = fb.sort(fb.tensor(a), 1, descending)
        same(indices, want)
        same(values, np.take_along_axis(a, want, 1))
        same(fb.argsort(fb.tensor(a), 1, descending), want)
        for k in {1, min(n, 3), min(n, 64), n}:
            values, indices = fb.topk(fb.tensor(a), k, 1, largest=descending)
            same(indices, want[:, :k])
            same(values, np.take_along_axis(a, want[:, :k], 1))
    signs = fb.sort(fb.tensor(np.array([[0.0, -0.0, -1.0]] * 20))).values.signbit()
    assert signs.tolist() == [[True, False, True]] * 20


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "uint64"])
@pytest.mark.parametrize("step", [1, 8])
def test_sort_of_integers_of_a_small_range_matches_numpy(dtype, step):
    limits = np.iinfo(dtype)
    for least in {limits.min, max(limits.min, -10 * step), limits.max - 15 * step}:
        a = np.random.default_rng(0).integers(0, 16, 3000).astype(dtype) * np.array(step, dtype) + np.array(
            least, dtype
        )
        order = np.argsort(a, kind="stable")
        values, indices = fb.sort(fb.tensor(a))
        same(values, a[order])
        same(indices, order)
        same(fb.sort(fb.tensor(a), descending=True).values, a[order][::-1])
        same(fb.unique(fb.tensor(a)), np.unique(a))
        assert fb.mode(fb.tensor(a)).values.item() == np.unique(a)[np.unique(a, return_counts=True)[1].argmax()]


def test_sorted_zeros_and_nans_keep_their_bits():
    a = np.array([0.0, -0.0, np.nan, 1.0, -0.0, 0.0], np.float32)
    a.view(np.uint32)[2] = 0xFFC00123
    values = fb.sort(fb.tensor(a)).values.numpy()
    assert values.view(np.uint32).tolist() == a[[0, 1, 4, 5, 3, 2]].view(np.uint32).tolist()


def test_sort_and_median_of_bfloat16_are_correct():
    a = draw((500,), "float32", specials=False)
    x = fb.tensor(a).to(fb.bfloat16)
    assert fb.sort(x).values.float().tolist() == sorted(x.float().tolist())
    assert fb.median(x).item() == sorted(x.tolist())[249]


@pytest.mark.parametrize("shape", [(), (3, 4), (2, 3, 5), (0, 3), (3, 0), (4, 17, 3), (100, 3), (300, 3), (3, 300)])
def test_sort_along_each_dimension_matches_numpy(shape):
    a = draw(shape, "float64", specials=False)
    for dim in range(-max(a.ndim, 1), max(a.ndim, 1)):
        x, b = fb.tensor(a), np.atleast_1d(a)
        same(x.sort(dim).values, np.sort(b, dim).reshape(shape))
        same(x.argsort(dim, descending=True), np.argsort(-b, dim, kind="stable").reshape(shape))
    if shape:
        same(fb.tensor(a).msort(), np.sort(a, 0))
        strided = fb.tensor(a).t() if a.ndim == 2 else fb.tensor(a).transpose(0, -1)
        same(strided.sort(0).values, np.sort(a.swapaxes(0, -1), 0))


@pytest.mark.parametrize("dtype", DTYPES[:-1])
@pytest.mark.parametrize("n", LENGTHS[1:])
def test_topk_and_kthvalue_match_numpy(n, dtype):
    a = draw((n,), dtype)
    x = fb.tensor(a)
    order = np.argsort(a, kind="stable")
    backwards = np.lexsort((np.arange(n), -np.unique(a, return_inverse=True, equal_nan=True)[1]))
    for k in {0, 1, min(n, 5), n // 2, n}:
        for largest, want in ((True, backwards), (False, order)):
            values, indices = x.topk(k, largest=largest)
            same(indices, want[:k])
            same(values, a[want[:k]])
            unordered = x.topk(k, largest=largest, sorted=False).indices
            assert set(unordered.tolist()) == set(want[:k].tolist())
        if k:
            value, index = x.kthvalue(k)
            assert index.item() == order[k - 1]
            same(value, np.asarray(a[order[k - 1]]))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64", "uint8", "uint16", "uint32", "uint64"])
@pytest.mark.parametrize("n", [1, 2, 7, 8, 5000])
def test_median_and_nanmedian_match_numpy(n, dtype):
    a = draw((3, n), dtype, specials=False)
    want = np.sort(a, 1)[:, (n - 1) // 2]
    pair = fb.tensor(a).median(1)
    same(pair.values, want)
    assert np.array_equal(a[np.arange(3), pair.indices.numpy()], want)
    same(fb.tensor(a).median(), np.asarray(np.sort(a.ravel())[(3 * n - 1) // 2]))
    if "float" in dtype:
        b = a.copy()
        b[1, n // 2] = np.nan
        assert np.isnan(fb.tensor(b).median(1).values.tolist()).tolist() == [False, True, False]
        assert fb.tensor(b).median(1).indices[1].item() == n // 2
        assert fb.tensor(b).median().isnan()
        rest = np.sort(b[1][~np.isnan(b[1])])
        got = fb.tensor(b).nanmedian(1, True).values[1, 0].item()
        assert got == rest[(rest.size - 1) // 2] if rest.size else np.isnan(got)


def test_mode_returns_the_smallest_of_the_most_frequent_values():
    x = fb.tensor([[3, 1, 1, 2, 2], [5, 5, 5, 0, 0]])
    values, indices = x.mode()
    assert values.tolist() == [1, 5]
    assert indices.tolist() == [2, 2]
    assert x.mode(0, keepdim=True).values.tolist() == [[3, 1, 1, 0, 0]]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", LENGTHS)
def test_unique_and_unique_consecutive_match_numpy(n, dtype):
    a = draw((n,), dtype)
    if dtype != "float64":
        a = a // 8 if "int" in dtype else a
    want, counts = np.unique(a, return_counts=True, equal_nan=False)
    same(fb.unique(fb.tensor(a)), want)
    got = fb.unique(fb.tensor(a), return_inverse=True, return_counts=True)
    same(got[0], want)
    same(got[0][got[1]], a)
    same(got[2], counts)
    starts = np.flatnonzero(np.r_[True, a[1:] != a[:-1]]) if n else np.zeros(0, int)
    got = fb.unique_consecutive(fb.tensor(a), return_inverse=True, return_counts=True)
    same(got[0], a[starts])
    same(got[2], np.diff(np.r_[starts, n]))
    same(got[1], np.repeat(np.arange(starts.size), np.diff(np.r_[starts, n])))


def test_unique_returns_results_of_the_documented_shapes():
    a = np.random.default_rng(0).integers(0, 2, (4, 3, 40))
    values, inverse = fb.unique(fb.tensor(a), return_inverse=True)
    assert inverse.shape == a.shape
    same(values[inverse], a)
    for dim in range(-3, 3):
        want, inverse, counts = np.unique(a, axis=dim, return_inverse=True, return_counts=True)
        got = fb.unique(fb.tensor(a), return_inverse=True, return_counts=True, dim=dim)
        for x, y in zip(got, (want, inverse.ravel(), counts), strict=True):
            same(x, y)
    x = fb.tensor([[1, 2], [1, 2], [0, 1], [1, 2]])
    assert fb.unique_consecutive(x, dim=0).tolist() == [[1, 2], [0, 1], [1, 2]]
    assert fb.unique(fb.zeros(0, 3), dim=0).shape == (0, 3)
    assert fb.unique(fb.tensor(3.0), return_inverse=True)[1].shape == ()


@pytest.mark.parametrize("dtype", DTYPES[:-1])
def test_searchsorted_and_bucketize_match_numpy(dtype):
    sequence, values = np.sort(draw((50,), dtype, False)), draw((6, 7), dtype, False)
    values[0] = sequence[:7]
    for side in ("left", "right"):
        want = np.searchsorted(sequence, values, side)
        same(fb.searchsorted(fb.tensor(sequence), fb.tensor(values), side=side), want)
        got = fb.bucketize(fb.tensor(values), fb.tensor(sequence), right=side == "right", out_int32=True)
        same(got, want.astype(np.int32))
    rows = np.sort(values, 1)
    want = np.stack([np.searchsorted(row, v) for row, v in zip(rows, values, strict=True)])
    same(fb.searchsorted(fb.tensor(rows), fb.tensor(values)), want)
    order = np.argsort(values, 1)
    same(fb.searchsorted(fb.tensor(values), fb.tensor(values), sorter=fb.tensor(order)), want)


def test_searchsorted_accepts_numbers_and_nan():
    assert fb.searchsorted(fb.tensor([1, 2, 3]), 2.5).item() == 2
    assert fb.bucketize(2, fb.tensor([1, 2, 3])).item() == 1
    x = fb.tensor([1.0, fb.nan])
    assert fb.searchsorted(fb.tensor([1.0, 2.0]), x).tolist() == [0, 2]
    assert fb.searchsorted(fb.zeros(0), x).tolist() == [0, 0]


def test_bincount_and_histc_match_numpy():
    a = np.random.default_rng(0).integers(0, 20, 1000)
    weights = np.random.default_rng(1).random(1000)
    same(fb.bincount(fb.tensor(a), minlength=30), np.bincount(a, minlength=30))
    np.testing.assert_allclose(
        fb.bincount(fb.tensor(a), fb.tensor(weights)).numpy(), np.bincount(a, weights), rtol=1e-12
    )
    assert fb.bincount(fb.tensor(a), fb.tensor(weights).float()).dtype is fb.float32
    for x, message in ((fb.tensor([2**63 - 1]), "overflowed"), (fb.tensor([2**64 - 1], dtype=fb.uint64), "negative")):
        with pytest.raises(RuntimeError, match=message):
            fb.bincount(x)
    assert fb.bincount(fb.tensor([], dtype=fb.int64), minlength=2).tolist() == [0, 0]
    many = np.random.default_rng(0).integers(0, 7000, 300_000)
    same(fb.bincount(fb.tensor(many), minlength=9000), np.bincount(many, minlength=9000))
    x = np.random.default_rng(2).standard_normal(200_001)
    for low, high in ((-1.0, 2.0), (0.0, 0.0)):
        limits = (low, high) if low < high else None
        same(fb.histc(fb.tensor(x), 17, low, high), np.histogram(x, 17, limits)[0].astype(np.float64))
    assert fb.histc(fb.tensor([2.0, 2.0]), 3).tolist() == [0, 2, 0]
    assert fb.histc(fb.tensor([0.0, 3e38]), 4, -3e38, 3e38).sum() == 2  # the width of the range overflows float32


def test_results_of_sorting_functions_have_named_fields():
    pair = fb.sort(fb.tensor([2.0, 1.0]))
    assert type(pair) is fb.return_types.sort
    assert pair.values is pair[0]
    assert repr(fb.topk(fb.tensor([2, 1]), 1)) == (
        "flambeau.return_types.topk(\nvalues=tensor([2]),\nindices=tensor([0]))"
    )
    values, indices = fb.empty(0), fb.empty(0, dtype=fb.int64)
    assert fb.sort(fb.tensor([2.0, 1.0]), out=(values, indices))[0] is values
    assert values.tolist() == [1, 2]
    assert indices.tolist() == [1, 0]


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_sorting_does_not_depend_on_the_number_of_threads(threads):
    a = draw((200_000,), "float32")
    fb.set_num_threads(threads)
    same(fb.argsort(fb.tensor(a)), np.argsort(a, kind="stable"))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda x: fb.sort(x, 2), IndexError, r"\[-2, 1\], but got 2"),
        (lambda x: fb.topk(x, 4), RuntimeError, "out of range"),
        (lambda x: fb.topk(x, -1), RuntimeError, "out of range"),
        (lambda x: fb.kthvalue(x, 0), RuntimeError, "out of range"),
        (lambda x: fb.kthvalue(x, 4), RuntimeError, "out of range"),
        (lambda x: fb.median(x[:0], 0), IndexError, "non-zero size"),
        (lambda x: fb.mode(x[:0], 0), IndexError, "non-zero size"),
        (lambda x: fb.unique(x[:, :0], dim=0), RuntimeError, "size 0"),
        (lambda x: fb.unique(fb.tensor(1), dim=0), IndexError, "no dimensions"),
        (lambda x: fb.searchsorted(x, x[:1]), RuntimeError, "must match"),
        (lambda x: fb.searchsorted(x, 2), RuntimeError, "scalar"),
        (lambda x: fb.searchsorted(x[0], x, side="up"), RuntimeError, "'left' or 'right' but got up"),
        (lambda x: fb.searchsorted(x[0], x, side="left", right=True), RuntimeError, "opposites"),
        (lambda x: fb.searchsorted(x[0], x, sorter=fb.tensor([0, 1, 7])), RuntimeError, "out of range: 7"),
        (lambda x: fb.searchsorted(x[0], x, sorter=fb.tensor([0, 1])), RuntimeError, "same size"),
        (lambda x: fb.searchsorted(x[0], x, sorter=x[0]), RuntimeError, "long"),
        (lambda x: fb.bucketize(x, x), RuntimeError, "1 dimension"),
        (lambda x: fb.bincount(x[0]), NotImplementedError, "float32"),
        (lambda x: fb.bincount(fb.tensor([1, -1])), RuntimeError, "non-negative"),
        (lambda x: fb.bincount(fb.ones(2, 2, dtype=fb.int64)), RuntimeError, "1-d"),
        (lambda x: fb.bincount(fb.tensor([1]), minlength=-1), RuntimeError, "minlength"),
        (lambda x: fb.bincount(fb.tensor([1]), x[0]), RuntimeError, "same length"),
        (lambda x: fb.histc(x, 0), RuntimeError, "bins must be > 0"),
        (lambda x: fb.histc(x, 2, 3, 1), RuntimeError, "larger"),
        (lambda x: fb.histc(x / 0), RuntimeError, "not finite"),
        (lambda x: fb.histc(fb.tensor([1])), NotImplementedError, "int64"),
    ],
)
def test_sorting_functions_reject_invalid_arguments(call, error, text):
    with pytest.raises(error, match=text):
        call(fb.ones(2, 3))
