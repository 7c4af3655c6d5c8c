"""cat and stack, gather and scatter_add, index_select and index_add, against NumPy."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

import flambeau as fb


def draw(shape, dtype="float32", seed=0):
    rng = np.random.default_rng([seed, *shape])
    return (rng.standard_normal(shape) * 5).astype(dtype)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=4), st.data())
def test_cat_and_stack_match_numpy(shape, data):
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    sizes = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=4))
    arrays = []
    for seed, size in enumerate(sizes):
        own = list(shape)
        own[dim] = size
        arrays.append(draw(own, data.draw(st.sampled_from(["float32", "float64", "int64"])), seed))
    tensors = [fb.tensor(a.T).permute(*range(a.ndim - 1, -1, -1)) for a in arrays]
    got = fb.cat(tensors, dim)
    assert np.array_equal(got.numpy(), np.concatenate(arrays, dim).astype(got.numpy().dtype))
    at = data.draw(st.integers(-len(shape) - 1, len(shape)))
    assert np.array_equal(fb.stack([tensors[0]] * 3, at).numpy(), np.stack([arrays[0]] * 3, at))


def test_cat_ignores_empty_vectors():
    assert fb.cat([fb.tensor([]), fb.ones(2, 3), fb.tensor([])], 1).shape == (2, 3)
    assert fb.cat([fb.tensor([]), fb.tensor([])]).shape == (0,)


def test_cat_joins_many_tensors_and_accepts_out():
    parts = [fb.full((3,), i) for i in range(500)]
    assert np.array_equal(fb.cat(parts).numpy(), np.repeat(np.arange(500), 3))
    out = fb.empty(1500, dtype=fb.int64)
    assert fb.cat(parts, out=out) is out
    assert fb.concat(parts).shape == fb.concatenate(parts).shape == (1500,)
    assert fb.vstack([fb.zeros(3), fb.ones(2, 3)]).shape == (3, 3)
    assert np.array_equal(fb.block_diag(fb.ones(2, 2), fb.tensor([[3.0]])).numpy(), [[1, 1, 0], [1, 1, 0], [0, 0, 3]])


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.data())
def test_gather_and_scatter_add_match_numpy(shape, data):
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    picked = [data.draw(st.integers(0, s)) for s in shape]
    picked[dim] = data.draw(st.integers(0, 6))
    size = shape[dim]
    index = np.random.default_rng(data.draw(st.integers(0, 999))).integers(0, size, picked)
    array, source = draw(shape, "float64"), draw([p + 1 for p in picked], "float64", 1)
    x = fb.tensor(array.T).permute(*range(array.ndim - 1, -1, -1))
    crop = array[tuple(slice(None) if d == dim % len(shape) else slice(p) for d, p in enumerate(picked))]
    assert np.array_equal(fb.gather(x, dim, fb.tensor(index)).numpy(), np.take_along_axis(crop, index, dim))
    want = array.copy()
    for at in np.ndindex(*picked):
        to = list(at)
        to[dim] = index[at]
        want[tuple(to)] += source[at]
    got = fb.scatter_add(x, dim, fb.tensor(index), fb.tensor(source))
    np.testing.assert_allclose(got.numpy(), want)
    assert np.array_equal(x.numpy(), array)
    np.testing.assert_allclose(x.clone().scatter_add_(dim, fb.tensor(index), fb.tensor(source)).numpy(), want)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.data())
def test_index_select_and_index_add_match_numpy(shape, data):
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    index = np.array(data.draw(st.lists(st.integers(0, shape[dim] - 1), max_size=6)), dtype=np.int64)
    array = draw(shape, "float64")
    want = np.take(array, index, dim)
    x = fb.tensor(array)
    assert np.array_equal(fb.index_select(x, dim, fb.tensor(index)).numpy(), want)
    assert np.array_equal(fb.index_select(x, dim, fb.tensor(index).int()).numpy(), want)
    source = draw(want.shape, "float64", 2)
    total = np.moveaxis(array.copy(), dim, 0)
    np.add.at(total, index, np.moveaxis(source, dim, 0) * 2)
    got = fb.index_add(x, dim, fb.tensor(index), fb.tensor(source), alpha=2)
    np.testing.assert_allclose(got.numpy(), np.moveaxis(total, 0, dim))


@pytest.mark.parametrize("width", [1, 7, 8, 67])
def test_index_add_of_half_precision_rounds_every_sum(width):
    array, source, index = draw((4, width), "float16"), draw((50, width), "float16", 2), np.arange(50) % 3
    want = array.copy()
    np.add.at(want, index, source)
    assert np.array_equal(fb.index_add(fb.tensor(array), 0, fb.tensor(index), fb.tensor(source)).numpy(), want)
    x, y = fb.full((4, width), 256.0, dtype=fb.bfloat16), fb.ones(50, width, dtype=fb.bfloat16)
    added = fb.index_add(x, 0, fb.tensor(index), y)
    assert (added == 256).all()  # each sum is 257, which bfloat16 rounds to 256


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "int16", "int32", "int64", "uint16", "uint64", "float16", "float32", "float64", "bool"]
)
def test_gather_scatter_and_index_operators_support_every_dtype(dtype):
    a = np.array([1, 0, 3]).astype(dtype)
    x, i = fb.tensor(a), fb.tensor([2, 0, 2])
    assert np.array_equal(fb.gather(x, 0, i).numpy(), a[[2, 0, 2]])
    assert np.array_equal(fb.index_select(x, 0, i).numpy(), a[[2, 0, 2]])
    want = a.copy()
    np.add.at(want, [2, 0, 2], a)
    assert np.array_equal(fb.scatter_add(x, 0, i, x).numpy(), want)
    assert np.array_equal(fb.index_add(x, 0, i, x).numpy(), want)


def test_take_along_dim_matches_numpy():
    array = draw((3, 4, 5))
    index = array.argsort(1)[:, :2]
    assert np.array_equal(
        fb.take_along_dim(fb.tensor(array), fb.tensor(index), 1).numpy(), np.take_along_axis(array, index, 1)
    )


def test_one_hot_matches_the_identity_matrix():
    assert fb.one_hot(fb.tensor([[0, 2], [1, 1]]), 3).tolist() == np.eye(3, dtype=int)[[[0, 2], [1, 1]]].tolist()
    assert fb.one_hot(fb.tensor([0, 2])).shape == (2, 3)


tensor = fb.tensor


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: fb.cat([]), ValueError, "non-empty"),
        (
            lambda: fb.cat([fb.zeros(2, 3), fb.zeros(3, 2)]),
            RuntimeError,
            r"Expected size 3 but got size 2 for tensor number 1.*\[2, 3\].*\[3, 2\]",
        ),
        (lambda: fb.cat([fb.zeros(2, 3), fb.zeros(3)]), RuntimeError, "number of dimensions"),
        (lambda: fb.cat([tensor(1.0)]), RuntimeError, "zero-dimensional"),
        (lambda: fb.cat([fb.zeros(2)], 1), IndexError, r"\[-1, 0\], but got 1"),
        (lambda: fb.cat(fb.zeros(2)), TypeError, "tuple of Tensors"),
        (lambda: fb.cat([1]), TypeError, "int"),
        (lambda: fb.stack([fb.zeros(2), fb.zeros(3)]), RuntimeError, r"\[2\] at entry 0 and \[3\] at entry 1"),
        (
            lambda: fb.gather(fb.zeros(2), 0, tensor([5])),
            RuntimeError,
            "index 5 is out of bounds for dimension 0 with size 2",
        ),
        (lambda: fb.gather(fb.zeros(2), 0, tensor([0.0])), RuntimeError, "float32"),
        (lambda: fb.gather(fb.zeros(2, 3), 1, tensor([0])), RuntimeError, r"\[2, 3\] and \[1\]"),
        (lambda: fb.gather(fb.zeros(2, 3), 1, fb.zeros(3, 1, dtype=fb.int64)), RuntimeError, r"\[3, 1\].*\[2, 3\]"),
        (lambda: fb.gather(tensor(1.0), 0, fb.zeros(2, 2, dtype=fb.int64)), RuntimeError, r"\[2, 2\]"),
        (lambda: fb.scatter_add(fb.zeros(2), 0, tensor([-3]), fb.ones(1)), RuntimeError, "-3"),
        (lambda: fb.scatter_add(fb.zeros(2), 0, tensor([0, 1]), fb.ones(1)), RuntimeError, r"\[2\].*\[1\]"),
        (
            lambda: fb.scatter_add(fb.zeros(2), 0, tensor([0]), fb.ones(1, dtype=fb.float64)),
            RuntimeError,
            "float32 and float64",
        ),
        (lambda: fb.index_select(fb.zeros(2), 0, tensor([2])), IndexError, "index 2"),
        (lambda: fb.index_select(fb.zeros(2), 0, tensor([[1]])), IndexError, r"\[1, 1\]"),
        (lambda: fb.index_select(tensor(1.0), 0, tensor([0, 0, 0])), RuntimeError, "scalar"),
        (lambda: fb.index_add(tensor(1.0), 0, tensor([0] * 1000), tensor(1.0)), RuntimeError, "1000"),
        (lambda: fb.index_add(fb.zeros(2, 2), 0, tensor([5]), fb.ones(1, 2)), RuntimeError, "index 5"),
        (lambda: fb.index_add(fb.zeros(2, 2), 0, tensor([0]), fb.ones(2, 2)), RuntimeError, r"indices \(1\).*\(2\)"),
        (lambda: fb.one_hot(tensor([-1])), RuntimeError, "non-negative"),
        (lambda: fb.one_hot(tensor([3]), 3), RuntimeError, "smaller"),
        (lambda: fb.one_hot(tensor([0]), -2), RuntimeError, "smaller"),
        (lambda: fb.one_hot(fb.empty(0, dtype=fb.int64)), RuntimeError, "total number of classes"),
        (lambda: fb.masked_select(fb.zeros(2), tensor([0, 1])), RuntimeError, "int64"),
    ],
)
def test_joining_operators_reject_invalid_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_failed_scatter_changes_nothing():
    x = fb.zeros(3)
    with pytest.raises(RuntimeError):
        x.scatter_add_(0, tensor([0, 1, 7]), fb.ones(3))
    with pytest.raises(RuntimeError):
        x.index_add_(0, tensor([0, 7]), fb.ones(2))
    assert x.tolist() == [0, 0, 0]


@pytest.mark.parametrize("function", [fb.cat, fb.concat, fb.stack])
def test_separate_tensors_suggest_a_list(function):
    for arguments in ((fb.ones(2), fb.ones(2)), (fb.ones(2),)):
        with pytest.raises(TypeError, match=r"not Tensor; pass the tensors as one list: \[a, b\]"):
            function(*arguments)


@pytest.mark.parametrize(("shape", "order"), [((2, 3, 4, 5), fb.channels_last), ((2, 3, 4, 5, 2), fb.channels_last_3d)])
def test_cat_keeps_the_channels_last_format(shape, order):
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    x = fb.tensor(values).contiguous(memory_format=order)
    for dim in range(len(shape)):
        joined = fb.cat([x, x], dim)
        assert joined.is_contiguous(memory_format=order) and not joined.is_contiguous()
        np.testing.assert_array_equal(joined.numpy(), np.concatenate([values, values], dim))
    with_gaps = x[:, :, :3]
    assert fb.cat([with_gaps, with_gaps]).is_contiguous(memory_format=order)
    assert fb.cat([x, fb.tensor(values)]).is_contiguous()  # the memory format of the second tensor is used
    assert fb.stack([x[0].movedim(0, -1).contiguous().movedim(-1, 0)] * 2).is_contiguous()


def test_cat_of_only_empty_vectors_accepts_any_dimension():
    assert fb.cat([fb.zeros(0), fb.zeros(0)], dim=3).shape == (0,)
