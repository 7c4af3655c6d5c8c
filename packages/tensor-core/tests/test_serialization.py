"""Saving and loading: round trips, the file format, damaged files, and saves that are interrupted."""

import collections
import doctest
import enum
import io
import json
import math
import os
import signal
import stat
import subprocess
import sys
import textwrap
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import flambeau
from flambeau import serialization
from flambeau._serialization import safetensors

VALUES = {
    "bool": [True, False, True],
    "uint8": [0, 255, 7],
    "int8": [-128, 127, 0],
    "int16": [-(2**15), 2**15 - 1, 0],
    "int32": [-(2**31), 2**31 - 1, 0],
    "int64": [-(2**63), 2**63 - 1, 0],
    "uint16": [0, 2**16 - 1, 7],
    "uint32": [0, 2**32 - 1, 7],
    "uint64": [0, 2**64 - 1, 7],
    "float16": [0.5, -math.inf, 65504.0],
    "bfloat16": [1.5, math.inf, -(2.0**100)],
    "float32": [0.1, -math.inf, 1e-45],
    "float64": [0.1, math.inf, 5e-324],
}
CODES = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "int16": "I16",
    "int32": "I32",
    "int64": "I64",
    "uint16": "U16",
    "uint32": "U32",
    "uint64": "U64",
    "float16": "F16",
    "bfloat16": "BF16",
    "float32": "F32",
    "float64": "F64",
}


def tensor_of(name):
    return flambeau.tensor(VALUES[name], dtype=getattr(flambeau, name))


def saved(obj):
    """The bytes of the file."""
    buffer = io.BytesIO()
    flambeau.save(obj, buffer, format="safetensors")
    return buffer.getvalue()


def round_trip(obj):
    return flambeau.load(io.BytesIO(saved(obj)))


def header_of(data):
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def file_of(header, data=b""):
    """A file with this header, put together by hand."""
    encoded = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(encoded).to_bytes(8, "little") + encoded + data


def assert_same(loaded, original):
    """Equal in structure, in every type but that dict stands for its subclasses, in dtype, shape and bits."""
    if isinstance(original, flambeau.Tensor):
        assert type(loaded) is flambeau.Tensor
        assert loaded.dtype == original.dtype
        assert tuple(loaded.shape) == tuple(original.shape)
        assert str(loaded.tolist()) == str(original.tolist())
        assert loaded.is_contiguous()
        assert not loaded.requires_grad
    elif isinstance(original, dict):
        assert type(loaded) is dict
        assert_same(list(loaded.items()), list(original.items()))
    elif isinstance(original, list | tuple):
        assert type(loaded) is type(original)
        assert len(loaded) == len(original)
        for got, expected in zip(loaded, original, strict=True):
            assert_same(got, expected)
    else:
        assert type(loaded) is type(original)
        assert repr(loaded) == repr(original)


# --- round trips ---


@pytest.mark.parametrize("name", VALUES)
def test_every_dtype(name):
    assert_same(round_trip({"t": tensor_of(name)}), {"t": tensor_of(name)})


@pytest.mark.parametrize("shape", [(), (1,), (0,), (0, 3), (3, 0, 2), (2, 3, 4), (1,) * 7])
@pytest.mark.parametrize("dtype", [flambeau.bool, flambeau.bfloat16, flambeau.float64])
def test_every_shape(shape, dtype):
    assert_same(round_trip([flambeau.ones(shape, dtype=dtype)]), [flambeau.ones(shape, dtype=dtype)])


@pytest.mark.parametrize("dtype", [flambeau.float32, flambeau.bfloat16, flambeau.int8])
def test_views_are_stored_contiguous_without_the_rest_of_their_storage(dtype):
    base = flambeau.arange(1000).reshape(10, 100).to(dtype)
    views = {"t": base.t(), "step": base[1::3, ::7], "expanded": base[0, :1].expand(5, 3), "one": base[2, 3]}
    data = saved(views)
    assert_same(flambeau.load(io.BytesIO(data)), views)
    stored = sum(view.numel() * view.element_size() for view in views.values())
    assert len(header_of(data)[1]) == stored


def test_plain_dictionary_keeps_its_order():
    state = collections.OrderedDict((name, flambeau.zeros(1, dtype=flambeau.int8)) for name in "zyxab")
    state["wide"] = flambeau.zeros(2)
    assert list(round_trip(state)) == ["z", "y", "x", "a", "b", "wide"]


def test_checkpoint():
    checkpoint = {
        "model": collections.OrderedDict([("fc.weight", flambeau.randn(3, 2)), ("fc.bias", flambeau.zeros(3))]),
        "optimizer": {
            "state": {0: {"step": flambeau.tensor(3.0), "exp_avg": flambeau.randn(3, 2)}, 1: {}},
            "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.999), "nesterov": False, "params": [0, 1], "foreach": None}],
        },
        "epoch": 3,
        "best": -math.inf,
        "history": [math.nan, 1.0, 0.1, -0.0, 2**70],
    }
    assert_same(round_trip(checkpoint), checkpoint)


@pytest.mark.parametrize(
    "obj",
    [
        flambeau.arange(3),
        {},
        [],
        (),
        None,
        7,
        "text",
        {"__metadata__": flambeau.ones(2)},
        {"a.b": flambeau.zeros(1), "a": {"b": flambeau.ones(1)}, "a.b#2": flambeau.ones(2)},
        {1: "int", "1": "str", 1.5: "float", None: "none", (1, "x", None): "tuple", math.inf: "inf"},
        {True: flambeau.ones(1), False: flambeau.zeros(1)},
        {"tensor": "a", "dict": {"tuple": [1]}, "float": {"items": ()}},
        {"": flambeau.ones(1), "слово 🔥\n\x00": flambeau.zeros(1), '"\\': flambeau.zeros(2)},
        {"lone \ud800": flambeau.ones(1)},
        ["lone \udfff", {"\ud800": [flambeau.ones(1)]}],
    ],
    ids=ascii,
)
def test_structures(obj):
    assert_same(round_trip(obj), obj)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=5)
keys = scalars | st.tuples(scalars, scalars)
tensors = st.lists(st.integers(-9, 9), max_size=3).map(lambda values: flambeau.tensor(values, dtype=flambeau.int16))
structures = st.recursive(
    scalars | tensors,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(keys, inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec=None), max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(structures)
@settings(max_examples=300, deadline=None)
def test_any_structure(obj):
    assert_same(round_trip(obj), obj)


def test_loaded_tensors_are_independent_of_the_file_and_writable(tmp_path):
    path = tmp_path / "x.safetensors"
    flambeau.save({"a": flambeau.zeros(3)}, path)
    first, second = flambeau.load(path)["a"], flambeau.load(path)["a"]
    first.add_(1)
    assert second.tolist() == flambeau.load(path)["a"].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("kind", [str, os.fspath, lambda path: path])
def test_paths(tmp_path, kind):
    path = kind(tmp_path / "имя файла")
    flambeau.save([1], path)
    assert flambeau.load(path, map_location="cpu", weights_only=False) == [1]


def test_files_are_used_from_where_they_stand(tmp_path):
    with open(tmp_path / "x", "w+b", buffering=0) as file:
        file.write(b"before")
        flambeau.save({"a": flambeau.arange(5)}, file)
        file.seek(6)
        assert flambeau.load(file)["a"].tolist() == [0, 1, 2, 3, 4]


def test_a_file_that_can_only_be_read():
    class Stream:
        def read(self):
            return saved({"a": flambeau.arange(5)})

    assert flambeau.load(Stream())["a"].tolist() == [0, 1, 2, 3, 4]


def test_writers_that_take_a_part_at_a_time():
    class Slow(io.RawIOBase):
        data = b""

        def writable(self):
            return True

        def write(self, part):
            taken = bytes(part[:7])
            self.data += taken
            return len(taken)

    slow = Slow()
    flambeau.save({"a": flambeau.arange(50)}, slow)
    assert slow.data == saved({"a": flambeau.arange(50)})


# --- what cannot be stored ---


class Colour(enum.IntEnum):
    RED = 1


class Net:
    def state_dict(self):
        return {}


class Point(NamedTuple):
    x: int
    y: int


@pytest.mark.parametrize(
    ("obj", "message"),
    [
        ({"a": {3: [None, {1}]}}, r"object\['a'\]\[3\]\[1\] is of type set"),
        (Net(), r"object is of type .*Net, .*; store its state_dict\(\)"),
        ({"p": Point(1, 2)}, r"object\['p'\] is of type .*Point, .*; convert it with tuple\(\.\.\.\)"),
        ([np.float32(1)], r"object\[0\] is of type numpy.float32, .*\.item\(\)"),
        ([np.float64(1)], r"object\[0\] is of type numpy.float64, .*\.item\(\)"),
        ([np.ones(2)], r"object\[0\] is of type numpy.ndarray, .*flambeau.from_numpy"),
        ([Colour.RED], r"object\[0\] is of type .*Colour"),
        ([b"x"], r"object\[0\] is of type bytes"),
        ([range(3)], r"object\[0\] is of type range"),
        ({"m": {b"k": 1}}, r"object\['m'\] has a key of type bytes, b'k'"),
        ({frozenset(): 1}, r"object has a key of type frozenset"),
        ({(1, (2,)): 1}, r"object has a key of type tuple"),
    ],
)
def test_other_types_are_refused(tmp_path, obj, message):
    path = tmp_path / "x"
    path.write_bytes(b"old")
    with pytest.raises(TypeError, match=message):
        flambeau.save(obj, path, format="safetensors")
    assert path.read_bytes() == b"old"


def test_structures_without_end_are_refused():
    endless = []
    endless.append({"again": endless})
    with pytest.raises(ValueError, match=r"object\[0\]\['again'\]\[0\]\.\.\.: nested deeper .* contain itself"):
        saved(endless)


@pytest.mark.parametrize("f", [7, None, [b"x"]])
def test_neither_path_nor_file(f):
    with pytest.raises(TypeError, match="save: f must be a path or a binary file, got"):
        flambeau.save([], f)
    with pytest.raises(TypeError, match="load: f must be a path or a binary file, got"):
        flambeau.load(f)


@pytest.mark.parametrize("map_location", [None, "cpu", {"cpu": "cpu"}, lambda storage, location: None])
def test_map_location(map_location):
    data = saved({"x": flambeau.arange(3)})
    assert flambeau.load(io.BytesIO(data), map_location=map_location)["x"].tolist() == [0, 1, 2]


def test_a_function_as_map_location_chooses_the_memory():
    asked = []

    def elsewhere(storage, location):
        asked.append((storage.nbytes(), location))
        return storage.clone().fill_(1)

    loaded = flambeau.load(io.BytesIO(saved({"x": flambeau.arange(6, dtype=flambeau.uint8).reshape(2, 3)})), elsewhere)
    assert loaded["x"].tolist() == [[1, 1, 1], [1, 1, 1]]
    assert asked == [(6, "cpu")]
    with pytest.raises(TypeError, match="map_location must return a storage or None, got int"):
        flambeau.load(io.BytesIO(saved({"x": flambeau.arange(3)})), map_location=lambda storage, location: 3)


# --- the format ---


@pytest.mark.parametrize("name", VALUES)
def test_layout(name):
    data = saved({"a": tensor_of(name), "b": tensor_of("uint8")})
    header, elements = header_of(data)
    assert header["a"]["dtype"] == CODES[name]
    assert header["a"]["shape"] == [3]
    begin, end = header["a"]["data_offsets"]
    if name == "bfloat16":
        expected = np.array([0x3FC0, 0x7F80, 0xF180], "<u2")
    else:
        expected = np.array(VALUES[name], np.dtype(name).newbyteorder("<"))
    assert elements[begin:end] == expected.tobytes()


def test_elements_are_aligned():
    names = ["int8", "float64", "bool", "bfloat16", "int64", "float32", "uint8", "float16"]
    data = saved({name: tensor_of(name) for name in names})
    header, elements = header_of(data)
    start = len(data) - len(elements)
    assert start % 8 == 0
    for name in names:
        assert (start + header[name]["data_offsets"][0]) % tensor_of(name).element_size() == 0


def test_tensors_in_a_structure_are_named_by_their_path():
    header, _ = header_of(saved({"model": {"fc.weight": flambeau.ones(1)}, "steps": [flambeau.ones(1)]}))
    assert list(header) == ["__metadata__", "model.fc.weight", "steps.0"]


@pytest.mark.parametrize(
    "obj", [{"lone \ud800": flambeau.ones(1)}, {"x": {"lone \ud800": [flambeau.ones(1), "\udfff"]}}]
)
def test_other_readers_get_valid_unicode(obj):
    header, _ = header_of(saved(obj))
    assert json.dumps(header, ensure_ascii=False).encode()


@pytest.mark.parametrize("name", VALUES)
def test_the_safetensors_package_reads_our_files(name):
    safetensors = pytest.importorskip("safetensors")
    data = saved({"a": tensor_of(name), "b": {"c": tensor_of("int8").reshape(3, 1)}})
    theirs = dict(safetensors.deserialize(data))
    header, elements = header_of(data)
    assert theirs["b.c"]["shape"] == [3, 1]
    assert theirs["a"]["dtype"] == CODES[name]
    begin, end = header["a"]["data_offsets"]
    assert bytes(theirs["a"]["data"]) == elements[begin:end]


@pytest.mark.parametrize("name", sorted(VALUES.keys() - {"bfloat16"}))
def test_we_read_files_of_the_safetensors_package(name):
    numpy_files = pytest.importorskip("safetensors.numpy")
    arrays = {"a": np.array(VALUES[name], name).reshape(3, 1), "odd": np.array([[1, 2, 3]], np.uint8)}
    loaded = flambeau.load(io.BytesIO(numpy_files.save(arrays, {"format": "np", "note": "theirs"})))
    expected = {"a": tensor_of(name).reshape(3, 1), "odd": flambeau.tensor([[1, 2, 3]], dtype=flambeau.uint8)}
    assert_same({key: loaded[key] for key in sorted(loaded)}, expected)


def test_a_file_put_together_by_hand_with_unaligned_elements():
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [1, 9]}
    byte = {"dtype": "I8", "shape": [], "data_offsets": [0, 1]}
    halves = {"dtype": "BF16", "shape": [1, 2], "data_offsets": [9, 13]}
    elements = b"\xff" + np.array([1.5, -2.0], "<f4").tobytes() + b"\xc0\x3f\x80\xff"
    expected = {
        "x": flambeau.tensor([1.5, -2.0]),
        "y": flambeau.tensor(-1, dtype=flambeau.int8),
        "z": flambeau.tensor([[1.5, -math.inf]], dtype=flambeau.bfloat16),
    }
    assert_same(flambeau.load(io.BytesIO(file_of({"x": entry, "y": byte, "z": halves}, elements))), expected)


def test_every_byte_but_zero_is_true():
    data = file_of({"x": {"dtype": "BOOL", "shape": [4], "data_offsets": [0, 4]}}, b"\x00\x01\x02\xff")
    loaded = flambeau.load(io.BytesIO(data))["x"]
    assert loaded.tolist() == [False, True, True, True]
    assert loaded.view(flambeau.uint8).tolist() == [0, 1, 1, 1]


# --- damaged and foreign files ---


def entry(dtype="U8", shape=(2,), offsets=(0, 2)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def structured(description):
    return file_of({"__metadata__": {"flambeau.structure": description}, "t": entry()}, b"ab")


DAMAGED = {
    "empty": (b"", "neither a PyTorch nor a safetensors file: it has 0 bytes"),
    "short": (b"abc", "neither a PyTorch nor a safetensors file: it has 3 bytes"),
    "text": (
        b"Lorem ipsum dolor sit amet",
        "neither a PyTorch nor a safetensors file: its first 8 bytes announce a header of 8,100,",
    ),
    "huge header": ((100_000_001).to_bytes(8, "little") + b"{", "header of 100,000,001 bytes, and at most 100,000,000"),
    "no header": (bytes(16), "neither a PyTorch nor a safetensors file: there is no header"),
    "other header": (file_of(b"[1, 2]"), "neither a PyTorch nor a safetensors file: there is no header"),
    "only a length": ((16).to_bytes(8, "little"), "truncated: the header takes 16 bytes but only 0 follow"),
    "part of a header": (file_of({"t": entry()})[:20], "truncated: the header takes .* bytes but only 12 follow"),
    "no JSON": (file_of(b"{nonsense}"), "the header is not valid JSON: Expecting property name"),
    "no UTF-8": (file_of(b'{"\xff": 1}'), "the header is not valid JSON: .*utf-8"),
    "deep JSON": (file_of(b'{"a":' + b"[" * 100_000), "the header is not valid JSON"),
    "twice": (file_of(b'{"t": 1, "t": 2}'), "the header is not valid JSON: duplicate name 't'"),
    "metadata": (file_of({"__metadata__": {"a": 1}}), "__metadata__ in the header is not a dictionary of strings"),
    "entry": (file_of({"t": 3}), "tensor 't': the header must give a dtype, a shape and two data_offsets"),
    "no shape": (file_of({"t": {"dtype": "U8", "data_offsets": [0, 0]}}), "tensor 't': the header must give"),
    "three offsets": (file_of({"t": entry(offsets=(0, 1, 2))}), "tensor 't': the header must give"),
    "negative size": (file_of({"t": entry(shape=(-1, -2))}, b"ab"), "tensor 't': the header must give"),
    "fraction": (file_of({"t": entry(shape=(2.0,))}, b"ab"), "tensor 't': the header must give"),
    "true as size": (file_of({"t": entry(shape=(2, True))}, b"ab"), "tensor 't': the header must give"),
    "dtype": (file_of({"t": entry(dtype="F8_E4M3")}, b"ab"), "tensor 't': unknown dtype 'F8_E4M3'; known are BOOL, U8"),
    "list as dtype": (file_of({"t": entry(dtype=["U8"])}, b"ab"), "tensor 't': unknown dtype"),
    "shape": (file_of({"t": entry(shape=(3,))}, b"ab"), r"shape \[3\] of U8 takes 3 bytes, but .* \[0, 2\] span 2"),
    "backwards": (file_of({"t": entry(shape=(0,), offsets=(2, 0))}, b"ab"), r"\[2, 0\] span -2"),
    "overflow": (file_of({"t": entry("F64", (2**61,), (0, 0))}), "takes 18,446,744,073,709,551,616 bytes"),
    "gap": (file_of({"t": entry(offsets=(2, 4))}, b"abcd"), r"tensor 't': .* \[2, 4\] leave a gap \(expected 0\)"),
    "overlap": (
        file_of({"t": entry(), "u": entry(offsets=(1, 3))}, b"abc"),
        r"tensor 'u': .* \[1, 3\] overlap those before them \(expected 2\)",
    ),
    "out of range": (file_of({"t": entry()}, b"a"), "truncated: the header says 2 bytes of tensors but the file has 1"),
    "left over": (file_of({"t": entry()}, b"abc"), "bytes left over: the header says 2 bytes .* but the file has 3"),
    "structure": (structured("{"), "the description of the structure is damaged"),
    "structure kind": (structured('{"version":1,"object":{"call":"os.system"}}'), "damaged .*unknown kind 'call'"),
    "structure name": (structured('{"version":1,"object":{"tensor":"u"}}'), "damaged .*KeyError"),
    "structure depth": (structured("[" * 100_000), "damaged .*Recursion"),
    "structure key": (structured('{"version":1,"object":{"items":[[[1],2]]}}'), "damaged .*unhashable"),
    "later structure": (structured('{"version":2}'), "structure has version 2, and this flambeau reads version 1"),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_damaged_files(tmp_path, what):
    data, message = DAMAGED[what]
    path = tmp_path / "broken.safetensors"
    path.write_bytes(data)
    with pytest.raises(RuntimeError, match=rf"cannot load '.*broken\.safetensors': .*{message}") as caught:
        flambeau.load(path)
    assert type(caught.value) is RuntimeError
    with pytest.raises(RuntimeError, match=f"cannot load 'BytesIO': .*{message}"):
        flambeau.load(io.BytesIO(data))


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent"):
        flambeau.load(tmp_path / "absent")


WHOLE = saved({"a": [flambeau.arange(3), True, (0.5,)], "b": flambeau.ones(2, dtype=flambeau.bool)})


@pytest.mark.parametrize("length", range(len(WHOLE)))
def test_every_truncation_is_noticed(length):
    with pytest.raises(RuntimeError, match=r"truncated|neither a PyTorch nor a safetensors file"):
        flambeau.load(io.BytesIO(WHOLE[:length]))


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
@settings(max_examples=500, deadline=None)
def test_a_changed_byte_loads_or_is_a_runtime_error(position, byte):
    changed = bytearray(WHOLE)
    changed[position] = byte
    try:
        flambeau.load(io.BytesIO(changed))
    except RuntimeError as error:
        assert "cannot load 'BytesIO': " in str(error)  # noqa: PT017


# --- interrupted saves ---


class Interrupted(BaseException):
    pass


@pytest.mark.parametrize("error", [Interrupted, KeyboardInterrupt, OSError, MemoryError])
@pytest.mark.parametrize("old", [b"old", None])
def test_a_failing_save_changes_nothing(tmp_path, monkeypatch, error, old):
    path = tmp_path / "x.safetensors"
    if old is not None:
        path.write_bytes(old)
    write_all = safetensors.write_all
    calls = []

    def failing(file, data):
        if len(calls) == 2:
            raise error
        calls.append(len(data))
        write_all(file, data)

    monkeypatch.setattr(safetensors, "write_all", failing)
    with pytest.raises(error):
        flambeau.save({"a": flambeau.ones(100_000), "b": flambeau.ones(100_000)}, path)
    assert calls[1] == 400_000
    assert os.listdir(tmp_path) == ([path.name] if old else [])
    assert old is None or path.read_bytes() == old


def run_python(program, *arguments):
    command = [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.skipif(sys.platform == "win32", reason="no resource limits")
def test_a_full_disk_changes_nothing(tmp_path):
    path = tmp_path / "x.safetensors"
    flambeau.save([1], path)
    program = """
        import resource, sys, flambeau
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        flambeau.save([flambeau.zeros(1_000_000)], sys.argv[1])
    """
    result = run_python(program, path)
    assert result.returncode == 1
    assert "OSError" in result.stderr
    assert os.listdir(tmp_path) == [path.name]
    assert flambeau.load(path) == [1]


@pytest.mark.parametrize("format", ["pt", "safetensors"])
def test_a_full_disk_is_named(format):
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        flambeau.save({"a": flambeau.zeros(100_000)}, "/dev/full", format=format)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_killed_save_leaves_the_old_file_whole(tmp_path):
    path = tmp_path / "x.safetensors"
    flambeau.save([1], path)
    program = """
        import os, signal, sys, flambeau
        from flambeau._serialization import safetensors

        write_all = safetensors.write_all

        def kill_after_the_first_tensor(file, data, calls=[]):
            write_all(file, data)
            file.flush()
            calls.append(data)
            if len(calls) == 2:
                os.kill(os.getpid(), signal.SIGKILL)

        safetensors.write_all = kill_after_the_first_tensor
        flambeau.save([flambeau.zeros(100_000), flambeau.zeros(100_000)], sys.argv[1])
    """
    assert run_python(program, path).returncode == -signal.SIGKILL
    assert flambeau.load(path) == [1]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_permissions_and_links_are_kept(tmp_path):
    path, link = tmp_path / "x", tmp_path / "link"
    previous = os.umask(0o027)
    try:
        flambeau.save([1], path)
    finally:
        os.umask(previous)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.chmod(0o604)
    link.symlink_to(path)
    flambeau.save([2], link)
    assert link.is_symlink()
    assert flambeau.load(path) == [2]
    assert stat.S_IMODE(path.stat().st_mode) == 0o604


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_what_is_no_ordinary_file_is_written_to_and_stays(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        flambeau.save({"a": flambeau.arange(5)}, pipe)
        assert os.read(reader, 10_000) == saved({"a": flambeau.arange(5)})
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert os.listdir(tmp_path) == [pipe.name]


def test_errors_name_the_path_that_was_given(tmp_path):
    path = tmp_path / "absent" / "x"
    with pytest.raises(FileNotFoundError) as caught:
        flambeau.save([], path)
    assert caught.value.filename == str(path)
    with pytest.raises(IsADirectoryError):
        flambeau.save([], tmp_path)


def test_a_read_only_file_is_not_replaced(tmp_path, monkeypatch):
    path = tmp_path / "x"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)  # the superuser may write everything
    with pytest.raises(PermissionError, match="x"):
        flambeau.save([], path)
    assert path.read_bytes() == b"old"


def test_examples_in_docstrings(tmp_path):
    finder = doctest.DocTestFinder(recurse=False)
    runner = doctest.DocTestRunner()
    for function in (serialization.save, serialization.load, serialization.safe_open, serialization.add_safe_globals):
        for example in finder.find(function, globs={"flambeau": flambeau, "path": tmp_path / "x.safetensors"}):
            assert example.examples
            runner.run(example)
    assert runner.summarize(verbose=False).failed == 0
