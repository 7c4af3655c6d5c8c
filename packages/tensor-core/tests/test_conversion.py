"""Tests of conversions to another dtype, memory format or legacy type: to, type, clone, new_tensor and others."""

import numpy as np
import pytest

import flambeau as fb


def test_to_accepts_every_form_of_arguments():
    x, other = fb.zeros(2, 3), fb.zeros(1, dtype=fb.float64)
    for made in (
        x.to(fb.float64),
        x.to(dtype=fb.float64),
        x.to(float),
        x.to(other),
        x.to("cpu", fb.float64),
        x.to(fb.device("cpu"), fb.float64, True),
        x.to(None, fb.float64),
        x.to(device="cpu", dtype=fb.float64, non_blocking=True),
        x.to(other, True, True),
        x.double(),
        x.type(fb.float64),
        x.type(fb.DoubleTensor),
        x.type("flambeau.DoubleTensor"),
        x.type_as(other),
    ):
        assert made.dtype is fb.float64 and made.shape == (2, 3)
    for same in (x.to(), x.to(None), x.to("cpu"), x.to(fb.float32), x.to(x), x.cpu(), x.float(), x.type(fb.float32)):
        assert same is x
    for copied in (
        x.to(copy=True),
        x.to(fb.float32, False, True),
        x.to("cpu", fb.float32, False, True),
        x.to(x, copy=True),
    ):
        assert copied is not x and copied.data_ptr() != x.data_ptr()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: x.to("foo"), RuntimeError, "foo"),
        (lambda x: x.to(0), RuntimeError, "CUDA is not available"),
        (lambda x: x.to(5.5), TypeError, "must be flambeau.dtype, flambeau.device, str or Tensor, not float"),
        (lambda x: x.to(np.float32), TypeError, "not type; write flambeau.float32"),
        (lambda x: x.to(np.dtype("int16")), TypeError, "write flambeau.int16"),
        (lambda x: x.to("float64"), RuntimeError, "for a dtype write flambeau.float64"),
        (lambda x: x.to(True), TypeError, "not bool"),
        (lambda x: x.to(fb.float64, fb.float32), TypeError, "non_blocking.*dtype"),
        (lambda x: x.to(fb.float64, dtype=fb.float32), TypeError, "multiple values"),
        (lambda x: x.to("cpu", fb.int8, False, False, False), TypeError, "5 positional"),
        (lambda x: x.to(memory_format=5), TypeError, "memory_format"),
        (lambda x: x.type("FloatTensor"), ValueError, "FloatTensor"),
        (lambda x: x.type(5), TypeError, "5"),
        (lambda x: x.to(memory_format=fb.channels_last), RuntimeError, r"rank 4.*\[2\]"),
        (lambda x: x.pin_memory(), RuntimeError, "GPU"),
        (lambda x: fb.empty(2, memory_format=fb.preserve_format), RuntimeError, "Preserve"),
        (lambda x: fb.empty_strided((2, 3), (1,)), RuntimeError, r"\[2, 3\] and \[1\]"),
        (lambda x: fb.empty_strided((2, 3), (1, -2)), RuntimeError, "negative"),
        (lambda x: fb.empty_strided((2**40, 2**40), (2**40, 1)), RuntimeError, "overflow"),
        (lambda x: fb.FloatTensor(x.double()), TypeError, "float32.*float64"),
        (lambda x: fb.FloatTensor("a"), TypeError, "str"),
        (lambda x: fb.FloatTensor((6, 0), 1), TypeError, r"invalid combination of arguments - got \(tuple, int\)"),
        (lambda x: fb.FloatTensor(2.5), TypeError, "float"),
        (lambda x: fb.Tensor(2.5), TypeError, "float"),
        (lambda x: fb.Tensor("a"), TypeError, "str"),
        (lambda x: fb.Tensor(None), TypeError, "NoneType"),
        (lambda x: fb.Tensor(-1), RuntimeError, "-1"),
        (lambda x: fb.Tensor(2, 2.5), TypeError, "float"),
        (lambda x: fb.asarray([1, 2], copy=False), ValueError, "alias"),
        (lambda x: fb.asarray(x, dtype=fb.int8, copy=False), ValueError, "int8"),
        (lambda x: fb.logspace(fb.zeros(1), 2, 3), RuntimeError, r"\[1\]"),
        (lambda x: fb.arange(2, dtype=fb.bool), NotImplementedError, "bool"),
        (lambda x: fb.range(5, 0), RuntimeError, "step sign"),
        (lambda x: fb.tensor({1: 2}), RuntimeError, "infer dtype of dict"),
        (lambda x: fb.tensor([None]), RuntimeError, "infer dtype of NoneType"),
        (lambda x: fb.tensor([None], dtype=fb.int8), TypeError, "NoneType"),
        (lambda x: fb.tensor(["a"]), ValueError, "too many dimensions 'str'"),
        (lambda x: fb.tensor([1.0, [2.0]]), TypeError, "dim 1"),
        (lambda x: fb.tensor([2**63]), ValueError, "64 bits"),
        (lambda x: fb.tensor(2**2000, dtype=fb.float32), OverflowError, "large"),
    ],
)
def test_conversions_reject_invalid_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call(fb.zeros(2))


def test_memory_formats_determine_the_strides():
    x = fb.arange(120.0).reshape(2, 3, 4, 5)
    y = x.to(memory_format=fb.channels_last)
    assert y.stride() == (60, 1, 15, 3) and fb.equal(x, y)
    assert y.is_contiguous(memory_format=fb.channels_last) and not y.is_contiguous()
    assert y.contiguous(memory_format=fb.channels_last) is y and y.contiguous().stride() == x.stride()
    assert y.clone().stride() == y.stride() and fb.equal(y.clone(), x)
    assert y.clone(memory_format=fb.contiguous_format).stride() == x.stride()
    assert fb.empty(2, 3, 4, 5, memory_format=fb.channels_last).stride() == y.stride()
    assert x.to(fb.float64, memory_format=fb.channels_last).stride() == y.stride()
    assert fb.zeros(1, 2, 3, 4, 5).contiguous(memory_format=fb.channels_last_3d).stride() == (120, 1, 40, 10, 2)
    assert y.dim_order() == (0, 2, 3, 1)


@pytest.mark.parametrize(
    ("view", "stride"),
    [
        (lambda: fb.zeros(2, 3).t(), (1, 3)),
        (lambda: fb.zeros(4, 3).expand(2, 4, 3), (12, 3, 1)),
        (lambda: fb.zeros(4, 6)[:, ::2], (3, 1)),
        (lambda: fb.zeros(4, 6).t()[:, ::2], (1, 6)),
        (lambda: fb.zeros(3, 1).expand(3, 4), (4, 1)),
        (lambda: fb.zeros(1, 4).expand(3, 4).t(), (3, 1)),
        (lambda: fb.zeros(3, 4, 5).permute(2, 0, 1)[::2], (1, 12, 3)),
    ],
)
def test_like_functions_keep_the_memory_order(view, stride):
    x = view()
    for make in (fb.zeros_like, fb.ones_like, fb.empty_like, fb.rand_like, lambda t: fb.full_like(t, 2), fb.clone):
        assert make(x).stride() == stride and make(x).shape == x.shape
    assert fb.zeros_like(x, memory_format=fb.contiguous_format).is_contiguous()
    assert fb.ones_like(x).tolist() == np.ones(tuple(x.shape)).tolist()


def test_legacy_tensor_constructors_create_tensors_of_their_dtype():
    assert (
        fb.FloatTensor(2, 3).shape == fb.Tensor(fb.Size([2, 3])).shape == fb.LongTensor(fb.Size([2, 3])).shape == (2, 3)
    )
    assert fb.LongTensor([1.5, 2]).tolist() == [1, 2] and fb.LongTensor([1]).dtype is fb.int64
    assert fb.BoolTensor([1, 0]).tolist() == [True, False] and fb.HalfTensor(2).dtype is fb.float16
    assert fb.FloatTensor(np.ones(2)).tolist() == fb.FloatTensor((1, 1)).tolist() == [1, 1]
    assert fb.FloatTensor().shape == fb.Tensor().shape == (0,)
    for make in (fb.Tensor, fb.FloatTensor, fb.LongTensor, fb.zeros(1).new):
        for size in (3, np.int64(3), np.int8(3), np.array(3)):
            assert make(size).shape == (3,)
    x = fb.zeros(2)
    assert fb.FloatTensor(x).data_ptr() == fb.Tensor(x).data_ptr() == x.data_ptr()
    assert fb.Tensor(data=[1]).tolist() == fb.Tensor([True]).tolist() == fb.Tensor(range(1, 2)).tolist() == [1]
    assert fb.Tensor(2, device="cpu").shape == (2,) and fb.Tensor(fb.tensor(3)).dtype is fb.int64
    assert isinstance(x, fb.FloatTensor) and not isinstance(x, fb.LongTensor) and not isinstance(5, fb.FloatTensor)
    assert repr(fb.FloatTensor) == "<class 'flambeau.FloatTensor'>" and fb.FloatTensor.dtype is fb.float32
    assert fb.FloatTensor.layout is fb.strided and fb.FloatTensor.__name__ == "FloatTensor"
    assert x.new(2, 3).shape == (2, 3) and x.new([1, 2]).tolist() == [1, 2] and x.new().shape == (0,)
    assert x.long().new([1.5]).tolist() == [1] and x.new(x.clone()).dtype is fb.float32
    assert x.new_empty_strided((2, 3), (1, 2)).stride() == (1, 2)
    assert x.new_zeros(2, dtype=fb.int8).dtype is fb.int8


def test_factories_write_into_out_in_its_dtype():
    for make, want in (
        (fb.zeros, [0, 0]),
        (fb.ones, [1, 1]),
        (lambda n, out: fb.full((n,), 3, out=out), [3, 3]),
        (lambda n, out: fb.arange(n, out=out), [0, 1]),
        (lambda n, out: fb.linspace(0, 1, n, out=out), [0, 1]),
        (lambda n, out: fb.logspace(0, 1, n, out=out), [1, 10]),
    ):
        for dtype in (fb.int64, fb.float64):
            out = fb.empty(0, dtype=dtype)
            assert make(2, out=out) is out and out.tolist() == want and out.dtype is dtype
    with pytest.raises(RuntimeError, match=r"float32.*int64"):
        fb.zeros(2, out=fb.empty(0, dtype=fb.int64), dtype=fb.float32)


def test_linspace_and_logspace_accept_tensors_and_complex_numbers():
    assert fb.linspace(fb.tensor(0), fb.tensor(2.0), 3).tolist() == [0, 1, 2]
    assert fb.linspace(0, 1j, 3).tolist() == [0, 0.5j, 1j]
    np.testing.assert_allclose(fb.logspace(0, 1j, 3).numpy(), np.logspace(0, 1j, 3).astype(np.complex64), rtol=1e-6)
    for base in (2, 10.0, -2):
        want = np.power(float(base), np.linspace(0, 4, 5))
        np.testing.assert_allclose(fb.logspace(0, 4, 5, base, dtype=fb.float64).numpy(), want, rtol=1e-14)
    assert fb.range(0, 5, 2).tolist() == [0, 2, 4] and fb.range(1, 0, -0.5).tolist() == [1, 0.5, 0]
    for n in (7, 4095, 4097, 200_000):
        assert np.array_equal(fb.arange(-3, 5 * n - 3, 5).numpy(), np.arange(-3, 5 * n - 3, 5))
        got = fb.linspace(-1, 2, n, dtype=fb.float64).numpy()
        np.testing.assert_allclose(got, np.linspace(-1, 2, n), rtol=1e-15, atol=1e-15)


def test_asarray_shares_memory_unless_a_copy_is_requested():
    a = np.ones(3)
    assert fb.asarray(a).data_ptr() == a.ctypes.data != fb.asarray(a, copy=True).data_ptr()
    t = fb.asarray(a)
    assert fb.asarray(t).data_ptr() == t.data_ptr() and fb.asarray(5.0).dtype is fb.float32
    assert fb.asarray(a, dtype=fb.float32).dtype is fb.float32


def test_large_numbers_become_floats():
    assert fb.tensor([2**63, 1.5]).tolist() == [2**63, 1.5]
    assert fb.tensor([2**70], dtype=fb.float64).tolist() == [float(2**70)]
    assert fb.tensor(2**63, dtype=fb.float16).item() == float("inf")


def test_apply_and_map_call_python_functions():
    x = fb.arange(4.0).reshape(2, 2)
    assert x.apply_(lambda v: v + 1) is x and x.tolist() == [[1, 2], [3, 4]]
    assert x.map_(fb.tensor([10.0, 20.0]), lambda v, w: v * w).tolist() == [[10, 40], [30, 80]]
    assert x.map2_(x, fb.ones(2, 1), lambda v, w, u: v - w + u).tolist() == [[1, 1], [1, 1]]
    with pytest.raises(TypeError, match="callable"):
        x.apply_(5)
    with pytest.raises(TypeError, match="str"):
        x.apply_(lambda v: "a")
    assert x.tolist() == [[1, 1], [1, 1]]


def test_is_signed_and_other_queries_describe_the_tensor():
    x = fb.zeros(2)
    assert x.is_signed() and fb.is_signed(x) and not x.bool().is_signed() and not x.byte().is_signed()
    assert x.is_cpu and not (x.is_cuda or x.is_pinned() or x.is_shared() or x.is_distributed() or x.is_nested)
    assert [row.tolist() for row in reversed(fb.tensor([[1, 2], [3, 4]]))] == [[3, 4], [1, 2]]
    assert x.__array_interface__["data"][0] == x.data_ptr()
    with pytest.raises(RuntimeError, match="list"):
        assert [1] in x
    for convert in (int, float):
        with pytest.raises(ValueError, match="one element"):
            convert(x)


@pytest.mark.parametrize(
    "convert", [fb.Tensor.double, lambda x: x.to(fb.float64), lambda x: x.type_as(fb.ones(1).double())]
)
def test_a_converted_tensor_keeps_its_memory_order(convert):
    x = fb.arange(24.0).view(1, 2, 3, 4).contiguous(memory_format=fb.channels_last)
    assert convert(x).stride() == x.stride() and convert(x).tolist() == x.tolist()
    assert convert(x[:, :, ::2]).stride() == (16, 1, 8, 2)
    assert fb.ones(2, 3).t().double().stride() == (1, 3)


def test_to_changes_dtype_and_memory_format_at_once():
    x = fb.arange(24.0).view(1, 2, 3, 4)
    last, first = fb.channels_last, fb.contiguous_format
    for source in (x, x.contiguous(memory_format=last)):
        assert source.to(fb.float64, memory_format=last).stride() == (24, 1, 8, 2)
        assert source.to(fb.float64, memory_format=first).stride() == (24, 12, 4, 1)
        assert source.to(fb.float64, memory_format=last).tolist() == x.tolist()


def test_set_default_tensor_type_accepts_the_names_of_pytorch():
    try:
        fb.set_default_tensor_type("torch.DoubleTensor")
        assert fb.ones(1).dtype is fb.float64
    finally:
        fb.set_default_tensor_type("torch.FloatTensor")
    assert fb.ones(1).type("torch.LongTensor").dtype is fb.int64


def test_dropping_an_imaginary_part_warns():
    z = fb.tensor([1 + 2j])
    for convert in (fb.Tensor.float, lambda t: t.to(fb.int64), lambda t: t.type_as(fb.ones(1))):
        with pytest.warns(UserWarning, match="discards the imaginary part"):
            assert convert(z).tolist() == [1]
    assert z.bool().tolist() == [True] and z.to(fb.complex128).tolist() == [1 + 2j]


def test_tensor_of_a_tensor_copies_and_warns():
    x = fb.ones(2)
    with pytest.warns(UserWarning, match="recommended to use sourceTensor"):
        copied = fb.tensor(x)
    assert copied.data_ptr() != x.data_ptr()
