"""Tests of scatter, index, take and mask operators against NumPy: values, dtypes, in-place forms, errors."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

import flambeau as fb

DTYPES = ["float64", "float32", "float16", "int64", "int32", "int16", "uint8", "uint16", "uint32", "uint64", "bool"]
REDUCTIONS = {"sum": np.add, "prod": np.multiply, "amax": np.maximum, "amin": np.minimum}
RNG = np.random.default_rng(0)


def random_array(shape, dtype="float64", seed=0):
    values = np.random.default_rng([seed, *shape]).integers(-3, 4, shape)
    return np.abs(values).astype(dtype) if dtype[0] == "u" else values.astype(dtype)


def positions(index, dim):
    """Return the NumPy index of the elements that ``gather`` and ``scatter`` select with ``index`` along ``dim``."""
    grid = list(np.indices(index.shape))
    grid[dim] = index
    return tuple(grid)


def reduced(array, at, source, how, include_self):
    """Compute ``scatter_reduce`` with NumPy's unbuffered operators, for floating-point dtypes in float64."""
    out = array.astype("float64" if array.dtype.kind == "f" else array.dtype).copy()
    count = np.zeros(array.shape, int)
    np.add.at(count, at, 1)
    start = {"sum": 0, "mean": 0, "prod": 1, "amax": None, "amin": None}[how]
    if not include_self:
        hit = count > 0
        if start is None:
            kind = np.finfo(out.dtype) if out.dtype.kind == "f" else np.iinfo(out.dtype)
            start = kind.min if how == "amax" else kind.max
        out[hit] = start
    REDUCTIONS["sum" if how == "mean" else how].at(out, at, source.astype(out.dtype))
    if how == "mean":
        n = np.maximum(count + include_self, 1)
        out = out / n if out.dtype.kind == "f" else np.floor_divide(out, n)
    return out.astype(array.dtype)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.data())
def test_scatter_writes_to_the_indexed_elements(shape, data):
    dim = data.draw(st.integers(0, len(shape) - 1))
    picked = [data.draw(st.integers(0, s)) for s in shape]
    index = np.empty(picked, np.int64)
    for line in np.ndindex(*[n for d, n in enumerate(picked) if d != dim]):  # no repeated indices
        at = list(line)
        at.insert(dim, slice(None))
        order = np.random.default_rng(data.draw(st.integers(0, 99))).permutation(shape[dim])
        index[tuple(at)] = order[: picked[dim]]
    array, source = random_array(shape), random_array([n + 1 for n in picked], seed=1)
    crop = source[tuple(slice(n) for n in picked)]
    want = array.copy()
    want[positions(index, dim)] = crop
    x = fb.tensor(np.asfortranarray(array).T).permute(*range(array.ndim - 1, -1, -1))
    assert np.array_equal(x.scatter(dim, fb.tensor(index), fb.tensor(source)).numpy(), want)
    want[positions(index, dim)] = 7
    assert np.array_equal(x.scatter(dim, fb.tensor(index), 7.0).numpy(), want)
    assert x.scatter_(dim, fb.tensor(index), value=7.0) is x
    assert np.array_equal(x.numpy(), want)


@pytest.mark.parametrize("include_self", [True, False])
@pytest.mark.parametrize("how", [*REDUCTIONS, "mean"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "int16", "uint8", "uint16", "uint32", "uint64"])
def test_scatter_reduce_matches_numpy(dtype, how, include_self):
    array, source = random_array((4, 5), dtype), random_array((6, 5), dtype, 1)
    index = np.random.default_rng(3).integers(0, 4, (6, 3))
    want = reduced(array, positions(index, 0), source[:, :3], how, include_self)
    got = fb.tensor(array).scatter_reduce(0, fb.tensor(index), fb.tensor(source), how, include_self=include_self)
    assert np.allclose(got.numpy(), want, rtol=1e-6)
    x = fb.tensor(array)
    x.scatter_reduce_(0, fb.tensor(index), fb.tensor(source), reduce=how, include_self=include_self)
    assert np.allclose(x.numpy(), want, rtol=1e-6)


@pytest.mark.parametrize("include_self", [True, False])
@pytest.mark.parametrize("how", ["prod", "mean", "amax", "amin"])
def test_index_reduce_matches_numpy(how, include_self):
    array, source, index = random_array((3, 4, 2)), random_array((3, 5, 2), seed=1), np.array([1, 3, 1, 0, 1])
    want = reduced(array, (slice(None), index), source, how, True) if include_self else None
    got = fb.tensor(array).index_reduce(1, fb.tensor(index), fb.tensor(source), how, include_self=include_self)
    if want is None:
        wide = np.broadcast_to(index[None, :, None], source.shape)
        want = reduced(array, positions(wide, 1), source, how, False)
    elif how == "mean":
        wide = np.broadcast_to(index[None, :, None], source.shape)
        want = reduced(array, positions(wide, 1), source, how, True)
    assert np.allclose(got.numpy(), want)


def test_scatter_reduce_amax_and_amin_propagate_nan():
    nan = fb.tensor([float("nan"), 1.0])
    index = fb.tensor([0, 1])
    for how in ("amax", "amin"):
        assert fb.isnan(nan.scatter_reduce(0, index, fb.zeros(2), how)).tolist() == [True, False]
        assert fb.isnan(fb.zeros(2).scatter_reduce(0, index, nan, how)).tolist() == [True, False]


def test_scatter_with_reduce_adds_and_multiplies():
    x, index = fb.ones(2, 3), fb.tensor([[0, 0], [1, 2]])
    assert x.scatter(1, index, 2.0, reduce="add").tolist() == [[5, 1, 1], [1, 3, 3]]
    assert x.scatter(1, index, fb.full((2, 2), 3.0), reduce="multiply").tolist() == [[9, 1, 1], [1, 3, 3]]
    with pytest.raises(RuntimeError, match="add or multiply"):
        x.scatter(1, index, 2.0, reduce="max")


@pytest.mark.parametrize("dtype", DTYPES)
def test_index_copy_index_add_and_index_fill_match_numpy(dtype):
    array, source = random_array((3, 4, 2), dtype), random_array((3, 2, 2), dtype, 1)
    x, index = fb.tensor(array), fb.tensor([3, 1])
    copied, added, filled = array.copy(), array.copy(), array.copy()
    copied[:, [3, 1]] = source
    np.add.at(added, (slice(None), [3, 1]), source)
    filled[:, [3, 1]] = 1
    assert np.array_equal(x.index_copy(1, index, fb.tensor(source)).numpy(), copied)
    assert np.array_equal(x.index_add(1, index, fb.tensor(source)).numpy(), added)
    assert np.array_equal(x.index_fill(1, index, 1).numpy(), filled)
    assert np.array_equal(x.index_fill(1, index - 4, fb.tensor(1).to(x.dtype)).numpy(), filled)
    for name, value, want in (
        ("index_copy_", fb.tensor(source), copied),
        ("index_add_", fb.tensor(source), added),
        ("index_fill_", 1, filled),
    ):
        base = fb.zeros(2, 4, 3, dtype=x.dtype)
        view = base.permute(2, 1, 0)  # in place into a tensor that is not contiguous
        view.copy_(x)
        assert getattr(view, name)(1, index, value) is view
        assert np.array_equal(base.numpy().transpose(2, 1, 0), want)


@pytest.mark.parametrize("dtype", DTYPES)
def test_take_and_put_match_numpy(dtype):
    array = random_array((3, 4), dtype)
    x, index = fb.tensor(array), fb.tensor([[0, -1], [5, 2]])
    assert np.array_equal(fb.take(x, index).numpy(), np.take(array, index.numpy()))
    assert np.array_equal(fb.take(x.t(), index).numpy(), np.take(array.T, index.numpy()))
    source = random_array((4,), dtype, 1)
    want = array.copy()
    np.put(want, index.numpy(), source)
    assert np.array_equal(x.put(index, fb.tensor(source)).numpy(), want)
    transposed = array.T.copy()
    np.add.at(transposed.reshape(-1), [0, 0, 3], source[:3])
    y = fb.tensor(array).t()
    assert y.put_(fb.tensor([0, 0, 3]), fb.tensor(source[:3]), accumulate=True) is y
    assert np.array_equal(y.numpy(), transposed)


@pytest.mark.parametrize("dtype", DTYPES)
def test_masked_fill_masked_scatter_and_masked_select_match_numpy(dtype):
    array, source = random_array((3, 4), dtype), random_array((12,), dtype, 1)
    mask = RNG.random((3, 4)) > 0.4
    x, m = fb.tensor(array), fb.tensor(mask)
    assert np.array_equal(x.masked_select(m).numpy(), array[mask])
    want = array.copy()
    want[mask] = source[: mask.sum()]
    assert np.array_equal(x.masked_scatter(m, fb.tensor(source)).numpy(), want)
    y = x.clone().t()
    y.masked_scatter_(m.t(), fb.tensor(source))
    transposed = array.T.copy()
    transposed[mask.T] = source[: mask.sum()]
    assert np.array_equal(y.numpy(), transposed)
    want = np.where(mask[0], np.array(1, dtype), array)
    assert np.array_equal(x.masked_fill(m[0], 1).numpy(), want)
    assert np.array_equal(x.masked_fill_(m[0], fb.tensor(1).to(x.dtype)).numpy(), want)


def test_nonzero_and_argwhere_match_numpy():
    array = random_array((3, 4, 2))
    x = fb.tensor(array)
    assert np.array_equal(fb.argwhere(x).numpy(), np.argwhere(array))
    assert np.array_equal(fb.nonzero(x.t() if x.dim() == 2 else x.mT).numpy(), np.argwhere(array.swapaxes(1, 2)))
    assert [t.tolist() for t in fb.nonzero(x, as_tuple=True)] == [a.tolist() for a in np.nonzero(array)]
    assert [t.tolist() for t in fb.where(x > 1)] == [a.tolist() for a in np.nonzero(array > 1)]
    assert fb.nonzero(fb.tensor(3)).shape == (1, 0)
    assert [t.tolist() for t in fb.nonzero(fb.tensor(3), as_tuple=True)] == [[0]]
    assert fb.nonzero_static(fb.tensor([0, 2, 0, 3, 4]), size=2).tolist() == [[1], [3]]
    assert fb.nonzero_static(fb.tensor([0, 2]), size=3, fill_value=9).tolist() == [[1], [9], [9]]
    long = RNG.random(100_003) > 0.5
    assert np.array_equal(fb.nonzero(fb.tensor(long)).numpy().ravel(), np.nonzero(long)[0])
    assert np.array_equal(fb.tensor(np.arange(100_003))[fb.tensor(long)].numpy(), np.arange(100_003)[long])


def test_index_put_matches_numpy_and_rejects_other_dtypes():
    array = random_array((3, 4, 2))
    x, rows, columns = fb.tensor(array), fb.tensor([2, 0]), fb.tensor([1, 3])
    want = array.copy()
    want[:, [1, 3]] = 5
    assert np.array_equal(x.index_put((None, columns), fb.tensor(5.0, dtype=x.dtype)).numpy(), want)
    want = array.copy()
    want[[2, 0], :, [1, 0]] = [[1], [2]]
    assert np.array_equal(
        x.index_put([rows, None, fb.tensor([1, 0])], fb.tensor([[1.0], [2.0]]).double()).numpy(), want
    )
    want = array.copy()
    np.add.at(want, (np.array([2, 2]), np.array([1, 1])), 1)
    got = x.index_put((fb.tensor([2, 2]), fb.tensor([1, 1])), fb.ones(2, dtype=x.dtype), accumulate=True)
    assert np.array_equal(got.numpy(), want)
    with pytest.raises(RuntimeError, match=r"\[3\].*\[2, 4, 2\]"):
        x.index_put_((rows,), fb.zeros(3, dtype=x.dtype))
    with pytest.raises(RuntimeError, match=r"float64.*int64"):
        x.index_put_((rows,), fb.tensor(1))
    assert np.array_equal(x.numpy(), array)


def test_embedding_selects_rows_and_rejects_invalid_indices():
    weight, index = random_array((5, 3)), np.array([[4, 0], [1, 1]])
    assert np.array_equal(fb.embedding(fb.tensor(weight), fb.tensor(index)).numpy(), weight[index])
    assert np.array_equal(fb.embedding(fb.tensor(weight).t(), fb.tensor([2])).numpy(), weight.T[[2]])
    for wrong in (fb.tensor([5]), fb.tensor([-1])):
        with pytest.raises(IndexError, match="index out of range in self"):
            fb.embedding(fb.tensor(weight), wrong)


INDEX, X = fb.tensor([0]), fb.ones(2, 3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: X.scatter(0, fb.tensor([[2]]), 1.0),
            RuntimeError,
            "index 2 is out of bounds for dimension 0 with size 2",
        ),
        (lambda: X.scatter(0, fb.tensor([[-1]]), 1.0), RuntimeError, "index -1"),
        (lambda: X.scatter(0, fb.tensor([0]), 1.0), RuntimeError, "same number of dimensions"),
        (lambda: X.scatter(0, fb.tensor([[0] * 4]), 1.0), RuntimeError, r"\[1, 4\].*\[2, 3\]"),
        (lambda: X.scatter(0, fb.tensor([[0, 0]]), fb.ones(1, 1)), RuntimeError, r"\[1, 2\].*src \[1, 1\]"),
        (lambda: X.scatter(0, fb.tensor([[0]]), fb.ones(1, 1).double()), RuntimeError, "float32 and float64"),
        (lambda: X.scatter(0, fb.tensor([[0.0]]), 1.0), RuntimeError, "float32"),
        (lambda: X.scatter(0, fb.tensor([[0]])), TypeError, "src"),
        (lambda: X.scatter_reduce(0, fb.tensor([[0]]), X, "median"), RuntimeError, "median"),
        (lambda: X.index_copy(0, INDEX, fb.ones(2, 3)), IndexError, r"indices \(1\).*\(2\)"),
        (lambda: X.index_copy(0, fb.tensor([2]), fb.ones(1, 3)), IndexError, "index 2"),
        (lambda: X.index_copy(0, INDEX.int(), fb.ones(1, 3)), RuntimeError, "int32"),
        (lambda: X.index_fill(0, fb.tensor([-3]), 1), IndexError, "index -3"),
        (lambda: X.index_fill(0, INDEX, fb.ones(1)), RuntimeError, "0-dimensional"),
        (lambda: X.int().index_fill(0, INDEX, 2**40), RuntimeError, "overflow"),
        (lambda: X.index_reduce(0, INDEX, fb.ones(1, 3), "sum"), RuntimeError, "amax or amin"),
        (lambda: X.index_add(3, INDEX, fb.ones(1, 3)), IndexError, "Dimension out of range"),
        (lambda: X.take(fb.tensor([6])), IndexError, "6 elements"),
        (lambda: X.take(fb.tensor([0.0])), RuntimeError, "long"),
        (lambda: fb.zeros(0).take(INDEX), IndexError, "empty"),
        (lambda: X.put(INDEX, fb.ones(2)), IndexError, "numel"),
        (lambda: X.masked_scatter(X > 0, fb.ones(5)), RuntimeError, "5 and 6"),
        (lambda: X.masked_scatter(X, fb.ones(6)), RuntimeError, "boolean"),
        (lambda: X.masked_fill(X, 1.0), RuntimeError, "boolean"),
        (lambda: X.masked_fill(X > 0, fb.tensor(1j)), RuntimeError, "complex64.*float32"),
        (lambda: X.masked_select(fb.ones(7, dtype=fb.bool)), RuntimeError, "7"),
        (lambda: fb.nonzero_static(X, size=-1), RuntimeError, "non-negative"),
        (lambda: X.take_along_dim(fb.tensor([[0.0]]), 0), RuntimeError, "float32"),
        (lambda: X.take_along_dim(fb.tensor([0]), 0), RuntimeError, "same number of dimensions"),
    ],
)
def test_scatter_functions_reject_invalid_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    "write",
    [
        lambda x: x.scatter_(0, fb.tensor([[1], [2]]), 9.0),
        lambda x: x.scatter_add_(0, fb.tensor([[1], [2]]), fb.ones(2, 1)),
        lambda x: x.scatter_reduce_(0, fb.tensor([[1], [2]]), fb.ones(2, 1), "amax"),
        lambda x: x.index_add_(0, fb.tensor([1, 2]), fb.ones(2, 3)),
        lambda x: x.index_copy_(0, fb.tensor([1, 2]), fb.ones(2, 3)),
        lambda x: x.index_fill_(0, fb.tensor([1, 2]), 9),
        lambda x: x.index_reduce_(0, fb.tensor([1, 2]), fb.ones(2, 3), "prod"),
        lambda x: x.put_(fb.tensor([1, 6]), fb.ones(2)),
        lambda x: x.index_put_((fb.tensor([1, 2]),), fb.tensor(9.0)),
        lambda x: x.masked_scatter_(fb.ones(2, 3, dtype=fb.bool), fb.ones(5)),
    ],
)
def test_a_failed_scatter_changes_nothing(write):
    x = fb.zeros(2, 3)
    with pytest.raises((IndexError, RuntimeError)):
        write(x)
    assert x.tolist() == [[0, 0, 0]] * 2


@pytest.mark.parametrize(
    "write",
    [
        lambda x: x.scatter_(0, fb.tensor([[0]]), x[:1, :1]),
        lambda x: x.scatter_add_(0, fb.tensor([[0]]), x[:1, :1]),
        lambda x: x.index_add_(0, fb.tensor([0]), x[:1]),
        lambda x: x.index_copy_(0, fb.tensor([0]), x[1:]),
        lambda x: x.put_(fb.tensor([0]), x[0, :1]),
        lambda x: x[:, :1].expand(2, 3).scatter_(0, fb.tensor([[0]]), 1.0),
    ],
)
def test_writes_to_overlapping_elements_are_rejected(write):
    x = fb.ones(2, 3)
    with pytest.raises(RuntimeError, match="single memory location"):
        write(x)
    assert x.tolist() == [[1, 1, 1]] * 2


def test_a_mask_that_shares_part_of_its_memory_with_the_target_is_rejected():
    mask = fb.tensor([True, True, False])
    with pytest.raises(RuntimeError, match="single memory location"):
        mask[1:].masked_fill_(mask[:-1], False)
    assert mask.tolist() == [True, True, False]


def test_a_mask_can_be_filled_by_itself():
    mask = fb.tensor([True, False, True])
    assert mask.masked_fill_(mask, False).tolist() == [False] * 3


@pytest.mark.parametrize(
    ("operation", "write", "expected"),
    [
        ("masked_fill_", lambda x: x.masked_fill_(fb.tensor([[True, False], [False, False]]), 5.0), [5, 1]),
        ("masked_fill_", lambda x: x.masked_fill_(fb.tensor([False, True]), fb.tensor(5.0)), [5, 5]),
        ("index_fill_", lambda x: x.index_fill_(0, fb.tensor([1]), 5.0), [1, 5]),
        ("index_fill_", lambda x: x.index_fill_(1, fb.tensor([1]), fb.tensor(5.0)), [5, 5]),
        ("index_put_", lambda x: x.__setitem__(fb.tensor([1]), fb.tensor([[5.0, 6.0]])), [1, 6]),
        ("index_put_", lambda x: x.index_put_((fb.tensor([1, 1]),), fb.ones(2, 2), accumulate=True), [1, 5]),
    ],
)
def test_writes_to_expanded_tensors_warn(operation, write, expected):
    x = fb.ones(2, 1)
    with pytest.warns(UserWarning, match=rf"Use of {operation} on expanded tensors is deprecated.*clone\(\)"):
        write(x.expand(2, 2))
    assert x.flatten().tolist() == expected


@pytest.mark.filterwarnings("error:Use of")
def test_a_warning_raised_as_an_error_prevents_the_write():
    x = fb.ones(1)
    with pytest.raises(UserWarning, match="masked_fill_ on expanded"):
        x.expand(3).masked_fill_(fb.tensor([True, False, True]), 0.0)
    assert x.tolist() == [1]
    assert x._version == 0


@pytest.mark.filterwarnings("ignore:Use of")
def test_sums_in_expanded_tensors_do_not_depend_on_the_number_of_threads():
    index = RNG.integers(0, 50, 5000)
    values = RNG.standard_normal((64, 5000)).astype(np.float32)

    def summed(threads):
        fb.set_num_threads(threads)
        x = fb.zeros(50)
        x.expand(64, 50).index_put_((None, fb.tensor(index)), fb.tensor(values), accumulate=True)
        return x.numpy()

    expected = np.zeros(50)
    np.add.at(expected, index, values.sum(0, dtype=np.float64))
    threads = fb.get_num_threads()
    try:
        one, several = summed(1), summed(4)
    finally:
        fb.set_num_threads(threads)
    np.testing.assert_allclose(one, expected, atol=1e-2)
    np.testing.assert_array_equal(one, several)


def test_large_scatters_match_numpy():
    source = RNG.integers(-9, 9, (3001, 70)).astype(np.float64)
    rows, flat = RNG.integers(0, 50, 3001), RNG.integers(0, 1000, 200_001)
    want = np.zeros((50, 70))
    np.add.at(want, rows, source)
    assert np.array_equal(fb.zeros(50, 70).double().index_add(0, fb.tensor(rows), fb.tensor(source)).numpy(), want)
    got = fb.zeros(70, 50).double().index_add(1, fb.tensor(rows), fb.tensor(source).t())
    assert np.array_equal(got.numpy(), want.T)
    values, counts = RNG.integers(-9, 9, 200_001).astype(np.float64), np.zeros(1000)
    np.add.at(counts, flat, values)
    assert np.array_equal(fb.zeros(1000).double().scatter_add(0, fb.tensor(flat), fb.tensor(values)).numpy(), counts)
    got = fb.zeros(1000).double().index_put((fb.tensor(flat),), fb.tensor(values), accumulate=True)
    assert np.array_equal(got.numpy(), counts)


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_an_expanded_index_selects_whole_slices(dim):
    array, entries = random_array((4, 5, 6)), np.array([1, 3, 0, 3])
    shape = [4, 5, 6]
    shape[dim] = len(entries)
    source, along = random_array(tuple(shape), seed=2), [1, 1, 1]
    along[dim] = -1
    wide = np.broadcast_to(entries.reshape(along), shape)
    x, index, values = fb.tensor(array), fb.tensor(entries).reshape(along).expand(shape), fb.tensor(source)
    assert np.array_equal(x.gather(dim, index).numpy(), np.take_along_axis(array, wide, dim))
    want = array.copy()
    np.add.at(want, positions(wide, dim), source)
    assert np.allclose(x.scatter_add(dim, index, values).numpy(), want)
    assert np.allclose(x.mT.contiguous().mT.scatter_add(dim, index, values.mT.contiguous().mT).numpy(), want)
    for how in ("prod", "mean", "amax", "amin"):
        results = (
            x.scatter_reduce(dim, index, values, how).numpy(),
            x.index_reduce(dim, fb.tensor(entries), values, how).numpy(),
        )
        for got in results:
            assert np.allclose(got, reduced(array, positions(wide, dim), source, how, True))
    with pytest.raises(RuntimeError, match="out of bounds"):
        x.scatter_add(dim, index + 9, values)


def test_scatter_reduce_computes_means_of_complex_numbers():
    x = fb.tensor([1 + 1j, 2.0, 3.0])
    x.scatter_reduce_(0, fb.tensor([0, 0]), fb.tensor([2 + 0j, 3j]), "mean", include_self=False)
    assert x.tolist() == [1 + 1.5j, 2, 3]
