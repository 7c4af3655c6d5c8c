"""Size, dtype, device, layout, memory format, finfo, iinfo, and the settings of the process."""

import copy
import pickle
import threading

import numpy as np
import pytest

import flambeau as fb

FLOATS = ["float16", "float32", "float64"]
INTEGERS = ["uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64"]


def test_size_is_a_tuple_with_numel():
    size = fb.Size((2, 3))
    assert repr(size) == str(size) == "flambeau.Size([2, 3])"
    assert size == (2, 3) and hash(size) == hash((2, 3)) and size.numel() == 6 and fb.Size().numel() == 1
    for made, want in (
        (size + (4,), (2, 3, 4)),
        ((4,) + size, (4, 2, 3)),
        (size + fb.Size((1,)), (2, 3, 1)),
        (size * 2, (2, 3, 2, 3)),
        (2 * size, (2, 3, 2, 3)),
        (size[:1], (2,)),
        (size[::-1], (3, 2)),
        (fb.Size([fb.tensor(2), np.int64(3), True]), (2, 3, 1)),
        (pickle.loads(pickle.dumps(size)), (2, 3)),
        (copy.deepcopy(size), (2, 3)),
    ):
        assert type(made) is fb.Size and made == want
        assert all(type(i) is int for i in made)
    assert size[0] == 2 and size.index(3) == 1 and list(size) == [2, 3]
    for wrong, error, message in (
        (lambda: fb.Size([2.5]), TypeError, "item 0 is 'float'"),
        (lambda: fb.Size([1, "a"]), TypeError, "item 1 is 'str'"),
        (lambda: fb.Size(5), TypeError, "iterable"),
        (lambda: fb.Size([2**70]), ValueError, "64 bits"),
        (lambda: size + [1], TypeError, "list"),
    ):
        with pytest.raises(error, match=message):
            wrong()


@pytest.mark.parametrize("name", [*FLOATS, *INTEGERS, "bfloat16", "bool", "complex64", "complex128"])
def test_dtypes_have_names_and_properties_as_in_numpy(name):
    dtype = getattr(fb, name)
    assert repr(dtype) == str(dtype) == f"flambeau.{name}" and type(dtype) is fb.dtype
    assert type(dtype).__module__ == "flambeau"
    assert pickle.loads(pickle.dumps(dtype)) is copy.deepcopy(dtype) is dtype
    assert len({dtype, dtype}) == 1
    if name != "bfloat16":
        numpy_dtype = np.dtype(name)
        assert dtype.itemsize == numpy_dtype.itemsize
        assert dtype.is_floating_point == (numpy_dtype.kind == "f")
        assert dtype.is_complex == (numpy_dtype.kind == "c")
        assert dtype.is_signed == (numpy_dtype.kind in "ifc")


def test_dtypes_have_the_short_names_of_pytorch():
    assert (fb.float, fb.double, fb.half, fb.int, fb.long, fb.short) == (
        fb.float32,
        fb.float64,
        fb.float16,
        fb.int32,
        fb.int64,
        fb.int16,
    )
    with pytest.raises(TypeError, match="dtype"):
        fb.dtype("float32")


@pytest.mark.parametrize("name", FLOATS)
def test_finfo_matches_numpy(name):
    ours, numpy_one = fb.finfo(getattr(fb, name)), np.finfo(name)
    for attribute in ("bits", "eps", "max", "min", "tiny", "smallest_normal"):
        assert getattr(ours, attribute) == getattr(numpy_one, attribute)
    assert ours.resolution == 10.0**-numpy_one.precision
    assert ours.dtype == name and ours == fb.finfo(getattr(fb, name)) and ours != fb.finfo(fb.bfloat16)
    assert fb.finfo().dtype == "float32" and fb.finfo(fb.complex128) == fb.finfo(fb.float64)
    assert repr(fb.finfo(fb.float32)) == (
        "finfo(resolution=1e-06, min=-3.40282e+38, max=3.40282e+38, eps=1.19209e-07, smallest_normal=1.17549e-38, "
        "tiny=1.17549e-38, dtype=float32)"
    )


@pytest.mark.parametrize("name", INTEGERS)
def test_iinfo_matches_numpy(name):
    ours, numpy_one = fb.iinfo(getattr(fb, name)), np.iinfo(name)
    assert (ours.bits, ours.min, ours.max, ours.dtype) == (numpy_one.bits, numpy_one.min, numpy_one.max, name)
    assert repr(fb.iinfo(fb.int8)) == "iinfo(min=-128, max=127, dtype=int8)"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fb.finfo(fb.int8), "int8"),
        (lambda: fb.finfo("float32"), "str"),
        (lambda: fb.iinfo(fb.bool), "bool"),
        (lambda: fb.iinfo(fb.float32), "float32"),
        (lambda: fb.iinfo(5), "int"),
        (lambda: fb.iinfo(), "type"),
        (lambda: fb.can_cast(1, 2), "int"),
        (lambda: fb.promote_types(fb.int8, "a"), "str"),
        (lambda: fb.set_default_dtype(fb.int64), "int64"),
        (lambda: fb.set_default_dtype("float32"), "str"),
    ],
)
def test_functions_reject_arguments_of_the_wrong_type(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def test_devices_can_be_compared_printed_and_entered():
    cpu = fb.device("cpu")
    assert fb.device("cpu", 1) == fb.device("cpu:1") == fb.device(type="cpu", index=1) != cpu
    assert str(fb.device("cuda", 2)) == "cuda:2" and repr(fb.device("cpu:0")) == "device(type='cpu', index=0)"
    assert pickle.loads(pickle.dumps(fb.device("cpu:1"))) == fb.device("cpu:1") and cpu != "cpu"
    assert fb.zeros(1, device="cpu:1").device == cpu
    with cpu as entered:
        assert entered is cpu and fb.zeros(1).device == cpu
    for text in ("", "cpu:", "cpu:x", "cpu:00", "cpu:-1", "foo"):
        with pytest.raises(RuntimeError, match=r"[Dd]evice"):
            fb.device(text)
    for call in (lambda: fb.device("cpu:0", 1), lambda: fb.device("cpu", -1), lambda: fb.device(-1)):
        with pytest.raises(RuntimeError, match=r"index|number"):
            call()
    for call in (
        lambda: fb.zeros(1, device="cuda"),
        lambda: fb.zeros(1).cuda(),
        lambda: fb.zeros(1).to("cuda:0"),
        lambda: fb.set_default_device("cuda"),
        lambda: fb.device("cuda").__enter__(),
    ):
        with pytest.raises(RuntimeError, match=r"CUDA is not available: .* install"):
            call()
    with pytest.raises(TypeError, match="float"):
        fb.zeros(1, device=1.5)
    fb.set_default_device("cpu")
    fb.set_default_device(None)
    assert fb.get_default_device() == cpu and fb.get_device(fb.zeros(1)) == fb.zeros(1).get_device() == -1


def test_layouts_and_memory_formats_are_singletons():
    assert fb.zeros(1).layout is fb.strided and repr(fb.strided) == "flambeau.strided"
    assert repr(fb.channels_last) == "flambeau.channels_last" and type(fb.channels_last) is fb.memory_format
    for constant in (fb.strided, fb.contiguous_format, fb.channels_last_3d):
        assert pickle.loads(pickle.dumps(constant)) is copy.deepcopy(constant) is constant
    assert fb.zeros(2, layout=fb.strided).shape == (2,)
    with pytest.raises(NotImplementedError, match="sparse_coo"):
        fb.ones(2, layout=fb.sparse_coo)
    with pytest.raises(TypeError, match="int"):
        fb.zeros(2, layout=5)
    with pytest.raises(TypeError, match="str"):
        fb.zeros(2).clone(memory_format="contiguous_format")


def test_set_default_tensor_type_changes_the_default_dtype():
    assert fb.zeros(2).type() == "flambeau.FloatTensor" and fb.zeros(2, dtype=fb.int64).type() == "flambeau.LongTensor"
    fb.set_default_tensor_type(fb.DoubleTensor)
    assert fb.zeros(1).dtype is fb.float64
    fb.set_default_tensor_type("flambeau.FloatTensor")
    assert fb.zeros(1).dtype is fb.float32
    for wrong, error in ((fb.LongTensor, TypeError), (fb.float32, TypeError), ("FloatTensor", ValueError)):
        with pytest.raises(error):
            fb.set_default_tensor_type(wrong)
    assert fb.zeros(1).dtype is fb.float32


def test_deterministic_settings_are_stored_and_checked():
    assert not fb.are_deterministic_algorithms_enabled()
    for mode, enabled, warn_only in (("warn", True, True), (2, True, False), (0, False, False)):
        fb.set_deterministic_debug_mode(mode)
        assert fb.are_deterministic_algorithms_enabled() == enabled
        assert fb.is_deterministic_algorithms_warn_only_enabled() == warn_only
    fb.use_deterministic_algorithms(True, warn_only=True)
    assert fb.get_deterministic_debug_mode() == 1
    fb.use_deterministic_algorithms(False)
    assert fb.get_deterministic_debug_mode() == 0
    fb.set_float32_matmul_precision("high")
    assert fb.get_float32_matmul_precision() == "high"
    fb.set_float32_matmul_precision("highest")
    fb.set_warn_always(True)
    assert fb.is_warn_always_enabled()
    fb.set_warn_always(False)
    for wrong, error in (
        (lambda: fb.use_deterministic_algorithms(5), TypeError),
        (lambda: fb.set_deterministic_debug_mode("foo"), RuntimeError),
        (lambda: fb.set_deterministic_debug_mode(7), RuntimeError),
        (lambda: fb.set_float32_matmul_precision("foo"), RuntimeError),
        (lambda: fb.set_num_threads(0), RuntimeError),
        (lambda: fb.set_num_threads(1.5), RuntimeError),
        (lambda: fb.set_num_threads(2**70), ValueError),
    ):
        with pytest.raises(error):
            wrong()
    for wrong, argument in (
        (lambda: fb.use_deterministic_algorithms(1), r"'mode' \(position 1\)"),
        (lambda: fb.use_deterministic_algorithms(False, warn_only=1), "'warn_only'"),
    ):
        with pytest.raises(
            TypeError, match=rf"^_set_deterministic_algorithms\(\): argument {argument} must be bool, not int"
        ):
            wrong()


def test_inference_mode_is_thread_local():
    seen = []
    with fb.inference_mode():
        assert fb.is_inference_mode_enabled() and not fb.is_grad_enabled()
        with fb.inference_mode(False):
            assert not fb.is_inference_mode_enabled() and fb.is_grad_enabled()
        thread = threading.Thread(target=lambda: seen.append(fb.is_inference_mode_enabled()))
        thread.start()
        thread.join()
    assert seen == [False] and not fb.is_inference_mode_enabled() and fb.is_grad_enabled()

    @fb.inference_mode
    def plain():
        return fb.is_grad_enabled()

    @fb.inference_mode()
    def called():
        return fb.is_grad_enabled()

    assert not plain() and not called()


def test_typename_returns_the_full_name_of_a_type():
    assert fb.typename(fb.zeros(1, dtype=fb.int8)) == "flambeau.CharTensor"
    assert fb.typename(5) == "int" and fb.typename(fb.float32) == "flambeau.dtype"
    assert fb.typename(fb.FloatTensor) == "flambeau.FloatTensor"


HALF = [fb.float16, fb.bfloat16]


@pytest.mark.parametrize("dtype", HALF)
def test_comparisons_round_numbers_to_the_half_precision_dtype(dtype):
    x = fb.tensor([0.123, 3.3, -1.7] * 50, dtype=dtype)
    for position, number in enumerate((0.123, 3.3, -1.7)):
        equal = fb.arange(150) % 3 == position
        assert fb.equal(x == number, equal) and fb.equal(x != number, ~equal)
        assert fb.equal(x >= number, x >= fb.tensor(number, dtype=dtype))
        assert fb.equal(x < number, x < fb.tensor(number, dtype=dtype))
        assert fb.equal(fb.gt(x, number), x > fb.tensor(number, dtype=dtype))
        assert fb.equal(x.clone().eq_(number) == 1, equal)


@pytest.mark.parametrize("dtype", HALF)
def test_products_with_tensors_without_dimensions_use_their_precision(dtype):
    x = fb.randn(100).to(dtype)
    for factor in (fb.tensor(0.7001), fb.tensor(0.7001, dtype=fb.float64)):
        exact = x.float() * 0.7001
        assert fb.equal(x * factor, exact.to(dtype)) and fb.equal(factor * x, exact.to(dtype))
        assert fb.equal(x.clone().mul_(factor), exact.to(dtype))
        assert fb.equal(x / factor, (x.float() / 0.7001).to(dtype))
    pytest.importorskip("flambeau.autograd")
    w, factor = x.clone().requires_grad_(), fb.tensor(0.7001, requires_grad=True)
    (w * factor).sum().backward()
    assert fb.equal(w.grad, fb.full((100,), 0.7001, dtype=dtype))
    fb.testing.assert_close(factor.grad, x.float().sum(), rtol=0.02, atol=0.1)
