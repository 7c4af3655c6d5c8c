"""Tests of memory shared with NumPy, with the buffer protocol and by DLPack; of pickling and copying."""

import copy
import ctypes
import gc
import io
import operator
import pickle
import sys
import weakref
import zlib

import numpy as np
import pytest

import flambeau as fb

DTYPES = [
    "bool",
    "uint8",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
]
SHAPES = [(), (0,), (3,), (2, 3), (2, 0, 3), (2, 3, 4)]


def draw(shape, dtype):
    return np.asarray(np.random.default_rng(0).integers(0, 2, shape)).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_numpy_arrays_and_tensors_share_memory(shape, dtype):
    a = draw(shape, dtype)
    t = fb.from_numpy(a)
    assert t.dtype is getattr(fb, dtype) and t.shape == shape
    b = t.numpy()
    assert b.dtype == a.dtype and b.shape == a.shape and np.array_equal(a, b)
    if a.size:
        assert t.data_ptr() == a.ctypes.data == b.ctypes.data
        a[...] = 0
        t.fill_(1)
        assert a.all() and b.all()
    for view in (np.asarray(t), np.array(t), np.from_dlpack(t), np.array(memoryview(t))):
        assert view.dtype == a.dtype and np.array_equal(view, a)


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a.T,
        lambda a: a[::2],
        lambda a: a[:, 1:3],
        lambda a: a[1:, ::3],
        lambda a: a[0],
        lambda a: a[:, None],
        lambda a: np.broadcast_to(a[0], (4, 7)),
        lambda a: a[:0],
        lambda a: np.lib.stride_tricks.sliding_window_view(a[0], 3),
    ],
)
def test_strides_of_numpy_arrays_are_kept(view):
    whole = np.arange(42.0).reshape(6, 7)
    a = view(whole)
    for t in (fb.from_numpy(a), fb.from_dlpack(a)):
        assert t.shape == a.shape and np.array_equal(t.numpy(), a)
        assert np.array_equal((t * 2).numpy(), a * 2)
        if a.size:
            assert np.shares_memory(t.numpy(), whole)


def test_shared_memory_lives_until_its_last_user():
    class Array(np.ndarray):  # an ndarray that supports weak references
        pass

    a = np.arange(6.0).view(Array)
    watch = weakref.ref(a)
    t = fb.from_numpy(a)[2:]
    del a
    gc.collect()
    assert watch() is not None
    assert t.tolist() == [2, 3, 4, 5]
    del t
    gc.collect()
    assert watch() is None
    b = fb.arange(5.0).numpy()[1:]
    gc.collect()
    fb.zeros(5)
    assert b.tolist() == [1, 2, 3, 4]


def test_an_array_keeps_its_memory_after_changes_of_the_tensor():
    t = fb.arange(4.0)
    a = t.numpy()
    t.set_(fb.full((1000,), 7.0))
    gc.collect()
    fb.zeros(4)
    assert a.tolist() == [0, 1, 2, 3] and not np.shares_memory(a, t.numpy())


@pytest.mark.parametrize("code", ["q", "l", "Q", "L"])
def test_every_c_integer_type_has_a_dtype(code):  # NumPy distinguishes long from long long
    a = np.arange(3, dtype=code)
    t = fb.from_numpy(a)
    assert t.tolist() == [0, 1, 2] and t.dtype in (fb.int64, fb.uint64) and t.data_ptr() == a.ctypes.data


def test_unsupported_numpy_arrays_are_rejected():
    with pytest.raises(ValueError, match="byte order"):
        fb.from_numpy(np.arange(3, dtype=">f4"))
    for odd in (np.array(["a"]), np.zeros(2, dtype="datetime64[s]"), np.zeros(2, dtype=[("x", "f4")])):
        with pytest.raises((TypeError, ValueError)):
            fb.from_numpy(odd)
    with pytest.raises(ValueError, match="not aligned"):
        fb.from_numpy(np.frombuffer(bytearray(9), dtype=np.uint8)[1:].view(np.float32))


def test_conversions_do_not_leak_references():
    a = np.zeros(4)
    before = sys.getrefcount(a)
    for _ in range(100):
        fb.from_numpy(a).numpy()
        fb.from_dlpack(a)
        np.from_dlpack(fb.from_numpy(a))
        memoryview(fb.from_numpy(a)).release()
    assert sys.getrefcount(a) == before
    allocated = fb._core.memory_allocated()
    for _ in range(50):
        t = fb.zeros(1000)
        t.__dlpack__()
        t.numpy()
        t.stride(), t.to(fb.float64), pickle.loads(pickle.dumps(t))
    del t
    gc.collect()
    assert fb._core.memory_allocated() == allocated


def test_tensors_of_read_only_numpy_arrays_cannot_be_written():
    a = np.arange(4.0)
    a.flags.writeable = False
    t = fb.from_numpy(a)
    assert t.sum().item() == 6
    for write in (
        lambda: t.fill_(1),
        lambda: t.add_(1),
        lambda: t.__setitem__(0, 1),
        lambda: fb.exp(t, out=t),
        lambda: t.uniform_(),
        lambda: fb.add(fb.ones(4), 1, out=t),
    ):
        with pytest.raises(RuntimeError, match="read-only"):
            write()
    with pytest.raises(RuntimeError, match="read-only"), pytest.warns(UserWarning, match="was resized"):
        fb.add(fb.ones(9), 1, out=t)
    assert t.shape == (4,)
    assert a.tolist() == [0, 1, 2, 3]
    assert not t.numpy().flags.writeable
    assert (t.clone().add_(1)).tolist() == [1, 2, 3, 4]
    assert not np.asarray(fb.from_dlpack(t)).flags.writeable
    with pytest.raises(BufferError, match="read-only"):
        t.__dlpack__()


def test_a_read_only_buffer_warns_once():
    def read():
        return fb.frombuffer(b"\1\2", dtype=fb.uint8)

    fb.set_warn_always(True)
    try:
        for _ in range(2):
            with pytest.warns(UserWarning, match="The given buffer is not writable") as caught:
                t = read()
            assert caught[0].filename == __file__
    finally:
        fb.set_warn_always(False)
    assert read().tolist() == t.tolist() == [1, 2]
    with pytest.raises(RuntimeError, match="read-only"):
        t.zero_()


@pytest.mark.parametrize(
    ("array", "error", "message"),
    [
        (np.arange(3)[::-1], ValueError, "negative"),
        (np.zeros((2, 2), "f4")[:, ::-1], ValueError, "negative"),
        (np.zeros(3, ">f4"), ValueError, "byte order"),
        (np.zeros(3, "c32"), TypeError, "float64, float32"),
        (np.zeros(3, "U3"), TypeError, "ndarray"),
        (np.zeros(3, object), TypeError, "'O'"),
        (np.zeros(3, "M8[s]"), (TypeError, ValueError), ""),
        (np.zeros(3, [("a", "f4"), ("b", "i1")])["a"], ValueError, "stride"),
        (np.frombuffer(bytes(9), "i1")[1:].view("f4"), ValueError, "aligned"),
        ([1, 2], TypeError, "list"),
        (None, TypeError, "NoneType"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_from_numpy_rejects_arrays_whose_memory_cannot_be_shared(array, error, message):
    with pytest.raises(error, match=message or None):
        fb.from_numpy(array)


def test_the_array_protocol_shares_memory_and_supports_numpy_operands():
    t = fb.tensor([1.5, 2.5])
    assert np.array(t, dtype=np.int64).tolist() == [1, 2]
    assert np.shares_memory(np.asarray(t), t.numpy())
    assert not np.shares_memory(np.array(t), t.numpy())
    assert np.sin(np.asarray(t)).dtype == np.float32
    with pytest.raises(ValueError, match="copy"):
        np.asarray(t, dtype=np.int64, copy=False)
    with pytest.raises(TypeError, match="BFloat16"):
        fb.zeros(2, dtype=fb.bfloat16).numpy()
    for number in (np.float32(2), np.float64(2), np.int64(2), np.int8(2), np.bool_(True)):
        for result in (t + number, t * number, number + t, t - float(number), fb.add(t, number)):
            assert isinstance(result, fb.Tensor), type(number)
    assert (t * np.float64(2)).dtype is fb.float32
    assert (fb.tensor([1]) + np.int8(2)).tolist() == [3]


def test_the_buffer_protocol_shares_memory():
    t = fb.arange(6.0).reshape(2, 3)
    view = memoryview(t)
    assert (view.shape, view.strides, view.format, view.readonly, view.nbytes) == ((2, 3), (12, 4), "f", False, 24)
    view[1, 2] = 9
    assert t[1, 2].item() == 9
    assert bytes(t) == t.numpy().tobytes()
    assert memoryview(t.t()).strides == (4, 12)
    assert bytes(memoryview(t.t())) == t.numpy().T.tobytes()
    with pytest.raises(BufferError, match="contiguous"):
        zlib.crc32(t.t())
    assert ctypes.c_float.from_buffer(t).value == 0
    assert bytearray(fb.tensor([1, 2], dtype=fb.uint8)) == b"\1\2"
    f = fb.frombuffer(bytearray(range(16)), dtype=fb.int16, count=3, offset=4)
    assert f.tolist() == np.frombuffer(bytes(range(16)), "i2", 3, 4).tolist()
    for arguments in ({"count": 9}, {"offset": -1}, {"offset": 17}, {"offset": 1, "count": 2}, {"count": 2**62}):
        with pytest.raises(ValueError, match=r"bytes|aligned"):
            fb.frombuffer(bytearray(16), dtype=fb.int32, **arguments)
    with pytest.raises(ValueError, match="multiple"):
        fb.frombuffer(bytearray(15), dtype=fb.int32)
    with pytest.raises(ValueError, match="int"):
        fb.frombuffer(5, dtype=fb.int32)


class Exporter:
    """DLPack exporter over a tensor, with the signature of old or of new libraries."""

    def __init__(self, tensor, old):
        self.tensor, self.old = tensor, old

    def __dlpack__(self, **options):
        if self.old and options:
            raise TypeError("__dlpack__() got an unexpected keyword argument 'max_version'")
        return self.tensor.__dlpack__(**options)

    def __dlpack_device__(self):
        return (1, 0)


@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("dtype", [*DTYPES, "bfloat16"])
def test_dlpack_shares_memory_for_every_dtype(dtype, old):
    t = fb.tensor([[1, 0], [1, 1]], dtype=getattr(fb, dtype)).t()
    u = fb.from_dlpack(Exporter(t, old))
    assert u.data_ptr() == t.data_ptr() and u.stride() == t.stride() and u.dtype is t.dtype
    u.zero_()
    assert not t.any()


def test_dlpack_capsules_have_the_requested_version():
    t = fb.arange(3.0)
    assert t.__dlpack_device__() == (1, 0)
    for options, name in (
        ({}, "dltensor"),
        ({"max_version": (1, 0)}, "dltensor_versioned"),
        ({"max_version": (0, 8)}, "dltensor"),
    ):
        capsule = t.__dlpack__(**options)
        assert f'"{name}"' in repr(capsule)
        u = fb.from_dlpack(capsule)
        assert u.data_ptr() == t.data_ptr()
        with pytest.raises(ValueError, match="only once"):
            fb.from_dlpack(capsule)
        assert u.tolist() == [0, 1, 2]
    t.__dlpack__()  # never consumed: dropped with its reference
    copied = fb.from_dlpack(t.__dlpack__(copy=True, max_version=(1, 1)))
    assert copied.data_ptr() != t.data_ptr() and copied.tolist() == [0, 1, 2]
    with pytest.raises(BufferError, match="not on the device"):
        t.__dlpack__(dl_device=(2, 0))
    for wrong in ({"max_version": 1}, {"max_version": "a"}, {"dl_device": [1, 0]}):
        with pytest.raises(TypeError, match="pairs"):
            t.__dlpack__(**wrong)
    with pytest.raises(TypeError, match="int"):
        fb.from_dlpack(5)
    with pytest.raises(ValueError, match="negative"):
        fb.from_dlpack(np.zeros(4)[::-1])
    assert fb.from_dlpack(np.zeros((0, 3))).shape == (0, 3)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("dtype", [*DTYPES, "bfloat16"])
def test_tensors_can_be_pickled(dtype, protocol):
    t = fb.tensor([[1, 0, 1], [0, 1, 1]], dtype=getattr(fb, dtype)).t()
    u = pickle.loads(pickle.dumps(t, protocol))
    assert u.dtype is t.dtype and fb.equal(u, t) and u.data_ptr() != t.data_ptr()
    assert type(u) is fb.Tensor
    assert pickle.loads(pickle.dumps(fb.tensor(2.0))).shape == ()
    assert pickle.loads(pickle.dumps(fb.zeros(0, 3))).shape == (0, 3)


class Named(fb.Tensor):
    pass


class Slotted(fb.Tensor):
    """Tensor that holds another tensor in a slot, as wrappers in PyTorch's own tests do."""

    __slots__ = ("inner", "unset")

    def clone(self):
        raise AssertionError("copies do not call methods of the class")


def test_copies_keep_attributes_in_slots():
    tensor = fb.Tensor._make_subclass(Slotted, fb.ones(2, device="meta"))
    tensor.inner, tensor.note = fb.arange(3.0), "kept"
    file = io.BytesIO()
    fb.save(tensor, file)
    file.seek(0)
    shallow, deep = copy.copy(tensor), copy.deepcopy(tensor)
    assert shallow.inner is tensor.inner and deep.inner is not tensor.inner
    for made in (shallow, deep, pickle.loads(pickle.dumps(tensor)), fb.load(file, weights_only=False)):
        assert type(made) is Slotted and made.is_meta and made.shape == (2,)
        assert made.inner.tolist() == [0, 1, 2] and made.note == "kept" and not hasattr(made, "unset")


def test_dtypes_devices_and_functions_can_be_pickled():
    for thing in (fb.float32, fb.bool, fb.device("cpu"), fb.Size((2, 3)), fb.exp, fb.sum):
        assert pickle.loads(pickle.dumps(thing)) == thing
    assert copy.deepcopy(fb.float16) is fb.float16


def test_tensors_can_be_copied():
    t = fb.arange(3.0)
    t.note = ["kept"]
    shallow, deep = copy.copy(t), copy.deepcopy(t)
    assert shallow.data_ptr() == t.data_ptr() and shallow.note is t.note
    assert deep.data_ptr() != t.data_ptr() and deep.note == t.note and deep.note is not t.note
    assert pickle.loads(pickle.dumps(t)).note == ["kept"]
    one, other = copy.deepcopy([t, t])
    assert one is other
    matrix = fb.zeros(2, 3)
    row, whole, transposed = copy.deepcopy([matrix[1], matrix, matrix.T])
    row[2] = 7.0
    assert whole[1, 2] == transposed[2, 1] == 7 and transposed.stride() == (1, 3) and matrix.sum() == 0
    named = fb.Tensor._make_subclass(Named, fb.ones(2))
    named.label = "n"
    for made in (copy.copy(named), copy.deepcopy(named)):
        assert type(made) is Named and made.label == "n" and made.tolist() == [1, 1]


def test_tensor_objects_in_reference_cycles_are_collected():
    t = fb.zeros(3)
    assert t.data is not t and t.data.data_ptr() == t.data_ptr()
    watch = weakref.ref(t)
    t.itself = t
    del t
    gc.collect()
    assert watch() is None
    u = fb.zeros(2)
    assert hash(u) == hash(u) and u in {u: 1}
    assert not hasattr(u, "missing")
    u.__dict__["seen"] = 1
    assert u.seen == 1 and vars(u) == {"seen": 1}
    cycle = fb.zeros(1)
    vars(cycle)["itself"] = cycle
    watch = weakref.ref(cycle)
    del cycle
    gc.collect()
    assert watch() is None
    assert (fb.zeros(2) == None) is False  # noqa: E711
    assert (fb.zeros(2) == "a") is False


@pytest.mark.parametrize("change", [lambda t: setattr(t, "data", fb.zeros(1)), lambda t: t.resize_(1 << 22)])
def test_exported_memory_outlives_a_new_storage_of_the_tensor(change):
    t = fb.ones(1 << 20)
    array, capsule = t.numpy(), t.__dlpack__()
    change(t)
    fb._core.empty_cache()
    del t
    fresh = fb.zeros(1 << 20)
    assert array.sum() == fb.from_dlpack(capsule).sum().item() == 1 << 20
    assert fresh.sum().item() == 0


def test_views_do_not_resurrect_objects_in_deallocation():
    class Subclass(fb.Tensor):
        __slots__ = ("last",)

    class Last:
        def __del__(self):
            seen.append(view._base)

    seen = []
    t = Subclass(fb.ones(3))
    t.last = Last()
    view = t[:2]
    weakref.finalize(t, lambda: seen.append(view._base))
    del t
    assert [base.tolist() for base in seen] == [[1, 1, 1]] * 2
    assert view._base is seen[-1]


OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.matmul]
COMPARISONS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]


@pytest.mark.parametrize("operation", OPERATORS + COMPARISONS)
def test_operators_of_a_tensor_and_an_array_give_a_tensor(operation):
    x, y = np.array([1.0, 2.0, 3.0], np.float32), np.array([3.0, 2.0, 5.0], np.float32)
    want = operation(x, y)
    for result in (operation(fb.tensor(x), y), operation(x, fb.tensor(y))):
        assert isinstance(result, fb.Tensor)
        np.testing.assert_allclose(result.numpy(), want)


def test_in_place_operators_accept_numpy_arrays_except_of_objects():
    t = fb.ones(3)
    same = t
    t -= np.array([1.0, 2.0, 3.0], np.float32)
    assert t is same and t.tolist() == [0.0, -1.0, -2.0]
    with pytest.raises(TypeError):
        fb.ones(2) + np.array([None, "a"])
    assert not isinstance(np.ones(2) == "a", fb.Tensor)


def test_numpy_functions_of_tensors_return_tensors():
    x = fb.tensor([[1.0, 4.0], [9.0, 16.0]])
    root = np.sqrt(x)
    assert isinstance(root, fb.Tensor) and root.dtype is fb.float32 and root.tolist() == [[1, 2], [3, 4]]
    assert np.isfinite(x).dtype is fb.bool and np.add(x, np.ones(2)).dtype is fb.float64
    assert isinstance(np.exp(fb.tensor(0.0)), fb.Tensor) and isinstance(np.asarray(x), np.ndarray)


def test_inverting_a_float_is_a_type_error():
    for dtype in (fb.float32, fb.complex64):
        with pytest.raises(TypeError, match="only implemented on integer and Boolean"):
            ~fb.ones(2, dtype=dtype)


def test_dir_lists_the_attributes_that_a_tensor_has():
    tensor = fb.ones(2, 2, dtype=fb.complex64)
    listed = dir(tensor)
    assert {"shape", "imag", "__array_interface__"} <= set(listed)
    assert [name for name in listed if not hasattr(tensor, name)] == []
