"""Tests of storages: sizes, legacy names, and the version counters of tensors."""

import copy
import io
import pickle
import struct

import pytest

import flambeau as fb


def test_resizing_a_storage_keeps_common_elements():
    x = fb.arange(4.0)
    storage = x.untyped_storage()
    assert storage.resizable() and storage.resize_(24) is storage and storage.nbytes() == 24
    assert x.tolist() == [0, 1, 2, 3]
    longer = fb.empty(0).set_(storage, 0, (6,))
    longer[4:] = 7
    storage.resize_(8)
    assert x.untyped_storage().nbytes() == 8 and longer[:2].tolist() == [0, 1]
    assert longer.sum() == 20  # the memory of the tensor stays allocated
    with pytest.raises(RuntimeError, match="storage"):
        fb.empty(0).set_(storage, 0, (6,))


def test_memory_is_freed_and_allocated_again():
    x = fb.ones(1000)
    for size in (0, 4000, 0, 8000, 16, 8000):
        x.untyped_storage().resize_(size)
    assert x.untyped_storage().size() == 8000
    assert x.fill_(3).sum() == 3000


def test_a_numpy_array_keeps_the_memory_of_a_resized_storage():
    x = fb.ones(10)
    array = x.numpy()
    x.untyped_storage().resize_(4000)
    del x
    assert array.sum() == 10


def test_typed_storages_on_the_gpu_have_classes_in_the_module_cuda():
    kind = fb.cuda.FloatStorage
    assert kind is fb.cuda.FloatStorage and repr(kind) == "<class 'flambeau.cuda.FloatStorage'>"
    assert kind.dtype is fb.float32 and pickle.loads(pickle.dumps(kind)) is kind
    assert not isinstance(fb.ones(2).storage(), kind)
    for function in (kind.from_buffer, kind.from_file):
        with pytest.raises(RuntimeError, match="Not available for CUDA storage"):
            function("")
    with pytest.raises(AttributeError):
        fb.cuda.UntypedTensorStorage  # noqa: B018
    if not fb.cuda.is_available():
        with pytest.raises(RuntimeError):
            kind(2)


def test_invalid_storage_sizes_are_rejected():
    storage = fb.ones(2).untyped_storage()
    with pytest.raises(RuntimeError, match="must not be negative, got -1"):
        storage.resize_(-1)
    shared = fb.ones(2).share_memory_().untyped_storage()
    assert not shared.resizable()
    with pytest.raises(RuntimeError, match="not resizable"):
        shared.resize_(64)


def test_typed_storages_can_be_created_by_their_legacy_names():
    assert fb.FloatStorage([1, 2]).tolist() == [1.0, 2.0]
    assert fb.LongStorage(3).tolist() == [0, 0, 0]
    assert isinstance(fb.ones(2).storage(), fb.FloatStorage) and not isinstance(fb.ones(2).storage(), fb.LongStorage)
    assert fb.storage.TypedStorage([1.5], dtype=fb.float64).nbytes() == 8
    assert fb.ones(2, dtype=fb.int64).storage_type() is fb.LongStorage
    assert fb.ones(2, dtype=fb.uint16).storage_type() is fb.storage.TypedStorage
    assert fb.storage._dtype_to_storage_type_map()[fb.bool] == "BoolStorage"
    with pytest.raises(RuntimeError, match="not both"):
        fb.storage.TypedStorage([1], wrap_storage=fb.ones(2).untyped_storage())


def test_views_share_a_storage():
    x = fb.arange(4.0)
    assert x.untyped_storage()._cdata == x[1:].storage()._cdata != x.clone().storage()._cdata
    empty, meta = fb.empty(0), fb.empty(3, device="meta")  # these have no elements in memory
    assert empty.untyped_storage()._cdata != fb.empty(0).untyped_storage()._cdata
    assert meta.untyped_storage()._cdata == meta[1:].untyped_storage()._cdata != empty.untyped_storage()._cdata
    assert x[1:]._is_view() and not x._is_view() and not (x + 1)._is_view()


def test_writing_to_data_does_not_increment_the_version():
    x = fb.ones(3)
    x.data.add_(1)
    x.data[0] = 5
    x.data.view(3, 1).mul_(2)
    assert x.tolist() == [10, 4, 4] and x._version == 0
    x.add_(1)
    x.detach().add_(1)
    assert x._version == 2


def test_save_can_write_the_legacy_format():
    x = fb.arange(6.0)
    file = io.BytesIO()
    fb.save({"x": x, "part": x[2:4], "flags": fb.ones(2, dtype=fb.bool)}, file, _use_new_zipfile_serialization=False)
    assert file.getvalue()[:2] == b"\x80\x02"
    file.seek(0)
    loaded = fb.load(file)
    loaded["x"][2] = 7
    assert loaded["part"].tolist() == [7, 3] and loaded["flags"].all()


def test_one_file_of_the_legacy_format_may_hold_several_objects():
    file = io.BytesIO()
    for value in (1, 2):
        fb.save(fb.full((3,), value), file, _use_new_zipfile_serialization=False)
        pickle.dump(value, file)
    file.seek(0)
    for value in (1, 2):
        assert fb.load(file).tolist() == [value] * 3
        assert pickle.load(file) == value


def test_typed_storages_have_the_names_that_libraries_call_in_pytorch():
    storage = fb.arange(3.0)._typed_storage()
    assert (storage._size(), storage._nbytes(), storage._element_size()) == (3, 12, 4)
    assert storage._data_ptr() == storage.untyped().data_ptr() and not storage._is_shared()
    assert storage._pickle_storage_type() == "FloatStorage" and fb.LongStorage._dtype is fb.int64
    storage._setitem(slice(0, 2), 7)
    assert storage._deepcopy({}).tolist() == [7, 7, 2] and storage._getitem(2) == 2


def test_legacy_tensor_types_cannot_be_subclassed():
    with pytest.raises(TypeError, match=r"type 'flambeau.FloatTensor' is not an acceptable base type"):

        class Derived(fb.FloatTensor):
            pass


def test_a_storage_of_another_dtype_is_rejected():
    storage = fb.ones(2).storage()
    with pytest.raises(RuntimeError, match=r"Expected a Storage of type .*int64 or an UntypedStorage"):
        fb.empty(0, dtype=fb.int64).set_(storage)
    assert fb.empty(0, dtype=fb.int64).set_(storage.untyped()).shape == (1,)


def test_meta_storages_reject_element_access():
    storage = fb.ones(3, device="meta").storage()
    assert (storage.size(), storage.nbytes(), storage.data_ptr()) == (3, 12, 0)
    assert "of size 3" in repr(storage)
    for use in (lambda: storage[0], storage.tolist, lambda: storage.untyped()[0]):
        with pytest.raises(NotImplementedError, match="Not available for 'meta'"):
            use()


def test_functions_of_operators_accept_custom_attributes():
    fb.relu.note = "kept"
    assert fb.relu.note == "kept" and fb.relu.__dict__ == {"note": "kept"}
    del fb.relu.note
    assert not hasattr(fb.relu, "note")


@pytest.mark.parametrize("make", [fb.linspace, fb.logspace])
def test_linspace_logspace_and_arange_keep_the_shape_of_out(make):
    whole = fb.zeros(2, 3)
    make(0, 3, 4, out=whole.narrow(1, 1, 2))
    assert fb.equal(whole[:, 1:].flatten(), make(0, 3, 4)) and not whole[:, 0].any()
    assert make(0, 1, 5, out=fb.empty(0)).shape == (5,)
    assert fb.arange(6, out=fb.empty(2, 3, dtype=fb.int64)).shape == (2, 3)


@pytest.mark.parametrize(("buffer", "count"), [(b"", -1), (b"1234", 0)])
def test_frombuffer_rejects_an_empty_buffer(buffer, count):
    with pytest.raises(ValueError, match=r"both buffer length \(\d\) and count \(-?\d\) must not be 0"):
        fb.frombuffer(buffer, dtype=fb.uint8, count=count)


def test_asarray_accepts_dlpack_capsules():
    x = fb.ones(3)
    shared = fb.asarray(fb.to_dlpack(x))
    shared[0] = 5
    copied = fb.asarray(fb.to_dlpack(x), copy=True)
    copied[1] = 7
    assert x.tolist() == [5, 1, 1] and copied.tolist() == [5, 7, 1]
    capsule = fb.to_dlpack(x)
    fb.asarray(capsule)
    with pytest.raises(ValueError, match="consumed only once"):
        fb.asarray(capsule)


def test_a_typed_storage_converts_its_elements():
    storage = fb.IntStorage([-1, 0, 300])
    assert storage.type() == "flambeau.IntStorage" and storage.int() is storage
    converted = {name: getattr(storage, name)() for name in ("double", "float", "half", "bfloat16", "long", "short")}
    for name, other in converted.items():
        assert other.tolist() == [-1, 0, 300] and other.type().lower() == f"flambeau.{name}storage"
    assert storage.char().tolist() == [-1, 0, 44] and storage.byte().tolist() == [255, 0, 44]
    assert storage.bool().tolist() == [True, False, True]
    assert storage.complex_float().tolist() == [-1, 0, 300] and storage.type(fb.complex128).dtype is fb.complex128


def test_a_typed_storage_is_read_from_a_buffer_in_either_byte_order():
    data = bytes([1, 2, 3, 4])
    assert fb.ShortStorage.from_buffer(data, "big").tolist() == [0x0102, 0x0304]
    assert fb.IntStorage.from_buffer(data, "little").tolist() == [0x04030201]
    assert fb.FloatStorage.from_buffer(struct.pack(">2f", 2.25, -1), "big").tolist() == [2.25, -1]
    assert fb.ComplexFloatStorage.from_buffer(struct.pack(">2f", 2.25, -1), "big").tolist() == [2.25 - 1j]
    assert fb.BoolStorage.from_buffer(b"\x00\x80\x01").tolist() == [False, True, True]
    assert fb.ByteStorage.from_buffer(data, count=2, offset=1).tolist() == [2, 3]
    assert fb.UntypedStorage.from_buffer(data, "big", 1, 2, dtype=fb.int16).tolist() == [4, 3]
    with pytest.raises(ValueError, match="byte_order must be"):
        fb.ShortStorage.from_buffer(data)
    with pytest.raises(ValueError, match="3 bytes do not hold"):
        fb.ShortStorage.from_buffer(data[:3], "big")


def test_tensors_are_made_over_a_storage_of_their_dtype(tmp_path):
    storage = fb.FloatStorage.from_file(tmp_path / "numbers", True, 3)
    for tensor in (fb.FloatTensor(storage), fb.empty(0).new(storage)):
        assert tensor.data_ptr() == storage.data_ptr() and tensor.shape == (3,)
    tensor.fill_(1.5)
    assert struct.unpack("3f", (tmp_path / "numbers").read_bytes()) == (1.5, 1.5, 1.5)
    with pytest.raises(RuntimeError, match="Expected a Storage of type"):
        fb.LongTensor(storage)
    assert fb.zeros(1).new(size=(2, 3)).shape == (2, 3)


def test_copies_of_storages_and_tensors_share_memory_as_the_originals_do():
    tensor = fb.arange(4.0)
    storage, flat, typed, view, other = copy.deepcopy(
        [tensor.untyped_storage(), tensor, tensor.storage(), tensor[1:], fb.ones(1).storage()]
    )
    flat.fill_(7)
    assert typed.tolist() == [7] * 4 and view.tolist() == [7] * 3 and storage.data_ptr() == flat.data_ptr()
    assert other.tolist() == [1] and tensor.tolist() == [0, 1, 2, 3]


def test_typed_storages_report_their_bytes_and_can_be_resized():
    storage = fb.arange(10.0).storage()
    assert storage.__sizeof__() - fb.zeros(0).storage().__sizeof__() == 40
    assert storage.resize_(2).tolist() == [0, 1]


@pytest.mark.parametrize("dtype", [fb.bool, fb.bfloat16, fb.int64, fb.complex64])
def test_tensor_of_a_storage_has_its_elements(dtype):
    t = fb.tensor([1, 0, 1]).to(dtype)
    for storage in (t.storage(), t.untyped_storage()):
        copied = fb.tensor(storage, dtype=dtype)
        assert copied.dtype is dtype and fb.equal(copied, t) and copied.data_ptr() != t.data_ptr()
    with pytest.raises(RuntimeError, match="Expected a Storage of type"):
        fb.tensor(t.storage(), dtype=fb.float64)


def test_the_address_of_an_empty_tensor_is_0():
    x = fb.ones(3)
    assert x.data_ptr() == x[:0].storage().data_ptr() != 0
    assert x[:0].data_ptr() == fb.empty(2, 0).data_ptr() == fb.empty(0).untyped_storage().data_ptr() == 0


def test_new_shared_creates_storages_in_shared_memory():
    x = fb.ones(2, 3)
    shared = x.untyped_storage()._new_shared(x.nbytes, device=x.device)
    assert shared.is_shared() and shared.nbytes() == 24
    out = x.new(shared).resize_(3, 2)
    fb.stack(list(x), 1, out=out)
    assert out.untyped_storage()._cdata == shared._cdata and out.sum() == 6
    typed = x.storage()._new_shared(5)
    assert typed.is_shared() and typed.dtype is x.dtype and len(typed) == 5
