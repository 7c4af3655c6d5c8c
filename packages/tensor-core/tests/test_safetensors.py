"""The safetensors format: its layout, other programs' files, and damaged ones."""

import gzip
import io
import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from safetensors_bytes import VALUES, assert_same, file_of, header_of, saved, tensor_of

import flambeau

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


# --- the format ---


@pytest.mark.parametrize("name", VALUES)
def test_safetensors_files_have_the_documented_layout(name):
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


def test_elements_in_safetensors_files_are_aligned():
    names = ["int8", "float64", "bool", "bfloat16", "int64", "float32", "uint8", "float16"]
    data = saved({name: tensor_of(name) for name in names})
    header, elements = header_of(data)
    start = len(data) - len(elements)
    assert start % 8 == 0
    for name in names:
        assert (start + header[name]["data_offsets"][0]) % tensor_of(name).element_size() == 0


def test_tensors_in_a_structure_are_named_by_their_path():
    header, _ = header_of(saved({"model": {"fc.weight": flambeau.ones(1)}, "steps": [flambeau.ones(1)]}))
    assert list(header) == ["model.fc.weight", "steps.0", "__metadata__"]


@pytest.mark.parametrize(
    "obj", [{"lone \ud800": flambeau.ones(1)}, {"x": {"lone \ud800": [flambeau.ones(1), "\udfff"]}}]
)
def test_names_in_safetensors_files_are_valid_unicode(obj):
    header, _ = header_of(saved(obj))
    assert json.dumps(header, ensure_ascii=False).encode()


@pytest.mark.parametrize("name", VALUES)
def test_the_safetensors_package_reads_files_of_flambeau(name):
    safetensors = pytest.importorskip("safetensors")
    data = saved({"a": tensor_of(name), "b": {"c": tensor_of("int8").reshape(3, 1)}})
    theirs = dict(safetensors.deserialize(data))
    header, elements = header_of(data)
    assert theirs["b.c"]["shape"] == [3, 1]
    assert theirs["a"]["dtype"] == CODES[name]
    begin, end = header["a"]["data_offsets"]
    assert bytes(theirs["a"]["data"]) == elements[begin:end]


@pytest.mark.parametrize("name", sorted(VALUES.keys() - {"bfloat16"}))
def test_flambeau_reads_files_of_the_safetensors_package(name):
    numpy_files = pytest.importorskip("safetensors.numpy")
    arrays = {"a": np.array(VALUES[name], name).reshape(3, 1), "odd": np.array([[1, 2, 3]], np.uint8)}
    loaded = flambeau.load(io.BytesIO(numpy_files.save(arrays, {"format": "np", "note": "theirs"})))
    expected = {"a": tensor_of(name).reshape(3, 1), "odd": flambeau.tensor([[1, 2, 3]], dtype=flambeau.uint8)}
    assert_same({key: loaded[key] for key in sorted(loaded)}, expected)


def test_a_file_with_unaligned_elements_loads():
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


def test_nonzero_bytes_are_true():
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
    "empty": (b"", "neither a PyTorch nor a safetensors file, but an empty file"),
    "short": (b"abc", "neither a PyTorch nor a safetensors file, as it has 3 bytes"),
    "text": (
        b"Lorem ipsum dolor sit amet",
        "neither a PyTorch nor a safetensors file, as its first 8 bytes b'Lorem ip' are not the length of a header",
    ),
    "huge header": ((100_000_001).to_bytes(8, "little") + b"{", r"not the length of a header \(at most 100,000,000\)"),
    "no header": (bytes(16), "neither a PyTorch nor a safetensors file, as there is no header"),
    "other header": (file_of(b"[1, 2]"), "neither a PyTorch nor a safetensors file, as there is no header"),
    "a length like JSON's": (b"{" + bytes(15), "neither a PyTorch nor a safetensors file, as there is no header"),
    "HTML": (b"\n<!DOCTYPE html>\n<html><body>Sign in</body></html>", "but an HTML page: .* download the file again"),
    "HTML in capitals": (b"<HTML><head></head></HTML>", "but an HTML page"),
    "XML": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "but an XML document"),
    "JSON": (b'{"error": "Repository not found"}', "but JSON"),
    "JSON with a byte-order mark": (b'\xef\xbb\xbf{"error": "not found"}', "but JSON"),
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a", "a Git LFS pointer: .*git lfs pull"),
    "pickle": (pickle.dumps({"a": [1, 2, 3]}), "but a pickle: .*pickle.load"),
    "gzip": (gzip.compress(b"weights"), "but a compressed file: decompress it first"),
    "NumPy": (b"\x93NUMPY\x01\x00v\x00", "but a NumPy array: read it with numpy.load"),
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
    "dtype": (
        file_of({"t": entry(dtype="F4")}, b"ab"),
        "tensor 't': unknown dtype 'F4'; expected one of BOOL, U8",
    ),
    "list as dtype": (file_of({"t": entry(dtype=["U8"])}, b"ab"), "tensor 't': unknown dtype"),
    "shape": (file_of({"t": entry(shape=(3,))}, b"ab"), r"shape \[3\] of U8 takes 3 bytes, but .* \[0, 2\] span 2"),
    "backwards": (file_of({"t": entry(shape=(0,), offsets=(2, 0))}, b"ab"), r"\[2, 0\] span -2"),
    "overflow": (file_of({"t": entry("F64", (2**61,), (0, 0))}), "takes 18,446,744,073,709,551,616 bytes"),
    "gap": (
        file_of({"t": entry(offsets=(2, 4))}, b"abcd"),
        r"tensor 't': .* \[2, 4\] leave a gap \(expected start: 0\)",
    ),
    "overlap": (
        file_of({"t": entry(), "u": entry(offsets=(1, 3))}, b"abc"),
        r"tensor 'u': .* \[1, 3\] overlap those before them \(expected start: 2\)",
    ),
    "out of range": (file_of({"t": entry()}, b"a"), "truncated: the header says 2 bytes of tensors but the file has 1"),
    "trailing": (file_of({"t": entry()}, b"abc"), "trailing bytes: the header says 2 bytes .* but the file has 3"),
    "structure": (structured("{"), "the description of the structure is damaged"),
    "structure kind": (structured('{"version":1,"object":{"call":"os.system"}}'), "damaged .*unknown kind 'call'"),
    "structure name": (structured('{"version":1,"object":{"tensor":"u"}}'), "damaged .*KeyError"),
    "structure depth": (structured("[" * 100_000), "damaged .*Recursion"),
    "structure key": (structured('{"version":1,"object":{"items":[[[1],2]]}}'), "damaged .*unhashable"),
    "later structure": (structured('{"version":2}'), "structure has version 2, and this flambeau reads version 1"),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_damaged_safetensors_files_are_rejected(tmp_path, what):
    data, message = DAMAGED[what]
    path = tmp_path / "broken.safetensors"
    path.write_bytes(data)
    with pytest.raises(RuntimeError, match=rf"cannot load '.*broken\.safetensors': .*{message}") as caught:
        flambeau.load(path)
    assert type(caught.value) is RuntimeError
    with pytest.raises(RuntimeError, match=f"cannot load 'BytesIO': .*{message}"):
        flambeau.load(io.BytesIO(data))


def test_loading_a_missing_file_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent"):
        flambeau.load(tmp_path / "absent")


WHOLE = saved({"a": [flambeau.arange(3), True, (0.5,)], "b": flambeau.ones(2, dtype=flambeau.bool)})


@pytest.mark.parametrize("length", range(len(WHOLE)))
def test_every_truncation_of_a_file_is_detected(length):
    with pytest.raises(RuntimeError, match=r"truncated|neither a PyTorch nor a safetensors file"):
        flambeau.load(io.BytesIO(WHOLE[:length]))


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
@settings(max_examples=500, deadline=None)
def test_a_changed_byte_loads_or_raises_runtime_error(position, byte):
    changed = bytearray(WHOLE)
    changed[position] = byte
    try:
        flambeau.load(io.BytesIO(changed))
    except RuntimeError as error:
        assert "cannot load 'BytesIO': " in str(error)  # noqa: PT017
