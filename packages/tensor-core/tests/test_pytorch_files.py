"""Tests of PyTorch's file format: files that PyTorch wrote, and files that flambeau writes for PyTorch."""

import collections
import importlib.util
import io
import mmap
import pickle
import signal
import struct
import subprocess
import sys
import textwrap
import zipfile

import numpy as np
import pytest
from pytorch_bytes import THEIRS, archive_of, entries_of, load, saved

import flambeau as fb
from flambeau import serialization

DTYPES = "bool uint8 int8 int16 int32 int64 uint16 uint32 uint64 float16 bfloat16 float32 float64 complex64 complex128"
HAS_AUTOGRAD = importlib.util.find_spec("flambeau.autograd") is not None


# --- files that PyTorch wrote ---


@pytest.fixture(params=["archive", "legacy"])
def theirs(request):
    return THEIRS[request.param]


@pytest.fixture(params=[True, False], ids=["restricted", "trusting"])
def loaded(theirs, request):
    return load(theirs, weights_only=request.param)


@pytest.mark.parametrize("name", DTYPES.split())
def test_tensors_of_every_dtype_load_from_pytorch_files(loaded, name):
    tensor = loaded["dtypes"][name]
    assert tensor.dtype == getattr(fb, name)
    assert tensor.tolist() == [0, 1, 1]


def test_views_keep_their_strides_and_share_memory(loaded):
    base = loaded["base"]
    assert base.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert loaded["row"].tolist() == [4, 5, 6, 7]
    assert loaded["transposed"].stride() == (1, 4)
    assert loaded["step"].tolist() == [[1, 3], [9, 11]]
    base.fill_(7)
    for name in ("row", "transposed", "step"):
        assert (loaded[name] == 7).all()
        assert loaded[name].untyped_storage().data_ptr() == base.untyped_storage().data_ptr()


@pytest.mark.parametrize("kind", ["archive", "legacy"])
@pytest.mark.parametrize("restricted", [True, False])
def test_sparse_tensors_load_from_pytorch_files(kind, restricted):
    loaded = load(THEIRS[f"sparse {kind}"], weights_only=restricted)
    for name in ("coo", "coalesced", "csr", "csc"):
        assert str(loaded[name].layout) == f"flambeau.sparse_{'coo' if name == 'coalesced' else name}"
        assert loaded[name].to_dense().tolist() == [[0, 0, 4], [4, 0, 5]]
    assert loaded["coalesced"].is_coalesced() and not loaded["coo"].is_coalesced()
    assert loaded["hybrid"].to_dense().tolist() == [[False, False], [True, False], [False, False]]
    again = load(saved(loaded, _use_new_zipfile_serialization=kind == "archive"), weights_only=restricted)
    assert again["coo"]._indices().tolist() == [[0, 1, 1, 0], [2, 0, 2, 2]] and again["strided"].tolist() == [1, 1]


def test_parameters_and_attributes_load_from_pytorch_files(loaded):
    assert loaded["parameter"].tolist() == [[1, 2], [3, 4]]
    assert loaded["parameter"].note == "kept"
    assert loaded["tagged"].tag == "kept"
    assert loaded["tagged"].tolist() == [5, 6]
    assert loaded["leaf"].requires_grad == HAS_AUTOGRAD
    assert not loaded["tagged"].requires_grad
    assert loaded["buffer"].tolist() == [0]


def test_lazy_conjugate_and_negative_views_load_with_their_values(loaded):
    assert loaded["conj"].tolist() == [1 - 2j]
    assert loaded["neg"].tolist() == [-1]


def test_state_dicts_keep_their_metadata(loaded):
    state = loaded["state"]
    assert type(state) is collections.OrderedDict
    assert {name: value.tolist() for name, value in state.items()} == {"weight": [[0.5, 0.5]], "bias": [-1.0]}
    assert state._metadata == {"": {"version": 1}}


def test_plain_values_load_from_pytorch_files(loaded):
    plain = [None, True, 3, 2**70, -1.5, 1 + 2j, "text", b"bytes\xff", bytearray(b"ab"), (1, (2,)), {3}, frozenset([4])]
    assert repr(loaded["plain"]) == repr(plain)
    assert loaded["names"] == (fb.float16, fb.Size([2, 3]), fb.device("cpu"), fb.device("cuda:1"))
    assert type(loaded["counter"]) is collections.Counter
    assert loaded["counter"] == {"a": 2, "b": 1}
    assert loaded["default"]["absent"] == []
    assert loaded["empty"].shape == (0, 3)
    assert loaded["scalar"].item() == 2.5


def test_numpy_numbers_and_arrays_load_from_pytorch_files(loaded):
    double, short, array, swapped = loaded["numpy"]
    assert (type(double), double) == (np.float64, 0.5)
    assert (type(short), short) == (np.int16, -3)
    assert (array.dtype, array.tolist()) == (np.float32, [[0, 1, 2], [3, 4, 5]])
    assert swapped.tolist() == [0, 1, 2]


def test_loaded_tensors_have_writable_memory(loaded):
    for tensor in loaded["dtypes"].values():
        tensor.zero_()
        assert tensor.tolist() == [0, 0, 0]


def test_files_of_the_other_byte_order_load(theirs):
    content = struct.pack(">3f", 1.0, 2.0, 3.0)
    entries = entries_of(saved([fb.zeros(3), fb.zeros(1, dtype=fb.complex64)]))
    pair = struct.pack(">2f", 4.0, 5.0)
    data = archive_of({**entries, "byteorder": b"big", "data/0": content, "data/1": pair})
    numbers, number = load(data)
    assert numbers.tolist() == [1, 2, 3]
    assert number.tolist() == [4 + 5j]


def test_the_default_endianness_applies_to_files_without_a_byte_order():
    entries = entries_of(saved(fb.zeros(2)))
    del entries["byteorder"]
    data = archive_of({**entries, "data/0": struct.pack(">2f", 1.0, 2.0)})
    try:
        serialization.set_default_load_endianness(serialization.LoadEndianness.BIG)
        assert load(data).tolist() == [1, 2]
        serialization.set_default_load_endianness(serialization.LoadEndianness.LITTLE)
        assert load(data).tolist() != [1, 2]
    finally:
        serialization.set_default_load_endianness(None)
    assert serialization.get_default_load_endianness() is None
    with pytest.raises(TypeError, match="Invalid argument type"):
        serialization.set_default_load_endianness("big")


# --- files for PyTorch ---


OURS = {
    "base": fb.arange(6.0).reshape(2, 3),
    "nested": [(1, {2: None}), {3}, 1 + 2j, b"x", 2**70],
    "names": (fb.float16, fb.Size([2, 3]), fb.device("cpu"), fb.device("cuda:1"), fb.strided, fb.channels_last),
    "state": collections.OrderedDict(weight=fb.ones(2)),
}


def test_pickles_in_saved_files_use_the_names_of_pytorch():
    names = serialization.get_unsafe_globals_in_checkpoint(io.BytesIO(saved({**OURS, "bits": fb.arange(3).bool()})))
    assert names == []
    values = [fb.zeros(1), fb.zeros(1, dtype=fb.uint16), fb.Size([1]), fb.bfloat16, fb.sparse_coo, fb.channels_last]
    program = entries_of(saved(values))["data.pkl"]
    for name in (
        b"ctorch._utils\n_rebuild_tensor_v2\n",
        b"ctorch\nFloatStorage\n",
        b"ctorch\nSize\n",
        b"ctorch\nbfloat16\n",
        b"ctorch.serialization\n_get_layout\n",
        b"ctorch\nchannels_last\n",
    ):
        assert name in program
    assert b"ctorch._utils\n_rebuild_tensor_v3\n" in program
    assert b"flambeau" not in program
    assert program.startswith(b"\x80\x02")


def test_archive_entries_are_those_of_pytorch_and_aligned(tmp_path):
    path = tmp_path / "some.model.pt"
    fb.save([fb.zeros(3, dtype=fb.int8), fb.zeros(2), fb.zeros(0)], path)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        infos = archive.infolist()
    assert [info.filename for info in infos] == [
        "some.model/data.pkl",
        "some.model/.format_version",
        "some.model/.storage_alignment",
        "some.model/byteorder",
        "some.model/data/0",
        "some.model/data/1",
        "some.model/data/2",
        "some.model/version",
        "some.model/.data/serialization_id",
    ]
    content = path.read_bytes()
    for info in infos:
        name_length, extra_length = struct.unpack_from("<HH", content, info.header_offset + 26)
        assert (info.header_offset + 30 + name_length + extra_length) % 64 == 0
    assert saved(OURS) == saved(OURS)


def test_checksums_can_be_left_out():
    try:
        serialization.set_crc32_options(False)
        data = saved(OURS)
    finally:
        serialization.set_crc32_options(True)
    assert serialization.get_crc32_options()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() == "archive/data.pkl"
    assert load(data)["base"].tolist() == OURS["base"].tolist()


def test_only_private_file_mappings_are_supported():
    assert serialization.get_default_mmap_options() == mmap.MAP_PRIVATE
    serialization.set_default_mmap_options(mmap.MAP_PRIVATE)
    with pytest.raises(NotImplementedError, match=r"only mmap\.MAP_PRIVATE is supported"):
        serialization.set_default_mmap_options(mmap.MAP_SHARED)


def test_the_serialization_module_has_every_public_name():
    for name in serialization.__all__:
        assert getattr(serialization, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        _ = serialization.absent


def test_values_survive_saving_and_loading():
    loaded = load(saved(OURS))
    assert loaded["base"].tolist() == OURS["base"].tolist()
    assert loaded["nested"] == OURS["nested"]
    assert loaded["names"] == OURS["names"]
    assert type(loaded["state"]) is collections.OrderedDict


@pytest.mark.parametrize("name", DTYPES.split())
def test_tensors_of_every_dtype_survive_saving_and_loading(name):
    tensor = fb.tensor([[0, 1, 1], [1, 0, 1]]).to(getattr(fb, name)).t()
    loaded = load(saved(tensor))
    assert loaded.dtype == tensor.dtype
    assert loaded.stride() == (1, 3)
    assert loaded.tolist() == tensor.tolist()


def test_shared_memory_is_written_once_and_shared_again():
    base = fb.arange(1000)
    data = saved({"base": base, "part": base[10:20], "again": base})
    assert len(data) < 12_000
    loaded = load(data)
    loaded["base"].zero_()
    assert not loaded["part"].any()
    assert loaded["again"] is loaded["base"]


def test_saving_one_storage_as_two_dtypes_is_rejected():
    base = fb.zeros(4)
    with pytest.raises(RuntimeError, match=r"view the same data as different types.*float32.*int32"):
        saved([base, base.view(fb.int32)])


def test_attributes_and_requires_grad_are_saved():
    tensor = fb.ones(2)
    tensor.tag = {"any": "thing"}
    assert load(saved(tensor)).tag == {"any": "thing"}


def test_storages_can_be_saved():
    storage = load(saved(fb.ones(2, dtype=fb.int16).storage()))
    assert isinstance(storage, fb.TypedStorage)
    assert storage.tolist() == [1, 1]
    assert load(saved(fb.ones(2, dtype=fb.uint8).untyped_storage())).tolist() == [1, 1]


# --- choice of the format ---


@pytest.mark.parametrize(
    ("name", "obj", "begins"),
    [
        ("x.pt", {"a": fb.ones(1)}, b"PK"),
        ("x.pth.tar", {"a": fb.ones(1)}, b"PK"),
        ("x.safetensors", [fb.ones(1)], b"{"),
        ("x.st", {"a": fb.ones(1)}, b"{"),
        ("x", {"a": fb.ones(1)}, b"PK"),
        ("x", [fb.ones(1)], b"PK"),
    ],
)
def test_the_file_name_selects_the_format(tmp_path, name, obj, begins):
    fb.save(obj, tmp_path / name)
    content = (tmp_path / name).read_bytes()
    assert content[8 if begins == b"{" else 0 :].startswith(begins)
    assert str(fb.load(tmp_path / name)) == str(obj)


def test_save_and_load_reject_unsupported_arguments():
    with pytest.raises(ValueError, match="format must be 'pt', 'safetensors' or None, got 'zip'"):
        fb.save([], io.BytesIO(), format="zip")
    with pytest.raises(NotImplementedError, match="pickle_module"):
        fb.save([], io.BytesIO(), pickle_module=collections)
    with pytest.raises(RuntimeError, match="explicit pickle_module"):
        load(saved([]), pickle_module=pickle, weights_only=True)
    assert load(saved([]), pickle_module=pickle) == []
    assert load(saved((1, {2}), pickle_protocol=5)) == (1, {2})
    with pytest.raises(ValueError, match="f must be a file path"):
        load(saved([]), mmap=True)


# --- devices of loaded tensors ---


def elsewhere(location):
    """Return a file with a tensor saved from another device."""
    entries = entries_of(saved(fb.arange(3.0)))
    entries["data.pkl"] = entries["data.pkl"].replace(
        b"X\x03\0\0\0cpu", struct.pack("<cL", b"X", len(location)) + location
    )
    return archive_of(entries)


@pytest.mark.parametrize(
    "map_location", ["cpu", fb.device("cpu"), {"cuda:1": "cpu"}, lambda storage, location: storage]
)
def test_map_location_loads_gpu_tensors_to_the_cpu(map_location):
    assert load(elsewhere(b"cuda:1"), map_location=map_location).tolist() == [0, 1, 2]


def test_map_location_meta_loads_shapes_and_dtypes():
    try:
        expected = fb.empty(3, device="meta")
    except NotImplementedError:
        with pytest.raises(NotImplementedError, match="meta"):
            load(saved(fb.ones(3)), map_location="meta")
    else:
        loaded = load(saved(fb.ones(3)), map_location="meta")
        assert (loaded.device, loaded.shape, loaded.dtype) == (expected.device, expected.shape, expected.dtype)


@pytest.mark.parametrize("map_location", [None, "cuda:1", {"cuda:0": "cpu"}, lambda storage, location: None])
def test_loading_onto_a_missing_device_raises(map_location):
    with pytest.raises(RuntimeError, match=r"it holds tensors on the device 'cuda:1', .*map_location='cpu'"):
        load(elsewhere(b"cuda:1"), map_location=map_location)


def test_a_function_as_map_location_chooses_the_storage():
    asked = []

    def choose(storage, location):
        asked.append((storage.nbytes(), location))
        return storage.clone()

    assert load(saved([fb.ones(2), fb.ones(3)]), map_location=choose)[1].tolist() == [1, 1, 1]
    assert asked == [(8, "cpu"), (12, "cpu")]


# --- interrupted saves ---


class Unwilling:
    """Object that cannot be pickled, so that saving fails after a part of the file is written."""

    def __reduce__(self):
        raise ValueError("not to be saved")


@pytest.mark.parametrize("old", [b"old", None])
def test_a_failing_save_changes_nothing(tmp_path, monkeypatch, old):
    path = tmp_path / "x.pt"
    if old is not None:
        path.write_bytes(old)
    with pytest.raises(ValueError, match="not to be saved"):
        fb.save([fb.ones(3), Unwilling()], path)
    calls = []

    def failing(self, data):
        calls.append(len(data))
        if len(data) == 400_000:
            raise KeyboardInterrupt
        self._position += self._file.write(data)

    monkeypatch.setattr("flambeau._serialization.archive_writer.ArchiveWriter._write", failing)
    with pytest.raises(KeyboardInterrupt):
        fb.save([fb.ones(100_000)], path)
    assert len(calls) > 5
    assert [entry.name for entry in tmp_path.iterdir()] == ([path.name] if old else [])
    assert old is None or path.read_bytes() == old


def test_a_killed_save_leaves_the_old_file_intact(tmp_path):
    path = tmp_path / "x.pt"
    fb.save([1], path)
    program = """
        import os, signal, sys, flambeau
        from flambeau._serialization.archive_writer import ArchiveWriter
        ArchiveWriter.close = lambda self: os.kill(os.getpid(), signal.SIGKILL)
        flambeau.save([flambeau.zeros(100_000)], sys.argv[1])
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(path)]
    assert subprocess.run(command, timeout=600).returncode == -signal.SIGKILL
    assert fb.load(path) == [1]
