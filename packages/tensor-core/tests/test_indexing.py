"""Reading and writing by index, against NumPy."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

import flambeau as fb

SHAPE = (4, 3, 5)


def pair(shape=SHAPE, dtype=np.float32):
    array = np.arange(int(np.prod(shape))).astype(dtype).reshape(shape)
    return array, fb.tensor(array)


def to_fb(key):
    """Convert the index arrays of a key to tensors."""
    if isinstance(key, tuple):
        return tuple(to_fb(k) for k in key)
    return fb.tensor(key) if isinstance(key, np.ndarray) else key


@st.composite
def keys(draw, advanced):
    """Draw a key for SHAPE: at most one entry per dimension, plus None and an Ellipsis."""
    entries, used = [], 0
    index_shape = draw(st.sampled_from([(2,), (3, 2), (1,), (0,)]))
    while used < 3 and draw(st.integers(0, 5)):
        size = SHAPE[used]
        kinds = ["slice", "none", "int"] + (["list", "mask", "array", "mask2"] if advanced else [])
        kind = draw(st.sampled_from(kinds))
        if kind == "int" and advanced:
            kind = "slice"  # NumPy treats it as an array: test_integers_are_applied_before_index_arrays
        if kind == "mask2" and used > 1:
            kind = "slice"
        if kind == "none":
            entries.append(None)
            continue
        if kind == "slice":
            bound = st.one_of(st.none(), st.integers(-7, 7))
            entries.append(slice(draw(bound), draw(bound), draw(st.one_of(st.none(), st.integers(1, 3)))))
        elif kind == "int":
            entries.append(draw(st.integers(-size, size - 1)))
        elif kind in ("mask", "mask2"):
            shape = SHAPE[used : used + (2 if kind == "mask2" else 1)]
            hits = draw(st.integers(0, 2**20))
            mask = np.zeros(shape, bool)
            count = index_shape[-1]
            mask.ravel()[np.random.default_rng(hits).permutation(mask.size)[:count]] = True
            entries.append(mask)
            used += mask.ndim - 1
        else:
            seed = draw(st.integers(0, 2**20))
            index = np.random.default_rng(seed).integers(-size, size, index_shape)
            entries.append(index.tolist() if kind == "list" and index.size else index)
        used += 1
    if draw(st.booleans()):
        # The entries after an Ellipsis count from the end: only slices and integers fit every dimension there.
        entries.append(Ellipsis)
    return tuple(entries)


@st.composite
def whole_keys(draw):
    """Draw a key that indexes every dimension of SHAPE, some of them by an Ellipsis in the middle."""
    index_shape = draw(st.sampled_from([(2,), (3, 2), ()]))
    entries = []
    for size in SHAPE:
        kind = draw(st.sampled_from(["all", "slice", "array", "mask"]))
        if kind == "array":
            entries.append(np.random.default_rng(draw(st.integers(0, 999))).integers(-size, size, index_shape))
        elif kind == "mask" and len(index_shape) == 1:
            entries.append(np.random.default_rng(draw(st.integers(0, 999))).permutation(size) < index_shape[0])
        else:
            entries.append(slice(None) if kind == "all" else slice(draw(st.integers(-4, 4)), None, 2))
    whole = [i for i, e in enumerate(entries) if isinstance(e, slice) and e == slice(None)]
    if whole and draw(st.booleans()):
        first = last = draw(st.sampled_from(whole))
        while last + 1 in whole:
            last += 1
        entries[first : last + 1] = [Ellipsis]
    if draw(st.booleans()):
        entries.insert(draw(st.integers(0, len(entries))), None)
    return tuple(entries)


def is_advanced(key):
    return any(isinstance(k, np.ndarray) and k.ndim > 0 for k in key)


@given(whole_keys(), st.sampled_from(["float32", "int64", "bool", "float16", "complex128"]))
def test_indexing_with_one_key_per_dimension_matches_numpy(key, dtype):
    array, x = pair(dtype=dtype)
    want = array[key]
    for given_key in (key, to_fb(key)):
        got = x[given_key]
        assert got.shape == want.shape
        assert np.array_equal(got.numpy(), want)
    value = np.arange(want.size).reshape(want.shape).astype(dtype)
    places = np.arange(array.size).reshape(SHAPE)[key]
    if len(np.unique(places)) == places.size:  # with repeated indices, the result would depend on the order
        array[key] = value
        x[to_fb(key)] = fb.tensor(value)
        assert np.array_equal(x.numpy(), array)
    array[key] = 1
    x[key] = 1
    assert np.array_equal(x.numpy(), array)


@given(whole_keys())
def test_basic_indexing_makes_views_and_advanced_indexing_copies(key):
    _, x = pair()
    got = x[to_fb(key)]
    if got.numel() and not is_advanced(key):
        got.fill_(-1)
        assert (x[to_fb(key)] == -1).all()
    elif got.numel():
        got.fill_(-1)
        assert not (x == -1).any()


@given(keys(advanced=False))
def test_basic_indexing_equals_numpy(key):
    array, x = pair()
    want = array[key]
    got = x[key]
    assert got.shape == want.shape
    assert np.array_equal(got.numpy(), want)
    if want.size:
        assert got.data_ptr() >= x.data_ptr()
        assert got._base is not None or got.data_ptr() == x.data_ptr()


@given(keys(advanced=True))
def test_advanced_indexing_equals_numpy(key):
    array, x = pair()
    try:
        want = array[key]
    except IndexError:
        with pytest.raises(IndexError):
            x[to_fb(key)]
        return
    assert np.array_equal(x[to_fb(key)].numpy(), want)
    assert np.array_equal(x[key].numpy(), want)  # NumPy's arrays index too


@given(keys(advanced=True), st.booleans())
def test_indexed_assignment_equals_numpy(key, scalar):
    array, x = pair()
    try:
        shape = array[key].shape
    except IndexError:
        return
    # For a repeated index, NumPy and PyTorch do not specify which value is written, so the values are equal.
    value = 7.0 if scalar else np.full(shape[-1:], 9, np.float32)
    array[key] = value
    x[to_fb(key)] = value if scalar else fb.tensor(value)
    assert np.array_equal(x.numpy(), array)


def test_integers_are_applied_before_index_arrays():
    """Test that integers select first, as in PyTorch. NumPy broadcasts integers with the index arrays."""
    array, x = pair()
    assert np.array_equal(x[0, :, fb.tensor([1, 2])].numpy(), array[0][:, [1, 2]])
    assert np.array_equal(x[:, 1, fb.tensor([1, 2])].numpy(), array[:, 1][:, [1, 2]])
    assert np.array_equal(x[fb.tensor([0, 1]), :, 1].numpy(), array[:, :, 1][[0, 1]])


@pytest.mark.parametrize(
    "key",
    [
        np.array([[0, 2], [1, 1]]),
        ([0, 1], [1, 2]),
        (slice(None), [0, 2], [1, 4]),
        ([0, 1], slice(None), [1, 4]),
        (None, [0, 1]),
        ([0, 1], None),
        np.array([True, False, True, False]),
        (Ellipsis, np.array([True, False, True, False, True])),
        np.arange(12).reshape(4, 3) % 2 == 0,
        (slice(1, 3), np.arange(15).reshape(3, 5) % 4 == 1),
        [],
        ([],),
        True,
        False,
        np.int64(2),
        (np.int64(1), np.int32(-1)),
        np.array(3),
        range(2),
        [True, False, False, True],
        (np.array([[0], [1]]), np.array([[1, 2]])),
        (slice(None, None, 2), Ellipsis, None),
        (1, Ellipsis, 2),
        (),
        Ellipsis,
        None,
        (np.array([0, -1]), Ellipsis, np.array([0, -1])),
        (Ellipsis, [0, 1], [0, 1]),
        (Ellipsis, np.ones((3, 5), bool)),
    ],
)
def test_indexing_with_lists_and_arrays_equals_numpy(key):
    array, x = pair()
    want = array[np.array(key, int if len(key) == 0 else None) if isinstance(key, list) else key]
    assert np.array_equal(x[key].numpy(), want)
    assert np.array_equal(x[to_fb(key)].numpy(), want)


@pytest.mark.parametrize(
    ("key", "error", "message"),
    [
        (5, IndexError, "index 5 is out of bounds for dimension 0 with size 4"),
        (-5, IndexError, "-5"),
        ((0, 3), IndexError, "dimension"),
        ((0, 0, 0, 0), IndexError, "too many indices for tensor of dimension 3"),
        (fb.tensor([0, 9]), IndexError, "index 9 is out of bounds for dimension 0 with size 4"),
        (fb.tensor([-5]), IndexError, "-5"),
        (fb.tensor([True, False]), IndexError, r"\[2\].*\[4, 3, 5\]"),
        (fb.ones(4, 4, dtype=fb.bool), IndexError, r"\[4, 4\]"),
        (fb.tensor([1.0]), IndexError, "float32"),
        ((fb.tensor([0, 1]), fb.tensor([0, 1, 2])), IndexError, r"broadcast.*\[2\].*\[3\]"),
        (1.5, IndexError, "float"),
        ("a", IndexError, "str"),
        (slice(None, None, -1), ValueError, "step"),
        (slice(None, None, 0), ValueError, "step|zero"),
        (slice("a", None), TypeError, "slice"),
        ((Ellipsis, Ellipsis, 0), IndexError, "ellipsis"),
        (2**64, IndexError, "fit"),
        (object(), IndexError, "object"),
        ({}, IndexError, "dict"),
        ([0, "a"], TypeError, "str"),
    ],
)
def test_indexing_rejects_invalid_keys(key, error, message):
    array, x = pair()
    with pytest.raises(error, match=message):
        x[key]
    with pytest.raises(error, match=message):
        x[key] = 1.0
    assert np.array_equal(x.numpy(), array)


@pytest.mark.parametrize(
    ("key", "value", "error", "message"),
    [
        (slice(None), fb.zeros(7), RuntimeError, r"\[4, 3, 5\] and \[7\]"),
        (fb.tensor([0, 1]), fb.zeros(7), RuntimeError, r"\[7\].*\[2, 3, 5\]"),
        (0, "a", TypeError, "str"),
        (0, None, TypeError, "NoneType"),
        (0, [1, [2]], (TypeError, ValueError), "sequence"),
        (fb.tensor([0, 9]), 1.0, IndexError, "9"),
    ],
)
def test_failed_assignments_change_nothing(key, value, error, message):
    array, x = pair()
    with pytest.raises(error, match=message):
        x[key] = value
    assert np.array_equal(x.numpy(), array)


def test_assignment_converts_and_broadcasts():
    x = fb.zeros(2, 3, dtype=fb.int64)
    x[0] = 2.9
    x[1] = fb.tensor([1.5, 2.5, -3.5])
    assert x.tolist() == [[2, 2, 2], [1, 2, -3]]
    x[:, 0] = fb.ones(1, 1, 1, 1, dtype=fb.int64)
    assert x[:, 0].tolist() == [1, 1]
    x[0] = [7, 8, 9]
    x[1] = np.array([1, 2, 3], np.int8)
    assert x.tolist() == [[7, 8, 9], [1, 2, 3]]
    x[x > 7] = 0
    assert x.tolist() == [[7, 0, 0], [1, 2, 3]]
    y = fb.arange(5)
    y[1:] = y[:-1]
    assert y.tolist() == [0, 0, 1, 2, 3]
    z = fb.arange(5)
    z[fb.tensor([0, 1])] = z[3:]
    assert z.tolist() == [3, 4, 2, 3, 4]
    with pytest.raises(TypeError, match="deleting"):
        del z[0]


def test_zero_dimensional_tensors_accept_only_keys_without_dimensions():
    x = fb.tensor(3.0)
    assert x[()].item() == 3
    assert x[...].item() == 3
    assert x[None].shape == (1,)
    assert x[True].shape == (1,)
    assert x[fb.tensor(True)].shape == (1,)
    x[()] = 4
    assert x.item() == 4
    for key in (0, slice(None), fb.tensor([0])):
        with pytest.raises(IndexError):
            x[key]
    with pytest.raises(TypeError, match="0-d"):
        iter(x)
    with pytest.raises(TypeError, match="0-d"):
        len(x)


def test_byte_masks_warn_and_every_integer_dtype_can_be_an_index():
    array, x = pair()
    with pytest.warns(UserWarning, match="dtype torch.uint8 is now deprecated"):
        assert np.array_equal(x[fb.tensor([1, 0, 0, 1], dtype=fb.uint8)].numpy(), array[[0, 3]])
    with pytest.warns(UserWarning, match="dtype torch.uint8 is now deprecated"):
        assert x[fb.tensor(1, dtype=fb.uint8)].shape == (1, *SHAPE)
    for dtype in (fb.int8, fb.int16, fb.int32, fb.int64):
        assert np.array_equal(x[fb.tensor([1, -1], dtype=dtype)].numpy(), array[[1, -1]])
        assert np.array_equal(x[fb.tensor(2, dtype=dtype)].numpy(), array[2])
    assert x[fb.tensor(False)].shape == (0, *SHAPE)
    x[fb.tensor(False)] = 5.0
    assert np.array_equal(x.numpy(), array)
    x[fb.tensor(True)] = 5.0
    assert (x == 5).all()


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")
def test_indices_that_raise_or_change_are_handled():
    class Liar:
        def __init__(self, error):
            self.error = error

        def __index__(self):
            raise self.error

    class Sequence(Liar):
        def __len__(self):
            raise self.error

        def __getitem__(self, i):
            raise self.error

    array, x = pair()
    for kind in (Liar, Sequence):
        for wrong in (kind(ZeroDivisionError("no")), [kind(ZeroDivisionError("no"))]):
            with pytest.raises((ZeroDivisionError, IndexError, TypeError, RuntimeError)):
                x[wrong]
            with pytest.raises((ZeroDivisionError, IndexError, TypeError, RuntimeError)):
                x[wrong] = 1
    for key in ((slice(2**70, None),), slice(-(2**70), 2**70, 2**62)):
        assert x[key].shape == array[key].shape
    assert np.array_equal(x.numpy(), array)


def test_index_put_accumulates():
    x = fb.zeros(3)
    x.index_put_((fb.tensor([0, 2, 0]),), fb.tensor([1.0, 2.0, 3.0]), accumulate=True)
    assert x.tolist() == [4, 0, 2]
    y = fb.zeros(3, 2)
    y.index_put_([fb.tensor([1, 1])], fb.ones(2, 2), accumulate=True)
    assert y.tolist() == [[0, 0], [2, 2], [0, 0]]


def test_index_put_with_a_mask_of_bytes_warns():
    mask = fb.tensor([1, 0, 1], dtype=fb.uint8)
    x = fb.zeros(3)
    with pytest.warns(UserWarning, match="indexing with dtype torch.uint8 is now deprecated"):
        x.index_put_((mask,), fb.tensor([1.0, 2.0]), accumulate=True)
    assert x.tolist() == [1, 0, 2]


def test_large_indices_run_in_parallel():
    array = np.random.default_rng(0).standard_normal((3000, 64)).astype(np.float32)
    rows = np.random.default_rng(1).integers(-3000, 3000, 9000)
    x = fb.tensor(array)
    assert np.array_equal(x[fb.tensor(rows)].numpy(), array[rows])
    assert np.array_equal(x.t()[:, fb.tensor(rows)].numpy(), array.T[:, rows])
    assert np.array_equal(x[x > 0].numpy(), array[array > 0])
    assert np.array_equal(fb.nonzero(x > 1).numpy(), np.argwhere(array > 1))
    assert [i.tolist() for i in fb.where(x > 2)] == [i.tolist() for i in np.nonzero(array > 2)]
    assert np.array_equal(fb.masked_select(x, x > 1).numpy(), array[array > 1])


@pytest.mark.parametrize("shape", [(3, 3), (2, 5), (5, 2), (7, 2), (9, 3), (3, 3, 3), (0, 2), (4, 0)])
@pytest.mark.parametrize("wrap", [False, True])
def test_fill_diagonal_matches_numpy(shape, wrap):
    x, want = fb.zeros(shape), np.zeros(shape, np.float32)
    if want.size:
        np.fill_diagonal(want, 2, wrap)
    assert x.fill_diagonal_(2, wrap) is x
    np.testing.assert_array_equal(x.numpy(), want)
    transposed = fb.zeros(shape[::-1]).permute(*range(len(shape) - 1, -1, -1))
    np.testing.assert_array_equal(transposed.fill_diagonal_(2, wrap).numpy(), want)


def test_fill_diagonal_rejects_other_shapes():
    for shape in ((3,), (3, 3, 2)):
        with pytest.raises(RuntimeError, match="fill_diagonal_"):
            fb.zeros(shape).fill_diagonal_(1)


def test_assigned_elements_have_the_dtype_of_the_tensor():
    x = fb.zeros(3)
    for key in ([0, 1], fb.tensor([True, True, False])):
        with pytest.raises(RuntimeError, match="Index put requires the source and destination dtypes match"):
            x[key] = fb.ones(2, dtype=fb.int64)
        with pytest.raises((IndexError, RuntimeError), match="shape mismatch"):
            x[key] = fb.ones(3, dtype=fb.int64)
    x[x == 0] = fb.tensor(2, dtype=fb.int64)  # one value for a mask
    x[0:1] = fb.ones(1, dtype=fb.int64)
    x[[2]] = 3
    assert x.tolist() == [1, 2, 3]
    with fb.autocast("cpu", dtype=fb.bfloat16):
        x[[0]] = fb.ones(1, dtype=fb.bfloat16) * 4
    assert x.tolist() == [4, 2, 3]


def test_a_dimension_of_size_0_has_no_elements():
    with pytest.raises(IndexError, match="out of bounds for dimension with size 0"):
        fb.empty(10, 0)[:, [0, 1]]


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, np.inf])
@pytest.mark.parametrize("dtype", [fb.float32, fb.float64, fb.bfloat16])
def test_embedding_renorm_limits_the_norm_of_rows(p, dtype):
    """Test that the rows in use are scaled to the largest allowed norm, even repeated rows only once."""
    rows = np.random.default_rng(0).standard_normal((6, 5)) * 3
    table = fb.tensor(rows, dtype=dtype)
    before = table.double().numpy()
    result = fb.embedding_renorm_(table, fb.tensor([[0, 2], [2, 5]]), 1.5, p)
    assert result is table
    lengths = np.linalg.norm(before, p, axis=1)
    want = before * np.where(np.isin(np.arange(6), [0, 2, 5]) & (lengths > 1.5), 1.5 / lengths, 1)[:, None]
    np.testing.assert_allclose(table.double().numpy(), want, rtol=2 * fb.finfo(dtype).eps, atol=1e-6)
    transposed = fb.tensor(before).t().contiguous().t()
    fb.embedding_renorm_(transposed, fb.tensor([1]), 1.5, p)
    np.testing.assert_allclose(np.linalg.norm(transposed[1].numpy(), p), min(1.5, lengths[1]), rtol=1e-6)
    with pytest.raises(IndexError):
        fb.embedding_renorm_(table, fb.tensor([6]), 1.0, p)
    with pytest.raises(RuntimeError, match="matrix"):
        fb.embedding_renorm_(fb.zeros(3), fb.tensor([0]), 1.0, p)


def test_a_list_of_several_indices_is_treated_as_a_tuple_with_a_warning():
    _, x = pair()
    with pytest.warns(UserWarning, match="non-tuple sequence for multidimensional indexing is deprecated"):
        assert fb.equal(x[[[0, 1], [1, 0]]], x[fb.tensor([0, 1]), fb.tensor([1, 0])])
    with pytest.warns(UserWarning, match="deprecated"):
        assert fb.equal(x[[0, slice(0, 2)]], x[0, 0:2])
    assert x[[0, 1]].shape == (2, 3, 5)


def test_leading_dimensions_of_size_1_are_dropped_from_assigned_values():
    array, x = pair((4, 4))
    x[range(4), range(4)] = fb.ones(1, 4)
    array[range(4), range(4)] = np.ones((1, 4))
    np.testing.assert_array_equal(x.numpy(), array)
    x[fb.ones(4, 4).bool()] = fb.zeros(1, 1, 16)
    assert x.sum() == 0


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ((0, 3), "index 3 is out of bounds for dimension 1 with size 3"),
        ((slice(None), None, 1, 7), "index 7 is out of bounds for dimension 2 with size 5"),
        ((..., -6), "index -6 is out of bounds for dimension 2 with size 5"),
        (([0, 1], 1, 5), "index 5 is out of bounds for dimension 2 with size 5"),
    ],
)
def test_an_index_error_names_the_dimension(key, text):
    with pytest.raises(IndexError, match=text):
        pair()[1][key]


def test_indexing_a_zero_dimensional_tensor_raises():
    with pytest.raises(IndexError, match="invalid index of a 0-dim tensor"):
        fb.tensor(1)[0]


def test_a_second_ellipsis_at_the_end_is_ignored():
    x = fb.arange(24).reshape(2, 3, 4)
    assert x[..., ...].tolist() == x.tolist() and x[0, ..., ...].tolist() == x[0].tolist()
    assert x[..., 0, ...].tolist() == x[..., 0].tolist() and x[0, ..., 0, ..., 0].item() == 0
    with pytest.raises(IndexError, match="only have a single ellipsis"):
        x[..., ..., 0]
    x[..., ...] = 0
    assert x.sum().item() == 0


def test_nonzero_returns_contiguous_indices_of_each_dimension():
    mask = fb.tensor([[True, False, True], [False, True, True]])
    assert mask.nonzero().stride() == fb.argwhere(mask).stride() == (1, 4)
    assert all(index.is_contiguous() for index in mask.nonzero(as_tuple=True))
