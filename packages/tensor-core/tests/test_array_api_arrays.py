"""Tests of the standard's functions of whole arrays, against NumPy's implementation of the standard."""

import numpy as np
import pytest
from array_api_cases import (
    COMPLEX,
    DTYPES,
    FEW,
    FULL,
    INTEGERS,
    REAL,
    REAL_NUMBERS,
    SHAPES,
    arrays,
    dtype,
    same,
    with_axes,
)
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp

import flambeau as fb
from flambeau import array_api as xp

# Creation


@pytest.mark.parametrize("name", DTYPES)
def test_full_ones_and_zeros_match_numpy(name):
    kind = dtype(name)
    for function in ("zeros", "ones"):
        same(getattr(xp, function)((2, 3), dtype=kind), getattr(np, function)((2, 3), dtype=name))
        same(getattr(xp, function)(3, dtype=kind), getattr(np, function)(3, dtype=name))
        same(getattr(xp, f"{function}_like")(xp.empty((2,), dtype=kind)), getattr(np, function)(2, dtype=name))
    same(xp.full((2,), 1, dtype=kind), np.full(2, 1, dtype=name))
    same(xp.full_like(xp.empty((), dtype=kind), 1), np.full((), 1, dtype=name))
    assert xp.empty_like(xp.empty((2, 0), dtype=kind)).dtype == xp.empty((), dtype=kind).dtype == kind
    for k in (-1, 0, 2):
        same(xp.eye(3, 4, k=k, dtype=kind), np.eye(3, 4, k=k, dtype=name))
    same(xp.eye(2, dtype=kind), np.eye(2, dtype=name))


def test_default_dtypes_are_float32_int64_and_complex64():
    assert xp.zeros(2).dtype == xp.ones((1,)).dtype == xp.eye(2).dtype == xp.linspace(0, 1, 2).dtype == xp.float32
    assert xp.full((1,), True).dtype == xp.bool and xp.full(2, 3).dtype == xp.int64
    assert xp.full(2, 3.0).dtype == xp.float32 and xp.full(2, 3j).dtype == xp.complex64
    assert xp.arange(3).dtype == xp.int64 and xp.arange(3.0).dtype == xp.float32
    assert xp.linspace(0, 1j, 3).dtype == xp.complex64


@FEW
@given(st.integers(-9, 9), st.integers(-9, 9), st.integers(-4, 4).filter(bool))
def test_arange_matches_numpy(start, stop, step):
    same(xp.arange(start, stop, step), np.arange(start, stop, step))
    same(xp.arange(start / 2, stop / 2, step / 2, dtype=xp.float64), np.arange(start / 2, stop / 2, step / 2))


def test_arange_may_be_empty_but_rejects_a_step_of_zero():
    same(xp.arange(4), np.arange(4))
    assert xp.arange(-1).shape == (0,) and xp.arange(2.5, 1).dtype == xp.float32
    with pytest.raises(ValueError, match="step"):
        xp.arange(1, 2, 0)


@pytest.mark.parametrize("endpoint", [True, False])
@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_linspace_matches_numpy(count, endpoint):
    for start, stop in [(0, 1), (-2.5, 2.5), (3, -1), (1, 1)]:
        result = xp.linspace(start, stop, count, dtype=xp.float64, endpoint=endpoint)
        np.testing.assert_allclose(result.numpy(), np.linspace(start, stop, count, endpoint=endpoint), rtol=1e-14)
    same(xp.linspace(1j, 2, count, dtype=xp.complex128, endpoint=endpoint), np.linspace(1j, 2, count, endpoint))
    with pytest.raises(ValueError, match="-1"):
        xp.linspace(0, 1, -1)


def test_asarray_copies_only_if_requested_or_necessary():
    x = xp.asarray([1.0, 2.0])
    assert xp.asarray(x) is x and xp.asarray(x, copy=False) is x
    copied = xp.asarray(x, copy=True)
    copied[0] = 5.0
    assert x[0].item() == 1
    memory = np.array([1, 2, 3])
    shared = xp.asarray(memory, copy=False)
    shared[0] = 7
    assert memory[0] == 7
    assert xp.asarray(memory, copy=True)[0].item() == 7 and xp.asarray(memory, dtype=xp.float64).dtype == xp.float64
    assert xp.asarray([1, 2.5]).dtype == xp.float32 and xp.asarray([True, 2]).dtype == xp.int64
    assert xp.asarray([1, 2j]).dtype == xp.complex64 and xp.asarray(True).dtype == xp.bool
    for obj, options in [([1, 2], {}), (3, {}), (x, {"dtype": xp.int8})]:
        with pytest.raises(ValueError, match="copy"):
            xp.asarray(obj, copy=False, **options)


def test_from_dlpack_shares_memory():
    memory = np.arange(3.0)
    shared = xp.from_dlpack(memory)
    shared[1] = 9.0
    assert memory[1] == 9
    assert np.shares_memory(np.from_dlpack(shared), memory)


def test_meshgrid_matches_numpy():
    x, y, z = (np.arange(n) for n in (2, 3, 4))
    for indexing in ("xy", "ij"):
        for vectors in [(x,), (x, y), (x, y, z)]:
            results = xp.meshgrid(*map(xp.asarray, vectors), indexing=indexing)
            assert isinstance(results, tuple)
            for result, expected in zip(results, np.meshgrid(*vectors, indexing=indexing), strict=True):
                same(result, expected)
    with pytest.raises(ValueError, match="'yx'"):
        xp.meshgrid(xp.asarray(x), indexing="yx")
    with pytest.raises(ValueError, match="one dtype"):
        xp.meshgrid(xp.asarray(x), xp.asarray(1.0 * y))


@FEW
@given(arrays(shapes=hnp.array_shapes(min_dims=2, max_dims=3, max_side=4)), st.integers(-4, 4))
def test_tril_and_triu_match_numpy(x, k):
    same(xp.tril(xp.asarray(x), k=k), np.tril(x, k=k))
    same(xp.triu(xp.asarray(x), k=k), np.triu(x, k=k))


# Manipulation


@FEW
@given(arrays(), st.data())
def test_shape_functions_equal_numpy(x, data):
    t = xp.asarray(x)
    same(xp.reshape(t, (-1,)) if x.size else xp.reshape(t, (0,)), x.reshape(-1))
    axis = data.draw(st.integers(-x.ndim - 1, x.ndim))
    same(xp.expand_dims(t, axis), np.expand_dims(x, axis))
    same(xp.expand_dims(t, (0, -1)), np.expand_dims(x, (0, -1)))
    same(xp.squeeze(xp.expand_dims(t, axis), axis), x)
    order = tuple(data.draw(st.permutations(range(x.ndim))))
    same(xp.permute_dims(t, order), x.transpose(order))
    same(xp.broadcast_to(t, (2, *x.shape)), np.broadcast_to(x, (2, *x.shape)))
    same(xp.flip(t), np.flip(x))
    if x.ndim:
        place, other = (data.draw(st.integers(-x.ndim, x.ndim - 1)) for _ in range(2))
        same(xp.moveaxis(t, place, other), np.moveaxis(x, place, other))
        same(xp.moveaxis(t, (0, x.ndim - 1)[: x.ndim], (x.ndim - 1, 0)[: x.ndim]), np.moveaxis(x, *ends(x)))
        same(xp.flip(t, axis=place), np.flip(x, axis=place))
        shift = data.draw(st.integers(-5, 5))
        same(xp.roll(t, shift, axis=place), np.roll(x, shift, axis=place))
        same(xp.roll(t, shift), np.roll(x, shift))
        same(xp.roll(t, (shift, 1), axis=(place, other)), np.roll(x, (shift, 1), axis=(place, other)))
        parts = xp.unstack(t, axis=place)
        assert isinstance(parts, tuple) and len(parts) == x.shape[place]
        for part, expected in zip(parts, np.unstack(x, axis=place), strict=True):
            same(part, expected)


def ends(x):
    return ((0,), (0,)) if x.ndim == 1 else ((0, x.ndim - 1), (x.ndim - 1, 0))


@FEW
@given(arrays(shapes=FULL), st.data())
def test_concat_stack_repeat_and_tile_match_numpy(x, data):
    t = xp.asarray(x)
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    same(xp.concat([t, t], axis=axis), np.concat([x, x], axis=axis))
    same(xp.concat([t, t], axis=None), np.concat([x, x], axis=None))
    same(xp.stack([t, t, t], axis=axis), np.stack([x, x, x], axis=axis))
    count = data.draw(st.integers(0, 3))
    same(xp.repeat(t, count, axis=axis), np.repeat(x, count, axis=axis))
    same(xp.repeat(t, count), np.repeat(x, count))
    counts = data.draw(hnp.arrays("int32", x.shape[axis], elements=st.integers(0, 3)))
    same(xp.repeat(t, xp.asarray(counts), axis=axis), np.repeat(x, counts, axis=axis))
    repetitions = tuple(data.draw(st.lists(st.integers(0, 3), max_size=4)))
    same(xp.tile(t, repetitions), np.tile(x, repetitions))


def test_broadcast_shapes_and_broadcast_arrays_return_the_common_shape():
    shapes = [(2, 1), (3,), ()]
    assert xp.broadcast_shapes(*shapes) == xp.broadcast_shapes((2, 3)) == (2, 3) and xp.broadcast_shapes() == ()
    results = xp.broadcast_arrays(*(xp.ones(shape) for shape in shapes))
    assert isinstance(results, tuple) and {r.shape for r in results} == {(2, 3)}
    with pytest.raises(ValueError, match="broadcast"):
        xp.broadcast_shapes((2,), (3,))


def test_reshape_copies_or_shares_as_requested():
    t = xp.reshape(xp.arange(6), (2, 3))
    shared, copied = xp.reshape(t, (6,), copy=False), xp.reshape(t, (6,), copy=True)
    t[0, 0] = 9
    assert shared[0].item() == 9 and copied[0].item() == 0
    with pytest.raises(ValueError, match="view"):
        xp.reshape(t.T, (6,), copy=False)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda x: xp.expand_dims(x, 4), IndexError),
        (lambda x: xp.expand_dims(x, (0, 0)), ValueError),
        (lambda x: xp.squeeze(x, 0), ValueError),
        (lambda x: xp.squeeze(x, 3), IndexError),
        (lambda x: xp.flip(x, axis=2), IndexError),
        (lambda x: xp.concat([x, x], axis=2), IndexError),
        (lambda x: xp.stack([x, x], axis=-4), IndexError),
        (lambda x: xp.take(x, xp.asarray([0])), ValueError),
        (lambda x: xp.broadcast_to(x, (2, 2)), RuntimeError),
        (lambda x: xp.sum(x, axis=2), IndexError),
        (lambda x: xp.sum(x, axis=(0, 0)), ValueError),
        (lambda x: xp.cumulative_sum(x), ValueError),
        (lambda x: xp.nonzero(xp.asarray(1)), ValueError),
        (lambda x: xp.searchsorted(x[0], x[0], side="middle"), ValueError),
        (lambda x: xp.vecdot(x, x, axis=0), ValueError),
        (lambda x: xp.vecdot(x, x[:, :2]), ValueError),
        (lambda x: xp.matrix_transpose(x[0]), ValueError),
    ],
)
def test_array_api_functions_reject_invalid_arguments(call, error):
    with pytest.raises(error):
        call(xp.reshape(xp.arange(6), (2, 3)))


# Indexing


@FEW
@given(arrays(shapes=FULL), st.data())
def test_take_and_take_along_axis_match_numpy(x, data):
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    indices = data.draw(hnp.arrays("int64", 3, elements=st.integers(0, x.shape[axis] - 1)))
    same(xp.take(xp.asarray(x), xp.asarray(indices), axis=axis), np.take(x, indices, axis=axis))
    order = np.argsort(x.real, axis=axis, stable=True)
    same(xp.take_along_axis(xp.asarray(x), xp.asarray(order), axis=axis), np.take_along_axis(x, order, axis=axis))


# Reductions


@pytest.mark.parametrize("function", ["all", "any", "max", "min", "mean", "std", "var", "sum", "prod", "count_nonzero"])
@FEW
@given(data=st.data())
def test_array_api_reductions_match_numpy(function, data):
    names = {"max": REAL_NUMBERS, "min": REAL_NUMBERS, "mean": REAL + COMPLEX, "std": REAL, "var": REAL}
    names |= {"sum": REAL_NUMBERS + COMPLEX, "prod": REAL_NUMBERS + COMPLEX}
    x, axis, keepdims = data.draw(with_axes(tuple(names.get(function, DTYPES))))
    expected = getattr(np, function)(x, axis=axis, keepdims=keepdims)
    same(getattr(xp, function)(xp.asarray(x), axis=axis, keepdims=keepdims), expected)


@pytest.mark.parametrize("correction", [0, 1.0, 0.5])
def test_std_and_var_with_correction_match_numpy(correction):
    x = np.arange(12.0).reshape(3, 4)
    for function in ("std", "var"):
        expected = getattr(np, function)(x, axis=1, correction=correction)
        same(getattr(xp, function)(xp.asarray(x), axis=1, correction=correction), expected)


def test_sums_of_integers_have_64_bits_unless_a_dtype_is_given():
    for name in INTEGERS:
        for function in (xp.sum, xp.prod, xp.cumulative_sum, xp.cumulative_prod):
            result = function(xp.ones((3,), dtype=dtype(name)))
            assert xp.isdtype(result.dtype, "integral") and xp.iinfo(result.dtype).bits == 64
            assert function(xp.ones((3,), dtype=dtype(name)), dtype=xp.float64).dtype == xp.float64
    assert xp.sum(xp.zeros((0, 2)), axis=0).numpy().tolist() == [0, 0] and xp.prod(xp.zeros((0,))).item() == 1


@FEW
@given(arrays(tuple(REAL_NUMBERS + COMPLEX), FULL), st.data())
def test_cumulative_sum_and_prod_match_numpy(x, data):
    axis, initial = data.draw(st.integers(-x.ndim, x.ndim - 1)), data.draw(st.booleans())
    for function in ("cumulative_sum", "cumulative_prod"):
        expected = getattr(np, function)(x, axis=axis, include_initial=initial)
        same(getattr(xp, function)(xp.asarray(x), axis=axis, include_initial=initial), expected)


@FEW
@given(arrays(tuple(INTEGERS + REAL + COMPLEX), FULL), st.data())
def test_diff_matches_numpy(x, data):
    axis, n = data.draw(st.integers(-x.ndim, x.ndim - 1)), data.draw(st.integers(0, 2))
    t = xp.asarray(x)
    same(xp.diff(t, axis=axis, n=n), np.diff(x, axis=axis, n=n))
    same(xp.diff(t, axis=axis, prepend=t, append=t), np.diff(x, axis=axis, prepend=x, append=x))


# Searching, sorting, sets


@pytest.mark.parametrize("function", ["argmax", "argmin"])
@FEW
@given(data=st.data())
def test_argmax_and_argmin_match_numpy(function, data):
    x = data.draw(arrays(tuple(REAL_NUMBERS), FULL))
    axis, keepdims = data.draw(st.one_of(st.none(), st.integers(-x.ndim, x.ndim - 1))), data.draw(st.booleans())
    expected = getattr(np, function)(x, axis=axis, keepdims=keepdims)
    same(getattr(xp, function)(xp.asarray(x), axis=axis, keepdims=keepdims), expected)


@FEW
@given(arrays(tuple(REAL_NUMBERS), FULL), st.data())
def test_sort_and_argsort_match_numpy(x, data):
    axis, t = data.draw(st.integers(-x.ndim, x.ndim - 1)), xp.asarray(x)
    same(xp.sort(t, axis=axis), np.sort(x, axis=axis))
    same(xp.argsort(t, axis=axis), np.argsort(x, axis=axis, stable=True))
    same(xp.sort(t, axis=axis, descending=True), np.flip(np.sort(x, axis=axis), axis=axis))
    descending = xp.argsort(t, axis=axis, descending=True)
    if x.dtype.kind != "u":
        same(descending, np.argsort(-x.astype("float64"), axis=axis, stable=True))


@FEW
@given(arrays(tuple(REAL_NUMBERS), FULL))
def test_searchsorted_matches_numpy(x):
    flat = np.sort(x.reshape(-1))
    for side in ("left", "right"):
        same(xp.searchsorted(xp.asarray(flat), xp.asarray(x), side=side), np.searchsorted(flat, x, side=side))
        same(xp.searchsorted(xp.asarray(flat), 2, side=side), np.searchsorted(flat, x.dtype.type(2), side=side))
    order = np.argsort(x.reshape(-1), stable=True)
    unordered = xp.asarray(np.ascontiguousarray(x.reshape(-1)))
    same(xp.searchsorted(unordered, xp.asarray(x), sorter=xp.asarray(order)), np.searchsorted(flat, x))


@FEW
@given(arrays(shapes=FULL))
def test_nonzero_matches_numpy(x):
    results = xp.nonzero(xp.asarray(x))
    assert isinstance(results, tuple)
    for result, expected in zip(results, np.nonzero(x), strict=True):
        same(result, expected)


@FEW
@given(st.data())
def test_isin_matches_numpy(data):
    x1, x2 = (data.draw(hnp.arrays("int32", SHAPES, elements=st.integers(-3, 3))) for _ in range(2))
    for invert in (False, True):
        same(xp.isin(xp.asarray(x1), xp.asarray(x2), invert=invert), np.isin(x1, x2, invert=invert))
        same(xp.isin(xp.asarray(x1), 2, invert=invert), np.isin(x1, 2, invert=invert))
        same(xp.isin(2, xp.asarray(x2), invert=invert), np.isin(2, x2, invert=invert))


@FEW
@given(arrays())
def test_unique_functions_match_numpy(x):
    t = xp.asarray(x)
    result, expected = xp.unique_all(t), np.unique_all(x)
    for field in ("values", "indices", "inverse_indices", "counts"):
        same(getattr(result, field), getattr(expected, field))
    same(xp.unique_values(t), np.sort(np.unique_values(x)))
    assert fb.equal(xp.unique_counts(t).counts, result.counts) and xp.unique_counts(t)._fields == ("values", "counts")
    assert fb.equal(xp.unique_inverse(t).inverse_indices, result.inverse_indices)


def test_unique_all_treats_every_nan_as_distinct():
    nan = float("nan")
    result = xp.unique_all(xp.asarray([1.0, nan, 0.0, nan, 1.0, -0.0]))
    np.testing.assert_array_equal(result.values.numpy(), [0, 1, nan, nan])
    assert result.counts.numpy().tolist() == [2, 2, 1, 1] and result.indices.numpy().tolist() == [2, 0, 1, 3]


def test_where_matches_numpy():
    condition = xp.asarray([True, False])
    same(xp.where(condition, xp.asarray([1.0, 2.0]), 3.0), np.where([True, False], np.float32([1, 2]), np.float32(3)))
    same(xp.where(condition, 1, xp.asarray([[4], [5]])), np.where([True, False], 1, [[4], [5]]))
