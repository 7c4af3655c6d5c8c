"""PyTorch's files: those it wrote, those that are written for it, and those that are damaged or mean harm."""

import argparse
import base64
import collections
import fractions
import importlib.util
import io
import json
import mmap
import pickle
import signal
import struct
import subprocess
import sys
import textwrap
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import flambeau as fb
from flambeau import serialization

DTYPES = "bool uint8 int8 int16 int32 int64 uint16 uint32 uint64 float16 bfloat16 float32 float64 complex64 complex128"
# Files that PyTorch 2.13.0 wrote, compressed and in base 85.
THEIRS = {
    name: zlib.decompress(base64.b85decode(text))
    for name, text in json.loads(Path(__file__).with_name("pytorch_files.json").read_text()).items()
}
HAS_AUTOGRAD = importlib.util.find_spec("flambeau.autograd") is not None


def saved(obj, **kwargs):
    """The bytes of the file."""
    buffer = io.BytesIO()
    fb.save(obj, buffer, format="pt", **kwargs)
    return buffer.getvalue()


def load(data, **kwargs):
    return fb.load(io.BytesIO(data), **kwargs)


def entries_of(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def archive_of(entries, **kwargs):
    """A file with these entries, put together by hand."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **kwargs) as archive:
        for name, content in entries.items():
            archive.writestr(f"archive/{name}", content)
    return buffer.getvalue()


def file_of(program, **entries):
    """A file with this pickle."""
    return archive_of({"data.pkl": program, "version": "3\n", **entries})


# --- files that PyTorch wrote ---


@pytest.fixture(params=["archive", "legacy"])
def theirs(request):
    return THEIRS[request.param]


@pytest.fixture(params=[True, False], ids=["restricted", "trusting"])
def loaded(theirs, request):
    return load(theirs, weights_only=request.param)


@pytest.mark.parametrize("name", DTYPES.split())
def test_every_dtype(loaded, name):
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


def test_parameters_and_attributes(loaded):
    assert loaded["parameter"].tolist() == [[1, 2], [3, 4]]
    assert loaded["parameter"].note == "kept"
    assert loaded["tagged"].tag == "kept"
    assert loaded["tagged"].tolist() == [5, 6]
    assert loaded["leaf"].requires_grad == HAS_AUTOGRAD
    assert not loaded["tagged"].requires_grad
    assert loaded["buffer"].tolist() == [0]


def test_lazy_views_have_the_values_they_show(loaded):
    assert loaded["conj"].tolist() == [1 - 2j]
    assert loaded["neg"].tolist() == [-1]


def test_state_dicts_keep_their_metadata(loaded):
    state = loaded["state"]
    assert type(state) is collections.OrderedDict
    assert {name: value.tolist() for name, value in state.items()} == {"weight": [[0.5, 0.5]], "bias": [-1.0]}
    assert state._metadata == {"": {"version": 1}}


def test_plain_values(loaded):
    plain = [None, True, 3, 2**70, -1.5, 1 + 2j, "text", b"bytes\xff", bytearray(b"ab"), (1, (2,)), {3}, frozenset([4])]
    assert repr(loaded["plain"]) == repr(plain)
    assert loaded["names"] == (fb.float16, fb.Size([2, 3]), fb.device("cpu"), fb.device("cuda:1"))
    assert type(loaded["counter"]) is collections.Counter
    assert loaded["counter"] == {"a": 2, "b": 1}
    assert loaded["default"]["absent"] == []
    assert loaded["empty"].shape == (0, 3)
    assert loaded["scalar"].item() == 2.5


def test_numbers_and_arrays_of_numpy(loaded):
    double, short, array, swapped = loaded["numpy"]
    assert (type(double), double) == (np.float64, 0.5)
    assert (type(short), short) == (np.int16, -3)
    assert (array.dtype, array.tolist()) == (np.float32, [[0, 1, 2], [3, 4, 5]])
    assert swapped.tolist() == [0, 1, 2]


def test_every_tensor_owns_memory_that_may_be_written(loaded):
    for tensor in loaded["dtypes"].values():
        tensor.zero_()
        assert tensor.tolist() == [0, 0, 0]


def test_the_other_byte_order(theirs):
    content = struct.pack(">3f", 1.0, 2.0, 3.0)
    entries = entries_of(saved([fb.zeros(3), fb.zeros(1, dtype=fb.complex64)]))
    pair = struct.pack(">2f", 4.0, 5.0)
    data = archive_of({**entries, "byteorder": b"big", "data/0": content, "data/1": pair})
    numbers, number = load(data)
    assert numbers.tolist() == [1, 2, 3]
    assert number.tolist() == [4 + 5j]


def test_the_byte_order_of_files_that_do_not_say_it():
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
    "names": (fb.float16, fb.Size([2, 3]), fb.device("cpu"), fb.device("cuda:1")),
    "state": collections.OrderedDict(weight=fb.ones(2)),
}


def test_names_in_the_pickle_are_those_of_pytorch():
    names = serialization.get_unsafe_globals_in_checkpoint(io.BytesIO(saved({**OURS, "bits": fb.arange(3).bool()})))
    assert names == []
    program = entries_of(saved([fb.zeros(1), fb.zeros(1, dtype=fb.uint16), fb.Size([1]), fb.bfloat16]))["data.pkl"]
    for name in (
        b"ctorch._utils\n_rebuild_tensor_v2\n",
        b"ctorch\nFloatStorage\n",
        b"ctorch\nSize\n",
        b"ctorch\nbfloat16\n",
    ):
        assert name in program
    assert b"ctorch._utils\n_rebuild_tensor_v3\n" in program
    assert b"flambeau" not in program
    assert program.startswith(b"\x80\x02")


def test_entries_are_those_of_pytorch_and_aligned(tmp_path):
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


def test_mapping_is_always_private():
    assert serialization.get_default_mmap_options() == mmap.MAP_PRIVATE
    serialization.set_default_mmap_options(mmap.MAP_PRIVATE)
    with pytest.raises(NotImplementedError, match=r"only mmap\.MAP_PRIVATE is supported"):
        serialization.set_default_mmap_options(mmap.MAP_SHARED)


def test_every_public_name_is_there():
    for name in serialization.__all__:
        assert getattr(serialization, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        _ = serialization.absent


def test_round_trip():
    loaded = load(saved(OURS))
    assert loaded["base"].tolist() == OURS["base"].tolist()
    assert loaded["nested"] == OURS["nested"]
    assert loaded["names"] == OURS["names"]
    assert type(loaded["state"]) is collections.OrderedDict


@pytest.mark.parametrize("name", DTYPES.split())
def test_round_trip_of_every_dtype(name):
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


def test_one_memory_as_two_dtypes_is_refused():
    base = fb.zeros(4)
    with pytest.raises(RuntimeError, match=r"view the same data as different types.*float32.*int32"):
        saved([base, base.view(fb.int32)])


def test_attributes_and_requires_grad():
    tensor = fb.ones(2)
    tensor.tag = {"any": "thing"}
    assert load(saved(tensor)).tag == {"any": "thing"}


def test_storages():
    storage = load(saved(fb.ones(2, dtype=fb.int16).storage()))
    assert isinstance(storage, fb.TypedStorage)
    assert storage.tolist() == [1, 1]
    assert load(saved(fb.ones(2, dtype=fb.uint8).untyped_storage())).tolist() == [1, 1]


class Settings:
    def __init__(self, rate):
        self.rate = rate


class Tagged(fb.Tensor):
    pass


def test_other_classes_are_loaded_where_they_are_trusted():
    data = saved({"settings": Settings(0.5)})
    with pytest.raises(
        pickle.UnpicklingError, match=r"refers to .*test_pytorch_files\.Settings, .*safe_globals\(\[Settings"
    ):
        load(data)
    assert load(data, weights_only=False)["settings"].rate == 0.5
    with serialization.safe_globals([Settings]):
        assert load(data)["settings"].rate == 0.5
    with pytest.raises(pickle.UnpicklingError):
        load(data)


def test_subclasses_of_tensor():
    tagged = Tagged(fb.ones(2))
    tagged.tag = "kept"
    data = saved(tagged)
    with pytest.raises(pickle.UnpicklingError, match="Tagged"):
        load(data)
    assert type(load(data, weights_only=False)) is Tagged
    with serialization.safe_globals([Tagged]):
        loaded = load(data)
    assert type(loaded) is Tagged
    assert loaded.tag == "kept"
    assert loaded.tolist() == [1, 1]


def test_safe_globals():
    data = saved([fractions.Fraction(1, 3)])
    assert serialization.get_unsafe_globals_in_checkpoint(io.BytesIO(data)) == ["fractions.Fraction"]
    try:
        serialization.add_safe_globals([fractions.Fraction])
        assert serialization.get_safe_globals() == [fractions.Fraction]
        assert load(data) == [fractions.Fraction(1, 3)]
    finally:
        serialization.clear_safe_globals()
    with (
        serialization.safe_globals([(fractions.Fraction, "elsewhere.Fraction")]),
        pytest.raises(pickle.UnpicklingError),
    ):
        load(data)
    assert serialization.get_safe_globals() == []
    with pytest.raises(TypeError, match="a safe global is a function, a class or a pair"):
        serialization.add_safe_globals([3])


def test_settings_of_a_program():
    loaded = load(saved(argparse.Namespace(rate=0.5, layers=[1, 2])))
    assert loaded == argparse.Namespace(rate=0.5, layers=[1, 2])


# --- which format ---


@pytest.mark.parametrize(
    ("name", "obj", "begins"),
    [
        ("x.pt", {"a": fb.ones(1)}, b"PK"),
        ("x.pth.tar", {"a": fb.ones(1)}, b"PK"),
        ("x.safetensors", [fb.ones(1)], b"{"),
        ("x", {"a": fb.ones(1)}, b"{"),
        ("x", [fb.ones(1)], b"PK"),
        ("x", {"a": OURS["base"], "b": OURS["base"][0]}, b"PK"),
        ("x", {"a": 1}, b"PK"),
    ],
)
def test_the_format_follows_from_the_name_or_from_what_is_saved(tmp_path, name, obj, begins):
    fb.save(obj, tmp_path / name)
    content = (tmp_path / name).read_bytes()
    assert content[8 if begins == b"{" else 0 :].startswith(begins)
    assert str(fb.load(tmp_path / name)) == str(obj)


def test_arguments():
    with pytest.raises(ValueError, match="format must be 'pt', 'safetensors' or None, got 'zip'"):
        fb.save([], io.BytesIO(), format="zip")
    with pytest.raises(NotImplementedError, match=r"before 1\.6 can be loaded, not written"):
        fb.save([], io.BytesIO(), _use_new_zipfile_serialization=False)
    with pytest.raises(NotImplementedError, match="pickle_module"):
        fb.save([], io.BytesIO(), pickle_module=collections)
    with pytest.raises(RuntimeError, match="explicit pickle_module"):
        load(saved([]), pickle_module=pickle)
    assert load(saved([]), pickle_module=pickle, weights_only=False) == []
    assert load(saved((1, {2}), pickle_protocol=5)) == (1, {2})
    with pytest.raises(ValueError, match="f must be a file path"):
        load(saved([]), mmap=True)


# --- where tensors go ---


def elsewhere(location):
    """A file whose tensor was there."""
    entries = entries_of(saved(fb.arange(3.0)))
    entries["data.pkl"] = entries["data.pkl"].replace(
        b"X\x03\0\0\0cpu", struct.pack("<cL", b"X", len(location)) + location
    )
    return archive_of(entries)


@pytest.mark.parametrize(
    "map_location", ["cpu", fb.device("cpu"), {"cuda:1": "cpu"}, lambda storage, location: storage]
)
def test_map_location(map_location):
    assert load(elsewhere(b"cuda:1"), map_location=map_location).tolist() == [0, 1, 2]


def test_a_device_without_elements():
    try:
        expected = fb.empty(3, device="meta")
    except NotImplementedError:
        with pytest.raises(NotImplementedError, match="meta"):
            load(saved(fb.ones(3)), map_location="meta")
    else:
        loaded = load(saved(fb.ones(3)), map_location="meta")
        assert (loaded.device, loaded.shape, loaded.dtype) == (expected.device, expected.shape, expected.dtype)


@pytest.mark.parametrize("map_location", [None, "cuda:1", {"cuda:0": "cpu"}, lambda storage, location: None])
def test_absent_devices(map_location):
    with pytest.raises(RuntimeError, match=r"it holds tensors of the device cuda:1, .*map_location='cpu'"):
        load(elsewhere(b"cuda:1"), map_location=map_location)


def test_a_function_chooses_the_storage():
    asked = []

    def choose(storage, location):
        asked.append((storage.nbytes(), location))
        return storage.clone()

    assert load(saved([fb.ones(2), fb.ones(3)]), map_location=choose)[1].tolist() == [1, 1, 1]
    assert asked == [(8, "cpu"), (12, "cpu")]


# --- harm ---


class Call:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def harmful(protocol=2):
    return pickle.dumps([Call(print, "this was run")], protocol=protocol)


HARM = {
    "call": (pickle.dumps([Call(print, "run")], protocol=2), "refers to builtins.print"),
    "call in a new protocol": (pickle.dumps([Call(print, "run")], protocol=4), "refers to builtins.print"),
    "import": (b"\x80\x02cos\nsystem\n(X\x04\0\0\0true\x85R.", "refers to os.system"),
    "evaluation": (pickle.dumps(Call(eval, "1"), protocol=2), "refers to builtins.eval"),
    "attribute": (b"\x80\x02cbuiltins\ngetattr\n.", "refers to builtins.getattr"),
    "instruction INST": (b"(X\x04\0\0\0truei__builtin__\neval\n.", "uses the instruction INST"),
    "instruction OBJ": (b"(c__builtin__\nlist\no.", "uses the instruction OBJ"),
    "instruction EXT1": (b"\x80\x02\x82\x01.", "uses the instruction EXT1"),
    "calling a number": (b"\x80\x02K\x01)R.", "calls 1, which is not to be called"),
    "calling a list": (b"\x80\x02c__builtin__\nlist\n)R.", "calls <class 'list'>, which is not to be called"),
    "calling a dtype": (b"\x80\x02ctorch\nfloat32\n)R.", "calls flambeau.float32, which is not to be called"),
    "state of a class": (
        b"\x80\x02ccollections\nOrderedDict\n}X\x01\0\0\0aK\x01sb.",
        "sets the state of type, which has none",
    ),
    "state of a function": (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x01\0\0\0aK\x01sb.",
        "sets the state of function, which has none",
    ),
    "method of a module": (b"\x80\x04\x8c\x05torch\x8c\x0cTensor.numpy\x93.", "refers to torch.Tensor.numpy"),
    "objects in arrays": (pickle.dumps(np.array([Call(print, "run")], object), protocol=2), "NumPy's dtype 'O8'|print"),
}


@pytest.mark.parametrize("what", HARM)
def test_harm_is_refused_and_nothing_is_run(what, capfd):
    program, message = HARM[what]
    with pytest.raises((pickle.UnpicklingError, RuntimeError), match=message):
        load(file_of(program))
    assert capfd.readouterr().out == ""


def test_harm_in_old_files(capfd):
    data = THEIRS["legacy"]
    start = data.index(b"\x80\x02}q\x00(X\x06\0\0\0dtypes")
    with pytest.raises(pickle.UnpicklingError, match=r"refers to builtins\.print"):
        load(data[:start] + harmful() + data[start:])
    assert capfd.readouterr().out == ""


def test_what_is_trusted_is_run(capfd):
    load(file_of(harmful()), weights_only=False)
    assert capfd.readouterr().out == "this was run\n"


def test_whole_modules_are_refused_with_advice():
    with pytest.raises(pickle.UnpicklingError, match=r"torch\.nn\.modules\..*whole module; model\.state_dict\(\)"):
        load(THEIRS["module"])


def test_whole_modules_are_loaded_where_they_are_trusted():
    nn = pytest.importorskip("flambeau.nn")
    model = load(THEIRS["module"], weights_only=False)
    assert type(model) is nn.Sequential
    assert repr(model) == repr(nn.Sequential(nn.Linear(1, 1), nn.ReLU()))
    assert model(fb.tensor([[1.0], [0.25]])).tolist() == [[1.0], [0.0]]
    assert [name for name, _ in model.named_parameters()] == ["0.weight", "0.bias"]


# --- interrupted saves ---


class Unwilling:
    """Fails when half of what it is in is written."""

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

    monkeypatch.setattr("flambeau._serialization.archive_writer.ArchiveWriter._put", failing)
    with pytest.raises(KeyboardInterrupt):
        fb.save([fb.ones(100_000)], path)
    assert len(calls) > 5
    assert [entry.name for entry in tmp_path.iterdir()] == ([path.name] if old else [])
    assert old is None or path.read_bytes() == old


def test_a_killed_save_leaves_the_old_file_whole(tmp_path):
    path = tmp_path / "x.pt"
    fb.save([1], path)
    program = """
        import os, signal, sys, flambeau
        from flambeau._serialization.archive_writer import ArchiveWriter
        ArchiveWriter.close = lambda self: os.kill(os.getpid(), signal.SIGKILL)
        flambeau.save([flambeau.zeros(100_000)], sys.argv[1])
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(path)]
    assert subprocess.run(command, timeout=120).returncode == -signal.SIGKILL
    assert fb.load(path) == [1]


# --- damage ---


def storage_program(
    numel=b"K\x02", key=b"X\x01\0\0\x000", kind=b"ctorch\nFloatStorage\n", view=b"K\x00K\x02\x85K\x01\x85"
):
    """A pickle of one tensor: the parts of the storage's name, then offset, size and stride."""
    name = b"(X\x07\0\0\0storage" + kind + key + b"X\x03\0\0\0cpu" + numel + b"tQ"
    return b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + name + view + b"\x89NtR."


def large(number):
    return b"\x8a\x09" + number.to_bytes(9, "little", signed=True)


BAD_TENSORS = {
    "fewer bytes": (storage_program(numel=b"K\x03"), "has 8 bytes, and a storage of 12 is said to be there"),
    "huge": (storage_program(numel=large(2**59)), "a storage of 2,305,843,009,213,693,952 is said to be there"),
    "beyond 64 bits": (storage_program(numel=large(2**62)), "a storage of 4611686018427387904 elements"),
    "negative": (storage_program(numel=large(-1)), "a storage of -1 elements"),
    "no number": (storage_program(numel=b"N"), "a storage of None elements"),
    "no entry": (storage_program(key=b"X\x01\0\0\x009"), "no entry 'data/9'"),
    "no key": (storage_program(key=b"K\x00"), "does not say which storage is meant"),
    "no type": (storage_program(kind=b"ctorch\nfloat32\n"), "does not say which storage is meant"),
    "beyond the end": (storage_program(view=b"K\x01K\x02\x85K\x01\x85"), "require more than the storage"),
    "stride beyond": (storage_program(view=b"K\x00K\x02\x85K\x02\x85"), "require more than the storage"),
    "negative offset": (storage_program(view=large(-1) + b"K\x02\x85K\x01\x85"), "invalid storage offset"),
    "huge offset": (storage_program(view=large(2**62) + b"K\x02\x85K\x01\x85"), "require more than the storage"),
    "offset of 70 bits": (storage_program(view=large(2**70) + b"K\x02\x85K\x01\x85"), "does not fit into 64 bits"),
    "negative size": (storage_program(view=b"K\x00" + large(-2) + b"\x85K\x01\x85"), "negative size"),
    "negative stride": (storage_program(view=b"K\x00K\x02\x85" + large(-1) + b"\x85"), "[Nn]egative strides"),
    "overflow": (storage_program(view=b"K\x00" + large(2**62) * 2 + b"\x86K\x00K\x00\x86"), "overflow"),
    "other length": (storage_program(view=b"K\x00K\x02\x85)"), "mismatch in length of strides and shape"),
    "text as size": (storage_program(view=b"K\x00X\x01\0\0\0aK\x01\x85"), "must be"),
    "no storage": (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\x00))\x89NtR.",
        "over int where a storage belongs",
    ),
    "no dtype": (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v3\n((X\x07\0\0\0storagectorch.storage\nUntypedStorage\nX\x01\0\0\x000"
        b"X\x03\0\0\0cpuK\x04tQK\x00K\x01\x85K\x01\x85\x89NK\x07tR.",
        "a tensor with the dtype 7",
    ),
}


@pytest.mark.parametrize("what", BAD_TENSORS)
def test_tensors_that_cannot_be(what):
    program, message = BAD_TENSORS[what]
    with pytest.raises(RuntimeError, match=f"cannot load 'BytesIO': .*{message}"):
        load(file_of(program, **{"data/0": bytes(8)}))


def test_a_tensor_that_can_be():
    assert load(file_of(storage_program(), **{"data/0": struct.pack("<2f", 1, 2)})).tolist() == [1, 2]


def test_every_byte_but_zero_is_true():
    program = storage_program(numel=b"K\x03", kind=b"ctorch\nBoolStorage\n", view=b"K\x00K\x03\x85K\x01\x85")
    loaded = load(file_of(program, **{"data/0": b"\x00\x02\xff"}))
    assert loaded.tolist() == [False, True, True]
    assert loaded.view(fb.uint8).tolist() == [0, 1, 1]


BAD_PICKLES = {
    "empty": b"",
    "no end": b"\x80\x02]",
    "nothing on the stack": b"\x80\x02.",
    "a mark on the stack": b"\x80\x02(.",
    "unknown protocol": b"\x80\x09N.",
    "unknown instruction": b"\x80\x02\xff.",
    "no mark": b"\x80\x02K\x01t.",
    "absent value": b"\x80\x02h\x07.",
    "key without value": b"\x80\x02(K\x01d.",
    "list as key": b"\x80\x02}]K\x01s.",
    "filling a number": b"\x80\x02K\x01K\x02a.",
    "a text that ends early": b"\x80\x02X\xff\xff\xff\x7fa.",
    "a text without end": b"\x80\x02\x8d\xff\xff\xff\xff\xff\xff\xff\x7fa.",
    "no UTF-8": b"\x80\x02X\x01\0\0\0\xff.",
    "a bytearray of a number": b"\x80\x02c__builtin__\nbytearray\n\x8a\x05\0\0\0\0\x7f\x85R.",
    "a tensor that is a bytearray": (
        b"\x80\x02ctorch._tensor\n_rebuild_from_type_v2\n(c__builtin__\nbytearray\nctorch\nTensor\n"
        b"\x8a\x06\0\0\0\0\0\x01\x85NtR."
    ),
    "a tensor that is a set": (
        b"\x80\x02ctorch._tensor\n_rebuild_from_type_v2\n(c__builtin__\nset\nctorch\nTensor\n)NtR."
    ),
    "the state of a NumPy number": (
        b"\x80\x02cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\nX\x02\0\0\0f8\x85RC\x08" + bytes(8) + b"\x86R)b."
    ),
    "an encoding": b"\x80\x02c_codecs\nencode\nX\x01\0\0\0aX\x03\0\0\0zip\x86R.",
    "too many arguments": b"\x80\x02ctorch\nSize\n(K\x01K\x01K\x01tR.",
    "a shape of texts": b"\x80\x02ctorch\nSize\n(X\x01\0\0\0aX\x01\0\0\0at\x85R.",
    "no device": b"\x80\x02ctorch\ndevice\nX\x03\0\0\0abc\x85R.",
    "attributes that are a list": b"\x80\x02ccollections\nOrderedDict\n)R]b.",
    "a factory": b"\x80\x02ccollections\ndefaultdict\nctorch\nSize\n\x85R.",
    "a deep list": b"\x80\x02" + b"]" * 100_000 + b"(",
}


@pytest.mark.parametrize("what", BAD_PICKLES)
def test_damaged_pickles(what):
    with pytest.raises(RuntimeError, match="cannot load 'BytesIO': "):
        load(file_of(BAD_PICKLES[what]))


def test_a_deep_structure_is_no_harm():
    loaded = load(file_of(b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."))
    depth = 0
    while loaded:
        (loaded,) = loaded
        depth += 1
    assert depth == 99_999


UNSUPPORTED = {
    "sparse": (b"\x80\x02ctorch._utils\n_rebuild_sparse_tensor\n)R.", "sparse tensors, which flambeau does not have"),
    "quantized": (b"\x80\x02ctorch._utils\n_rebuild_qtensor\n)R.", "quantized tensors"),
    "nested": (b"\x80\x02ctorch._utils\n_rebuild_nested_tensor\n)R.", "nested tensors"),
    "layout": (b"\x80\x02ctorch.serialization\n_get_layout\nX\x05\0\0\0torch\x85R.", "layout 'torch'"),
    "dtype": (b"\x80\x02ctorch\nfloat8_e4m3fn\n.", "torch.float8_e4m3fn, which flambeau does not have"),
    "storage": (b"\x80\x02ctorch\nQInt8Storage\n.", "torch.QInt8Storage, which flambeau does not have"),
}


@pytest.mark.parametrize("what", UNSUPPORTED)
def test_what_flambeau_does_not_have(what):
    program, message = UNSUPPORTED[what]
    with pytest.raises(NotImplementedError, match=message):
        load(file_of(program))


def test_other_archives():
    with pytest.raises(RuntimeError, match=r"zip archive without data\.pkl"):
        load(archive_of({"a.npy": b""}))
    with pytest.raises(NotImplementedError, match="TorchScript program"):
        load(archive_of({"data.pkl": b"N.", "constants.pkl": b"N."}))
    with pytest.raises(RuntimeError, match=r"entry 'data\.pkl' is compressed or encrypted"):
        load(archive_of({"data.pkl": b"N." + bytes(10**7)}, compression=zipfile.ZIP_DEFLATED))


def test_entries_that_are_not_where_the_directory_says():
    data = bytearray(saved([fb.ones(2)]))
    directory = data.rindex(b"PK\1\2", 0, data.rindex(b"archive/data/0"))
    data[directory + 42 : directory + 46] = struct.pack("<L", len(data) - 3)
    with pytest.raises(RuntimeError, match="lies outside of the file"):
        load(bytes(data))
    data[directory + 42 : directory + 46] = struct.pack("<L", 7)
    with pytest.raises(RuntimeError, match="does not lie where the directory says"):
        load(bytes(data))


WHOLE = saved({"a": [fb.arange(3), fb.ones(2, 2).t(), True], "b": fb.ones(2, dtype=fb.bool), "c": fb.Size([1])})
EVERY = {"ours": WHOLE, "archive": THEIRS["archive"], "legacy": THEIRS["legacy"]}
FAILURES = (RuntimeError, pickle.UnpicklingError)


@pytest.mark.parametrize("length", [0, 1, 4, 30, 100, 500, 1000, len(WHOLE) - 30, len(WHOLE) - 1])
def test_truncated_files(tmp_path, length):
    path = tmp_path / "x.pt"
    path.write_bytes(WHOLE[:length])
    for mapped in (False, True):
        with pytest.raises(RuntimeError, match=r"cannot load '.*x\.pt': "):
            fb.load(path, mmap=mapped)


@pytest.mark.parametrize("which", ["ours", "legacy"])
def test_damage_where_the_file_is_trusted(which):
    data = EVERY[which]
    start = data.index(b"q\x00")
    with pytest.raises(RuntimeError, match=r"cannot load 'BytesIO': .*pickle"):
        load(data[:start] + b"\xff\xff" + data[start + 2 :], weights_only=False)
    program = b"\x80\x02cnowhere\nname\n."
    with pytest.raises(RuntimeError, match="refers to something that is not here: No module named 'nowhere'"):
        load(file_of(program), weights_only=False)


@pytest.mark.parametrize("length", range(0, len(EVERY["legacy"]), 97))
def test_truncated_old_files(length):
    with pytest.raises(FAILURES, match="cannot load 'BytesIO': "):
        load(EVERY["legacy"][:length])


@given(
    st.sampled_from(sorted(EVERY)),
    st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), min_size=1, max_size=4),
)
@settings(max_examples=600, deadline=None)
def test_changed_bytes_load_or_are_a_clear_error(which, changes):
    data = bytearray(EVERY[which])
    for position, byte in changes:
        data[position % len(data)] = byte
    try:
        loaded = load(bytes(data))
    except FAILURES as error:
        assert "cannot load 'BytesIO': " in str(error)  # noqa: PT017
    else:
        repr(loaded)


PROGRAM = entries_of(WHOLE)["data.pkl"]


@given(
    st.lists(
        st.tuples(st.integers(0, len(PROGRAM) - 1), st.binary(max_size=6), st.integers(0, 6)), min_size=1, max_size=5
    )
)
@settings(max_examples=1000, deadline=None)
def test_changed_pickles_load_or_are_a_clear_error(changes):
    program = bytearray(PROGRAM)
    for position, inserted, removed in changes:
        program[position : position + removed] = inserted
    try:
        loaded = load(archive_of({**entries_of(WHOLE), "data.pkl": bytes(program)}))
    except FAILURES as error:
        assert "cannot load 'BytesIO': " in str(error)  # noqa: PT017
    else:
        repr(loaded)
