"""Tests of errors whose messages are those of PyTorch 2, because users search for them."""

import numpy as np
import pytest

import flambeau as fb

VALUES = fb.arange(6.0).reshape(2, 3)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: fb.zeros(0, 3).view(-1, 0),
            "because the unspecified dimension size -1 can be any value and is ambiguous",
        ),
        (lambda: fb.zeros(2, 3).view(fb.float64), r"self.size\(-1\) must be divisible by 2 to view"),
        (lambda: fb.zeros(2, 3)[:, :2].view(fb.float64), r"self.stride\(0\) must be divisible by 2 to view"),
        (lambda: fb.tensor_split(VALUES, 0), "number of sections must be larger than 0, got 0"),
        (lambda: VALUES.movedim((0, 0), (0, 1)), r"movedim: repeated dim in `source` \(\[0, 0\]\)"),
        (lambda: VALUES.movedim((0, 1), (1, 1)), r"movedim: repeated dim in `destination` \(\[1, 1\]\)"),
        (lambda: fb.zeros(5).expand(-1, -1), r"The expanded size of the tensor \(-1\) isn't allowed in a leading"),
        (
            lambda: fb.empty_strided((2,), ()),
            r"dimensionality of sizes \(1\) must match dimensionality of strides \(0\)",
        ),
        (lambda: fb.zeros(4).resize_(0, 4, 2**61), "Stride calculation overflowed"),
        (lambda: fb.eye(-1, 1), "n must be greater or equal to 0, got -1"),
        (lambda: fb.eye(1, -1), "m must be greater or equal to 0, got -1"),
        (lambda: fb.zeros(3, dtype=fb.int8).random_(-1000, 4), "from is out of bounds"),
        (lambda: fb.zeros(3, dtype=fb.int8).random_(0, 1000), "to - 1 is out of bounds"),
        (lambda: fb.zeros(3).uniform_(-3e38, 3e38), "uniform_ expects to-from <="),
        (lambda: fb.meshgrid(fb.ones(2), indexing="yx"), 'indexing must be one of "xy" or "ij", but received: yx'),
        (lambda: fb.take_along_dim(VALUES, fb.zeros(2, 3), 1), "dtype of indices should be Long"),
        (lambda: fb.addcdiv(*[fb.tensor([1])] * 3), "Integer division with addcdiv is no longer supported"),
        (lambda: fb.add(fb.tensor([1]), 1, alpha=True), "Boolean alpha only supported for Boolean results"),
        (lambda: fb.tensor([1.0]).sub_(1, alpha=True), "Boolean alpha only supported for Boolean results"),
        (lambda: VALUES.index_fill(0, fb.tensor([0]), 1j), "Converting complex Scalar to non-complex type"),
        (lambda: fb.nonzero(VALUES, out=fb.empty(0)), "scalar type Long"),
        (lambda: fb._assert_async(fb.tensor([])), "Boolean value of Tensor with no values is ambiguous"),
        (lambda: fb.complex(*[VALUES.int()] * 2), "to be Half, Float or Double tensors but got Int and Int"),
        (lambda: fb.polar(VALUES, VALUES.double()), "scalar type Float but got scalar type Double for second argument"),
        (
            lambda: fb.linspace(0, 1j, 5, dtype=fb.float32),
            r"torch.linspace\(\): inferred dtype complex can't be safely",
        ),
        (
            lambda: fb.logspace(0j, 1, 5, dtype=fb.float32),
            r"torch.logspace\(\): inferred dtype complex can't be safely",
        ),
        (lambda: fb.tensor_split(VALUES, fb.tensor(1.5)), "to have dtype of long, but got Float"),
        (lambda: fb.tensor_split(VALUES, fb.tensor([[1]])), "one-dimensional tensor, but got a tensor with 2 dims"),
        (lambda: fb.lerp(VALUES, VALUES.double(), 0.5), "expected dtype float32 for `end` but got dtype float64"),
        (lambda: fb.lerp(VALUES, VALUES, VALUES.double()), "expected dtype float32 for `weight` but got dtype float64"),
        (lambda: fb.tensor([]).is_nonzero(), "Boolean value of Tensor with no values is ambiguous"),
        (lambda: fb.tensor([0, 0]).is_nonzero(), "Boolean value of Tensor with more than one value is ambiguous"),
        (lambda: fb.asarray(np.float64(0.5), copy=False), "can't alias NumPy scalars"),
        (lambda: fb.empty([0, 4, 2**61]), "Stride calculation overflowed"),
        (lambda: fb.conv2d(fb.ones(1, 1, 2, 2).long(), fb.ones(1, 1, 1, 1).double()), "type Long but found Double"),
        (lambda: fb.take_along_dim(VALUES, fb.zeros(2, 3, dtype=fb.int32), 1), "dtype of indices should be Long"),
        (lambda: fb.block_diag(VALUES, fb.ones(1, 1, 1)), "torch.block_diag: .* Input 1 has 3 dimensions"),
        (lambda: fb.Tensor(VALUES, device="cpu"), r"use flambeau.as_tensor\(tensor, device=...\)"),
        (lambda: "x" in VALUES, "only supports Tensor or scalar, but you passed in a <class 'str'>."),
    ],
)
def test_runtime_errors_have_the_text_of_pytorch(call, text):
    with pytest.raises(RuntimeError, match=text):
        call()


@pytest.mark.parametrize(
    ("call", "text"),
    [
        *((getattr(VALUES, name), "missing 1 required positional arguments") for name in ("flip", "permute", "repeat")),
        *((getattr(VALUES, name), "missing 1 required positional arguments") for name in ("view", "reshape", "expand")),
        (lambda: fb._check_tensor_all(True), "cond must be a tensor, but got <class 'bool'>"),
        (lambda: fb._check_tensor_all(VALUES), "cond tensor must have dtype flambeau.bool, but got flambeau.float32"),
        (lambda: VALUES.__dlpack__(stream="first"), "stream must be int or None"),
    ],
)
def test_type_errors_have_the_text_of_pytorch(call, text):
    with pytest.raises(TypeError, match=text):
        call()


def test_where_with_a_uint8_condition_is_deprecated():
    with pytest.warns(UserWarning, match="where received a uint8 condition tensor"):
        assert fb.where(fb.tensor([1, 0], dtype=fb.uint8), 1, 2).tolist() == [1, 2]


def test_a_list_of_tensors_may_be_empty_where_sizes_may_not():
    assert fb.block_diag().shape == (1, 0)
    assert fb.flip(VALUES, ()).tolist() == VALUES.tolist()


def test_add_of_booleans_accepts_alpha_true():
    assert fb.add(fb.tensor([True, False]), fb.tensor([False, False]), alpha=True).tolist() == [True, False]


def test_converting_several_elements_to_complex_raises():
    with pytest.raises(ValueError, match="only one element tensors can be converted to Python scalars"):
        complex(VALUES)


def test_asarray_names_the_dtypes_that_cannot_share_memory():
    with pytest.raises(ValueError, match=r"can't alias tensor with dtype '.*float32' into dtype '.*int32'"):
        fb.asarray(VALUES, dtype=fb.int32, copy=False)
