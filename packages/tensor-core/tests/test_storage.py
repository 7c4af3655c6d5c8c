"""Storages: their sizes, their older names, and the changes that tensors count."""

import io

import pytest

import flambeau as fb


def test_a_storage_changes_its_size_and_keeps_what_lies_in_both():
    x = fb.arange(4.0)
    storage = x.untyped_storage()
    assert storage.resizable() and storage.resize_(24) is storage and storage.nbytes() == 24
    assert x.tolist() == [0, 1, 2, 3]
    longer = fb.empty(0).set_(storage, 0, (6,))
    longer[4:] = 7
    storage.resize_(8)
    assert x.untyped_storage().nbytes() == 8 and longer[:2].tolist() == [0, 1]
    assert longer.sum() == 20  # what it shows stays in memory
    with pytest.raises(RuntimeError, match="storage"):
        fb.empty(0).set_(storage, 0, (6,))


def test_memory_is_freed_and_taken_again():
    x = fb.ones(1000)
    for size in (0, 4000, 0, 8000, 16, 8000):
        x.untyped_storage().resize_(size)
    assert x.untyped_storage().size() == 8000
    assert x.fill_(3).sum() == 3000


def test_an_array_keeps_the_memory_that_it_shows():
    x = fb.ones(10)
    array = x.numpy()
    x.untyped_storage().resize_(4000)
    del x
    assert array.sum() == 10


def test_sizes_that_are_none():
    storage = fb.ones(2).untyped_storage()
    with pytest.raises(RuntimeError, match="must not be negative, got -1"):
        storage.resize_(-1)
    shared = fb.ones(2).share_memory_().untyped_storage()
    assert not shared.resizable()
    with pytest.raises(RuntimeError, match="not resizable"):
        shared.resize_(64)


def test_typed_storages_are_made_and_known_by_their_older_names():
    assert fb.FloatStorage([1, 2]).tolist() == [1.0, 2.0]
    assert fb.LongStorage(3).tolist() == [0, 0, 0]
    assert isinstance(fb.ones(2).storage(), fb.FloatStorage) and not isinstance(fb.ones(2).storage(), fb.LongStorage)
    assert fb.storage.TypedStorage([1.5], dtype=fb.float64).nbytes() == 8
    assert fb.ones(2, dtype=fb.int64).storage_type() is fb.LongStorage
    assert fb.ones(2, dtype=fb.uint16).storage_type() is fb.storage.TypedStorage
    assert fb.storage._dtype_to_storage_type_map()[fb.bool] == "BoolStorage"
    with pytest.raises(RuntimeError, match="exclude each other"):
        fb.storage.TypedStorage([1], wrap_storage=fb.ones(2).untyped_storage())


def test_views_share_a_storage():
    x = fb.arange(4.0)
    assert x.untyped_storage()._cdata == x[1:].storage()._cdata != x.clone().storage()._cdata
    assert x[1:]._is_view() and not x._is_view() and not (x + 1)._is_view()


def test_writing_to_data_counts_no_change():
    x = fb.ones(3)
    x.data.add_(1)
    x.data[0] = 5
    x.data.view(3, 1).mul_(2)
    assert x.tolist() == [10, 4, 4] and x._version == 0
    x.add_(1)
    x.detach().add_(1)
    assert x._version == 2


def test_the_format_before_the_archive_is_written():
    x = fb.arange(6.0)
    file = io.BytesIO()
    fb.save({"x": x, "part": x[2:4], "flags": fb.ones(2, dtype=fb.bool)}, file, _use_new_zipfile_serialization=False)
    assert file.getvalue()[:2] == b"\x80\x02"
    file.seek(0)
    loaded = fb.load(file)
    loaded["x"][2] = 7
    assert loaded["part"].tolist() == [7, 3] and loaded["flags"].all()


def test_a_storage_of_another_dtype_is_refused():
    storage = fb.ones(2).storage()
    with pytest.raises(RuntimeError, match=r"Expected a Storage of type .*int64 or an UntypedStorage"):
        fb.empty(0, dtype=fb.int64).set_(storage)
    assert fb.empty(0, dtype=fb.int64).set_(storage.untyped()).shape == (1,)


def test_a_storage_without_elements_says_so():
    storage = fb.ones(3, device="meta").storage()
    assert (storage.size(), storage.nbytes(), storage.data_ptr()) == (3, 12, 0)
    assert "of size 3" in repr(storage)
    for use in (lambda: storage[0], storage.tolist, lambda: storage.untyped()[0]):
        with pytest.raises(NotImplementedError, match="Not available for 'meta'"):
            use()


def test_operators_take_attributes():
    fb.relu.note = "kept"
    assert fb.relu.note == "kept" and fb.relu.__dict__ == {"note": "kept"}
    del fb.relu.note
    assert not hasattr(fb.relu, "note")


@pytest.mark.parametrize("make", [fb.linspace, fb.logspace])
def test_a_range_keeps_the_shape_of_what_it_is_written_to(make):
    whole = fb.zeros(2, 3)
    make(0, 3, 4, out=whole.narrow(1, 1, 2))
    assert fb.equal(whole[:, 1:].flatten(), make(0, 3, 4)) and not whole[:, 0].any()
    assert make(0, 1, 5, out=fb.empty(0)).shape == (5,)
    assert fb.arange(6, out=fb.empty(2, 3, dtype=fb.int64)).shape == (2, 3)


@pytest.mark.parametrize(("buffer", "count"), [(b"", -1), (b"1234", 0)])
def test_a_buffer_of_nothing_is_refused(buffer, count):
    with pytest.raises(ValueError, match=r"both buffer length \(\d\) and count \(-?\d\) must not be 0"):
        fb.frombuffer(buffer, dtype=fb.uint8, count=count)


def test_a_capsule_is_an_array():
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
