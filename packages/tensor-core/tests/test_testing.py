"""Tests of flambeau.testing and its descriptions of differences."""

import numpy as np
import pytest

import flambeau as fb
from flambeau.testing import assert_allclose, assert_close, make_tensor

ONE = fb.tensor([1.0, 2.0, 3.0])


def test_assert_close_accepts_close_values():
    assert_close(ONE, ONE + 1e-6)
    assert_close(ONE, [1.0, 2.0, 3.0], check_dtype=False)
    assert_close({"a": (ONE, 2)}, {"a": (ONE.clone(), 2)})
    assert_close(fb.tensor([fb.nan, fb.inf]), fb.tensor([fb.nan, fb.inf]), equal_nan=True)
    assert_close(ONE, ONE * 1.1, rtol=0.2, atol=0)
    assert_close(3.0, 3.0 + 1e-8)
    assert_close(np.ones(2), np.ones(2))
    assert_close(None, None)
    assert_close(fb.tensor(2**62), fb.tensor(2**62))


def test_assert_allclose_ignores_dtypes_and_has_larger_tolerances():
    assert_allclose(ONE, ONE.double() + 9e-5)
    assert_allclose([1.0, fb.nan], fb.tensor([1.0, fb.nan]))
    assert_allclose(ONE, ONE + 0.5, rtol=0, atol=0.6)
    with pytest.raises(AssertionError, match=r"up to 1e-05 allowed\)\nGreatest relative .* \(up to 0.0001 allowed"):
        assert_allclose(ONE, ONE + 1e-2)
    with pytest.raises(AssertionError, match=r"^far$"):
        assert_allclose(ONE, ONE + 1, msg="far")
    with pytest.raises(AssertionError, match="shape"):
        assert_allclose(ONE, 1.0)


@pytest.mark.parametrize(
    ("actual", "expected", "options", "message"),
    [
        (ONE, ONE + fb.tensor([0, 0, 1.0]), {}, r"not close!\n\nMismatched elements: 1 / 3 \(33.3%\)\nGreatest abs.*: "
         r"1 at index \(2,\) \(up to 1e-05 allowed\)\nGreatest rel.*: 0.25 at index \(2,\) \(up to 1.3e-06 allowed\)"),
        (fb.tensor([1, 2]), fb.tensor([1, 3]), {}, r"not equal!\n\nMismatched elements: 1 / 2 \(50.0%\)"),
        (fb.tensor(2**62), fb.tensor(2**62 + 1), {}, "not equal!"),
        (ONE, ONE[:2], {}, r"attribute 'shape' do not match: flambeau.Size\(\[3\]\) != flambeau.Size\(\[2\]\)"),
        (ONE, ONE.double(), {}, "attribute 'dtype' do not match"),
        (fb.ones(2, 2), fb.ones(2, 2).t(), {"check_stride": True}, "attribute 'stride'"),
        (1.0, 1.5, {}, "Scalars are not close!\n\nExpected 1.5 but got 1.0."),
        (1.0, 1.0 + 5e-7, {}, r"Relative difference: .* \(up to 1e-07 allowed\)"),
        (1j, 1j + 5e-7, {}, "Scalars are not close!"),
        (fb.tensor(1.0), fb.tensor(1.5), {}, "Scalars are not close!\n\nExpected 1.5 but got 1.0."),
        (True, False, {}, "Booleans mismatch: True is not False"),
        (1, 1.0, {}, "types of the numbers"),
        ([ONE, 1], [ONE, 2], {}, r"The failure occurred for item \[1\]"),
        ([1], [1, 2], {}, "length of the sequences mismatch: 1 != 2"),
        ({"a": 1}, {"b": 1}, {}, r"Missing keys in the actual mapping: \['b'\]"),
        (fb.tensor(fb.nan), fb.tensor(fb.nan), {}, "not close"),
        (fb.tensor(fb.inf), fb.tensor(-fb.inf), {}, "not close"),
        (None, ONE, {}, "None mismatch"),
        (ONE, ONE + 1, {"msg": "told so"}, "told so"),
        (ONE, ONE + 1, {"msg": lambda text: f"at the end: {text}"}, "at the end: Tensor-likes"),
    ],
)  # fmt: skip
def test_assert_close_reports_differences(actual, expected, options, message):
    with pytest.raises(AssertionError, match=message):
        assert_close(actual, expected, **options)


@pytest.mark.parametrize("layout", ["coo", "csr", "csc", "bsr", "bsc"])
def test_assert_close_compares_sparse_tensors(layout):
    def convert(values):
        options = {"blocksize": (1, 2)} if layout.startswith("bs") else {}
        return fb.tensor(values).to_sparse(layout=getattr(fb, f"sparse_{layout}"), **options)

    s = convert([[1.0, 2, 0, 0], [0, 0, 3, 4]])
    assert_close(s, s * (1 + 1e-7))
    assert_close(s, s.to_dense(), check_layout=False)
    with pytest.raises(AssertionError, match=r"The values of sparse tensors do not match. Tensor-likes are not close!"):
        assert_close(s, s * 2)
    with pytest.raises(AssertionError, match=r"indices of sparse tensors do not match. Tensor-likes are not equal!"):
        assert_close(s, convert([[0.0, 0, 1, 2], [3, 4, 0, 0]]))
    with pytest.raises(
        AssertionError, match=r"of specified values in sparse tensors do not match: \(2, \d\) != \(2, 1"
    ):
        assert_close(s, convert([[1.0, 0, 0, 0], [0, 0, 0, 0]]))
    with pytest.raises(AssertionError, match="attribute 'layout' do not match"):
        assert_close(s, s.to_dense())


def test_uncoalesced_tensors_are_compared_by_their_sums():
    s = fb.sparse_coo_tensor([[1, 1]], [1.0, 2.0], (2,))
    assert_close(s, fb.tensor([0.0, 3.0]).to_sparse())
    with pytest.raises(AssertionError, match="specified values"):
        assert_close(s, fb.sparse_coo_tensor([[1, 1, 0]], [1.0, 2.0, 0.0], (2,)))


def test_assert_close_rejects_invalid_options():
    with pytest.raises(ValueError, match="both be specified"):
        assert_close(ONE, ONE, rtol=1e-3)
    with pytest.raises(TypeError, match="No comparison pair"):
        assert_close(object(), ONE)


@pytest.mark.parametrize("dtype", [fb.float32, fb.bfloat16, fb.complex64, fb.int64, fb.uint8, fb.bool])
def test_make_tensor_draws_values_within_bounds(dtype):
    for shape in ((), (3,), (4, 0), (2, 50)):
        x = make_tensor(shape, dtype=dtype)
        assert x.shape == shape and x.dtype is dtype
    x = make_tensor(3, 40, dtype=dtype, noncontiguous=True, exclude_zero=True)
    assert x.shape == (3, 40) and not x.is_contiguous() and (x != 0).all()
    if dtype.is_floating_point:
        x = make_tensor(100, dtype=dtype, low=2, high=3)
        assert x.min() >= 2 and x.max() <= 3
    with pytest.raises(ValueError, match="less than"):
        make_tensor(2, dtype=dtype, low=1, high=1)


def test_make_tensor_draws_values_that_the_dtype_can_represent():
    assert set(make_tensor(100, dtype=fb.uint8, low=-1, high=2).tolist()) == {0, 1}
    assert set(make_tensor(100, dtype=fb.bool, low=-3, high=1).tolist()) == {False}
    assert set(make_tensor(100, dtype=fb.int8, low=125.5, high=1000).tolist()) == {126, 127}
    with pytest.raises(ValueError, match=r"but flambeau.uint8 only supports \[0, 256\)"):
        make_tensor(2, dtype=fb.uint8, low=300, high=400)


def test_assert_close_accepts_tensors_as_tolerances():
    assert_close(fb.ones(3), fb.ones(3) + 0.1, rtol=0, atol=fb.tensor(0.2))
    with pytest.raises(AssertionError, match="not close"):
        assert_close(fb.ones(3), fb.ones(3) + 0.1, rtol=fb.tensor(0.0), atol=fb.tensor(0.05))


def test_assert_close_compares_numbers_of_numpy_as_those_of_python():
    assert_close(1.0, np.float64(1.0))
    assert_close(np.float32(0.5), 0.5)
    with pytest.raises(AssertionError, match="int != float"):
        assert_close(np.int64(1), 1.0)
