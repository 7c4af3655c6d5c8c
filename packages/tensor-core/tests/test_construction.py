"""Tensors from numbers, nested sequences, arrays and ranges."""

import array as arrays

import numpy as np
import pytest
from hypothesis import given, strategies as st

import flambeau as fb

UNSIGNED = ["uint8", "uint16", "uint32", "uint64"]
DTYPES = ["bool", *UNSIGNED, "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"]


def test_equal_elements_that_share_memory_can_be_filled():
    x = fb.zeros(1, 3).expand(4, 3)
    assert x.fill_(2.0)[3].tolist() == [2, 2, 2]
    x[:] = 3
    assert x[0].tolist() == [3, 3, 3]
    with pytest.raises(RuntimeError, match="more than one element of the written-to tensor"):
        x.add_(1)


@pytest.mark.filterwarnings("ignore:To copy construct from a tensor")
@pytest.mark.parametrize(
    ("data", "dtype", "shape"),
    [
        (3, fb.int64, ()),
        (True, fb.bool, ()),
        (2.5, fb.float32, ()),
        ([], fb.float32, (0,)),
        ([[], []], fb.float32, (2, 0)),
        ([1, 2], fb.int64, (2,)),
        ([1, 2.5], fb.float32, (2,)),
        ([True, 2], fb.int64, (2,)),
        ([True, False], fb.bool, (2,)),
        ([[1, 2], [3, 4.5]], fb.float32, (2, 2)),
        (((1,), [2]), fb.int64, (2, 1)),
        (range(4), fb.int64, (4,)),
        (np.float64(1.5), fb.float64, ()),
        (np.float32(1.5), fb.float32, ()),
        (np.int16(3), fb.int16, ()),
        (np.bool_(True), fb.bool, ()),
        ([np.float64(1.5), 2], fb.float64, (2,)),
        (np.arange(3, dtype=np.uint8), fb.uint8, (3,)),
        (np.array(2.0), fb.float64, ()),
        ([np.arange(3), np.arange(3) + 1], fb.int64, (2, 3)),
        ([fb.tensor(1), fb.tensor(2)], fb.int64, (2,)),
        ([fb.tensor([1.0]), [2]], fb.float32, (2, 1)),
        (arrays.array("f", [1, 2]), fb.float32, (2,)),
        (fb.ones(2, dtype=fb.int8), fb.int8, (2,)),
        (memoryview(np.ones((2, 3), np.int32)), fb.int32, (2, 3)),
    ],
)
def test_tensor_infers_the_dtype_and_the_shape(data, dtype, shape):
    t = fb.tensor(data)
    assert t.dtype is dtype
    assert t.shape == shape
    if not isinstance(data, (fb.Tensor, memoryview)) and not (
        isinstance(data, list) and data and isinstance(data[0], fb.Tensor)
    ):
        assert np.array_equal(t.numpy(), np.array(data))


nested = st.recursive(
    st.floats(-1e6, 1e6) | st.integers(-1000, 1000) | st.booleans(),
    lambda inner: st.lists(inner, min_size=1, max_size=3),
    max_leaves=20,
)


@given(nested)
def test_tensor_converts_nested_sequences_as_numpy_does(data):
    try:
        want = np.array(data, dtype=np.float64)
    except ValueError:
        with pytest.raises((ValueError, TypeError)):
            fb.tensor(data)
        return
    assert np.array_equal(fb.tensor(data, dtype=fb.float64).numpy(), want)
    assert fb.tensor(fb.tensor(data, dtype=fb.float64).tolist(), dtype=fb.float64).tolist() == want.tolist()


@pytest.mark.parametrize("name", DTYPES)
def test_tensors_of_every_dtype_can_be_created(name):
    dtype = getattr(fb, name)
    t = fb.tensor([0, 1, 2, 100], dtype=dtype)
    assert t.dtype is dtype
    assert t.float().tolist() == ([0, 1, 1, 1] if name == "bool" else [0, 1, 2, 100])
    assert fb.zeros(2, dtype=dtype).tolist() == [0, 0]
    assert fb.ones(2, dtype=dtype).tolist() == [1, 1]
    assert fb.full((2,), 1, dtype=dtype).tolist() == [1, 1]
    assert fb.empty(2, 3, dtype=dtype).shape == (2, 3)
    assert fb.eye(2, dtype=dtype).tolist() == [[1, 0], [0, 1]]
    for make in (fb.zeros_like, fb.ones_like, fb.empty_like):
        assert make(t).dtype is dtype and make(t).shape == (4,)
        assert make(t, dtype=fb.int8).dtype is fb.int8
    assert fb.full_like(t, 1).tolist() == [1] * 4
    assert (
        t.new_zeros(2).dtype
        is t.new_ones((2, 2)).dtype
        is t.new_tensor([1]).dtype
        is t.new_full((1,), 1).dtype
        is dtype
    )


@pytest.mark.parametrize("source", DTYPES)
@pytest.mark.parametrize("target", DTYPES)
def test_tensor_converts_values_to_the_given_dtype(source, target):
    values = [0, 1, 3] if {source, target} & {"bool", *UNSIGNED} else [0, 1, -3]
    t = fb.tensor(values, dtype=getattr(fb, source)).to(getattr(fb, target))
    want = [bool(v) for v in values] if "bool" in (source, target) else values
    assert t.tolist() == want


def test_floats_truncate_towards_zero():
    x = fb.tensor([2.9, -2.9, 0.5])
    for dtype in (fb.int8, fb.int16, fb.int32, fb.int64):
        assert x.to(dtype).tolist() == [2, -2, 0]
    assert fb.tensor([1.5], dtype=fb.int32).tolist() == [1]


def test_half_precision_dtypes_round_to_nearest_even():
    a = np.concatenate(
        [
            np.random.default_rng(0).standard_normal(20_000) * 10.0 ** np.random.default_rng(1).integers(-9, 6, 20_000),
            [np.inf, -np.inf, 65504, 65519.99, 65520, 5.96e-8, 2.98e-8, 2.9e-8, -0.0],
        ]
    ).astype(np.float32)
    with np.errstate(over="ignore"):
        want = a.astype(np.float16)
    assert np.array_equal(fb.tensor(a).half().numpy().view(np.uint16), want.view(np.uint16))
    assert np.array_equal(fb.tensor(want).float().numpy(), want.astype(np.float32))
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    assert np.array_equal(fb.tensor(every).float().numpy(), every.astype(np.float32), equal_nan=True)
    bits = a.view(np.uint32).astype(np.uint64)
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint32) << 16
    assert np.array_equal(fb.tensor(a).bfloat16().float().numpy(), rounded.view(np.float32))
    assert np.isnan(fb.tensor(np.nan).bfloat16().item()) and np.isnan(fb.tensor(np.nan).half().item())


@given(st.integers(-30, 30), st.integers(-30, 30), st.integers(-7, 7))
def test_arange_of_integers_matches_numpy(start, stop, step):
    if step == 0 or (stop - start) * step < 0:
        with pytest.raises(RuntimeError, match="step"):
            fb.arange(start, stop, step)
        return
    assert np.array_equal(fb.arange(start, stop, step).numpy(), np.arange(start, stop, step))


def test_arange_linspace_and_eye_match_numpy():
    assert fb.arange(5).dtype is fb.int64
    assert fb.arange(5.0).dtype is fb.float32
    assert np.array_equal(fb.arange(1, 2, 0.1).numpy(), np.arange(1, 2, 0.1).astype(np.float32))
    assert fb.arange(3, dtype=fb.float16).tolist() == [0, 1, 2]
    assert fb.arange(start=1, end=4).tolist() == [1, 2, 3]
    for steps in (0, 1, 2, 7, 50):
        got = fb.linspace(-2, 3, steps, dtype=fb.float64).numpy()
        np.testing.assert_allclose(got, np.linspace(-2, 3, steps), rtol=1e-15, atol=1e-15)
    assert fb.linspace(0, 1, 11)[-1].item() == 1
    assert fb.linspace(4.3, -3, 5, dtype=fb.int64).tolist() == [4, 2, 0, -1, -3]  # 4.3 is converted to 4 first
    assert fb.logspace(0, 2.9, 3, dtype=fb.int64).tolist() == [1, 10, 100]
    assert np.array_equal(fb.eye(3, 5).numpy(), np.eye(3, 5))
    assert np.array_equal(fb.eye(3, 0).numpy(), np.eye(3, 0))


def test_factories_accept_sizes_in_every_form():
    for size in (
        (2, 3),
        ((2, 3),),
        ([2, 3],),
        (fb.Size((2, 3)),),
        (np.int64(2), 3),
        (fb.tensor(2), 3),
        (np.array([2, 3]),),
    ):
        assert fb.zeros(*size).shape == (2, 3)
    assert fb.zeros(()).shape == ()
    assert fb.zeros(size=(2,)).shape == fb.zeros(np.array(2)).shape == (2,)
    assert fb.Tensor(2, 3).shape == (2, 3)
    assert fb.Tensor([2, 3]).tolist() == [2, 3]


@pytest.mark.filterwarnings("ignore:To copy construct from a tensor")
def test_tensor_copies_and_as_tensor_shares_memory():
    a = np.arange(3.0)
    assert fb.tensor(a).data_ptr() != a.ctypes.data
    assert fb.as_tensor(a).data_ptr() == a.ctypes.data
    assert fb.as_tensor(a, dtype=fb.float32).dtype is fb.float32
    t = fb.tensor(a)
    assert fb.as_tensor(t) is t
    assert fb.tensor(t).data_ptr() != t.data_ptr()
    assert t.to(fb.float64) is t and t.double() is t and t.contiguous() is t and t.cpu() is t
    assert t.to(fb.float64, copy=True).data_ptr() != t.data_ptr()
    assert t.to("cpu") is t and t.to(fb.device("cpu"), fb.float32).dtype is fb.float32
    assert t.detach().data_ptr() == t.data_ptr()
    assert t.clone().data_ptr() != t.data_ptr()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: fb.tensor([[1, 2], [3]]), ValueError, r"length 2 at dim 1 \(got 1\)"),
        (lambda: fb.tensor([[1], 2]), TypeError, "dim 1"),
        (lambda: fb.tensor([1, [2]]), TypeError, "dim 1"),
        (lambda: fb.tensor([np.zeros(2), np.zeros(3)]), ValueError, "length 2 at dim 1"),
        (lambda: fb.tensor("a"), TypeError, "str"),
        (lambda: fb.tensor([1, "a"]), TypeError, "str"),
        (lambda: fb.tensor(None), RuntimeError, "NoneType"),
        (lambda: fb.tensor({}), RuntimeError, "dict"),
        (lambda: fb.tensor(np.array(["a"])), (TypeError, ValueError), "format|ndarray"),
        (lambda: fb.tensor(np.array([1j], "clongdouble")), TypeError, "ndarray"),
        (lambda: fb.tensor(300, dtype=fb.uint8), RuntimeError, "300.*uint8"),
        (lambda: fb.tensor([2**40], dtype=fb.int32), RuntimeError, "int32"),
        (lambda: fb.tensor(float("nan"), dtype=fb.int64), RuntimeError, "nan.*int64"),
        (lambda: fb.tensor([1e30], dtype=fb.int64), RuntimeError, "int64"),
        (lambda: fb.full((2,), 300, dtype=fb.uint8), RuntimeError, "300.*uint8"),
        (lambda: fb.tensor(2**63), ValueError, "64 bits"),
        (lambda: fb.zeros(-1), RuntimeError, "-1"),
        (lambda: fb.zeros(2**62), RuntimeError, str(2**62)),
        (lambda: fb.zeros(2**31, 2**31, 2**31), RuntimeError, "overflow"),
        (lambda: fb.zeros(2**50), RuntimeError, "memory"),
        (lambda: fb.zeros((1,) * 65), RuntimeError, "64 dimensions"),
        (lambda: fb.zeros(2.5), TypeError, "float"),
        (lambda: fb.zeros("2"), TypeError, "str"),
        (lambda: fb.zeros(2, dtype="float32"), TypeError, "str"),
        (lambda: fb.zeros(2, device="cuda"), RuntimeError, "CUDA is not available"),
        (lambda: fb.zeros(2, device="gpu"), RuntimeError, "gpu"),
        (lambda: fb.zeros(2, foo=1), TypeError, "foo"),
        (lambda: fb.arange(0, 10, 0), RuntimeError, "nonzero"),
        (lambda: fb.arange(0, float("inf")), RuntimeError, "inf"),
        (lambda: fb.arange(0, 1e30), RuntimeError, "1e\\+30"),
        (lambda: fb.linspace(0, 1, -1), RuntimeError, "-1"),
        (lambda: fb.eye(-1), RuntimeError, "-1"),
        (lambda: fb.full((2,), "a"), TypeError, "fill_value"),
        (lambda: fb.tensor([1.0, 2.0]).item(), RuntimeError, "2 elements"),
        (lambda: fb.zeros(2).fill_("a"), TypeError, "str"),
        (lambda: bool(fb.zeros(2)), RuntimeError, "more than one"),
        (lambda: bool(fb.zeros(0)), RuntimeError, "no values"),
        (lambda: int(fb.tensor(float("inf"))), OverflowError, "inf"),
        (lambda: [1, 2][fb.tensor(1.0)], TypeError, "integer"),
        (lambda: fb.Tensor(2, dtype=fb.int8), TypeError, "keyword"),
        (lambda: fb.tensor([1.0]).to("foo"), RuntimeError, "foo"),
        (lambda: fb.tensor([1.0]).view("a"), TypeError, "str"),
    ],
)
def test_construction_rejects_invalid_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_sequence_that_contains_itself_is_rejected():
    endless = []
    endless.append(endless)
    with pytest.raises(TypeError, match="self-referential lists"):
        fb.tensor(endless)
    inner, outer = [0], [0]
    inner.append([outer])
    outer.append(inner)
    with pytest.raises(ValueError, match="deep"):
        fb.tensor(outer)


def test_a_sequence_with_failing_getitem_raises():
    class Named:
        def __len__(self):
            return 2

        def __getitem__(self, name):
            raise TypeError(f"no item {name}")

    with pytest.raises(ValueError, match="could not determine the shape of object type 'Named'"):
        fb.tensor(Named())


def test_nonzero_integers_of_any_size_become_true():
    assert fb.tensor([2**64, 0, -(2**70)], dtype=fb.bool).tolist() == [True, False, True]


def test_scalar_tensors_convert_to_python_numbers():
    t = fb.tensor(3)
    assert (int(t), float(t), bool(t), [10, 20, 30, 40][t]) == (3, 3.0, True, 40)
    assert fb.tensor([[2.5]]).item() == 2.5
    assert f"{fb.tensor(2.5):.3f}" == "2.500"
    assert fb.tensor(1.5) in fb.tensor([1.0, 1.5])
    assert fb.finfo(fb.float32).max == np.finfo(np.float32).max
    assert fb.finfo(fb.float16).tiny == np.finfo(np.float16).tiny
    assert fb.iinfo(fb.int8).min == -128 and fb.iinfo(fb.uint8).max == 255
    assert fb.finfo(float) == fb.finfo(fb.float64) and fb.iinfo(int) == fb.iinfo(fb.int64)


def test_arange_with_an_integer_dtype_truncates_real_arguments():
    assert fb.arange(0.5, 10.5, 2.5, dtype=fb.int64).tolist() == [0, 2, 4, 6, 8]  # all are converted to int64 first
    assert fb.arange(0.5, 10.5, 2.5, dtype=fb.int32).tolist() == [0, 2, 4, 6]
    with pytest.raises(ValueError, match="nonzero"):
        fb.arange(0, 64, 0.5, out=fb.empty(0, dtype=fb.int64))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: fb.tensor(["a", "b"]), ValueError, "too many dimensions 'str': tensors hold numbers"),
        (lambda: fb.from_numpy([1, 2]), TypeError, r"got list\); use flambeau\.tensor\(\) for numbers"),
        (lambda: fb.tensor(np.array([1, None])), TypeError, r"Convert .* array\.astype\('float32'\)"),
        (lambda: fb.einsum(fb.ones(2, 2), "ij"), TypeError, "the equation comes first"),
    ],
)
def test_errors_suggest_the_corrected_call(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_tensors_of_one_element_are_accepted_in_a_list_of_numbers(shape):
    one, two = fb.full(shape, 1.0), fb.full(shape, 2.0)
    assert fb.tensor([one, two]).tolist() == [1, 2] and fb.tensor([[one], [two]]).tolist() == [[1], [2]]
    assert fb.as_tensor(one).shape == shape
    assert fb.tensor([np.array([1.0]), np.array([2.0])]).tolist() == [[1], [2]]  # NumPy's arrays keep their dimension
    with pytest.raises(ValueError, match="expected"):
        fb.tensor([one, fb.ones(2)])


def test_elements_of_linspace_are_rounded_as_in_pytorch():
    assert fb.linspace(1e-4, 0.02, 1000)[333].item().hex() == "0x1.b946980000000p-8"
    assert fb.linspace(0, 1, 7)[3].item() == 0.5 and fb.linspace(3.3, 9.9, 64)[-1] == fb.tensor(9.9)


@pytest.mark.parametrize(
    "data",
    [
        np.datetime64("2020"),
        np.timedelta64(3, "D"),
        np.bytes_(b"abc"),
        [np.datetime64("2020")],
        np.array(["2020"], dtype="M8[D]"),
        np.array(["text"]),
    ],
    ids=repr,
)
@pytest.mark.parametrize("function", [fb.tensor, fb.as_tensor])
def test_dates_and_texts_of_numpy_are_rejected(function, data):
    with pytest.raises(TypeError, match=r"can't convert numpy.* of dtype .* The only supported types are"):
        function(data)
