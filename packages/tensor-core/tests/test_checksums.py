"""Tests that checksums detect damage that leaves a file readable."""

import io
import json
import pickle
import zlib

import numpy as np
import pytest
from pytorch_bytes import THEIRS
from safetensors_bytes import header_of

import flambeau as fb
from flambeau import _core, serialization

NESTED = {"a": [fb.arange(3), True, (0.5,)], "b": fb.tensor([True, False]), "empty": fb.zeros(0, 2)}


def saved(obj, format):
    buffer = io.BytesIO()
    fb.save(obj, buffer, format=format)
    return buffer.getvalue()


def flipped(data, position, bit=0):
    changed = bytearray(data)
    changed[position] ^= 1 << bit
    return bytes(changed)


@pytest.mark.parametrize("size", [0, 1, 7, 8, 63, 64, 65, 127, 128, 1000, 4099])
@pytest.mark.parametrize("offset", [0, 1, 5])
def test_crc32_equals_zlib(size, offset):
    data = np.random.default_rng(size).integers(0, 256, size + offset, dtype=np.uint8).tobytes()[offset:]
    assert _core._crc32(data) == zlib.crc32(data)
    assert _core._crc32(data[size // 3 :], _core._crc32(data[: size // 3])) == zlib.crc32(data)


def test_crc32_accepts_buffers():
    assert _core._crc32(memoryview(bytearray(b"abc"))) == _core._crc32(data=b"abc", start=0) == zlib.crc32(b"abc")
    with pytest.raises(TypeError, match="bytes-like object"):
        _core._crc32("abc")


@pytest.mark.parametrize("format", ["pt", "safetensors"])
def test_a_flipped_bit_is_detected(format):
    data, failures = saved(NESTED, format), (RuntimeError, NotImplementedError, pickle.UnpicklingError)
    noticed = 0
    for position in range(len(data)):
        try:
            loaded = fb.load(io.BytesIO(flipped(data, position, position % 8)))
        except failures:
            noticed += 1
        else:
            assert repr(loaded) == repr(NESTED), position
    assert noticed > len(data) / 5


@pytest.mark.parametrize("format", ["pt", "safetensors"])
def test_a_checksum_error_names_the_entry_and_the_option_to_skip_it(tmp_path, format):
    weight = fb.arange(100_000.0)
    path = tmp_path / "weights"
    fb.save({"bias": fb.ones(2), "weight": weight}, path, format=format)
    data = path.read_bytes()
    path.write_bytes(flipped(data, data.index(weight[50_000:50_004].numpy().tobytes()), 3))
    place = "its entry 'data/1'" if format == "pt" else "tensor 'weight'"
    with pytest.raises(RuntimeError, match=f"cannot load '.*weights': damaged: {place} has the checksum"):
        fb.load(path)
    for options in ({"check_crc32": False}, {"mmap": True}):
        changed = (fb.load(path, **options)["weight"] != weight).nonzero()
        assert changed.tolist() == [[50_000]]


def test_checksums_of_a_mapped_file_are_checked_when_it_is_read(tmp_path):
    path = tmp_path / "weights.pt"
    fb.save({"weight": fb.ones(2), "name": "fc"}, path)
    data = path.read_bytes()
    path.write_bytes(flipped(data, data.index(b"fc")))
    with pytest.raises(RuntimeError, match=r"its entry 'data\.pkl' has the checksum"):
        fb.load(path, mmap=True)
    assert fb.load(path, mmap=True, check_crc32=False)["name"] == "gc"


ARCHIVES = [name for name, data in THEIRS.items() if data.startswith(b"PK")]


@pytest.mark.parametrize("name", ARCHIVES)
def test_checksums_written_by_pytorch_are_checked(name):
    data = THEIRS[name]
    start = data.index(b"\x80\x02")
    with pytest.raises(RuntimeError, match=r"its entry 'data\.pkl' has the checksum"):
        fb.load(io.BytesIO(flipped(data, start + 5)))


@pytest.mark.parametrize("format", ["pt", "safetensors"])
def test_files_without_checksums_load(format):
    serialization.set_crc32_options(False)
    try:
        data = saved({"a": fb.arange(3)}, format)
    finally:
        serialization.set_crc32_options(True)
    assert len(data) <= len(saved({"a": fb.arange(3)}, format))
    changed = flipped(data, data.index(fb.arange(3).numpy().tobytes()))
    assert fb.load(io.BytesIO(changed))["a"].tolist() == [1, 1, 2]


def test_checksums_copied_by_another_program_are_ignored():
    header, elements = header_of(saved({"a": fb.arange(3)}, "safetensors"))
    metadata = header.pop("__metadata__")
    copied = json.dumps({"__metadata__": metadata, **header}).encode()
    data = len(copied).to_bytes(8, "little") + copied + flipped(elements, 0)
    assert fb.load(io.BytesIO(data))["a"].tolist() == [1, 1, 2]


def test_checksums_are_hidden_from_metadata(tmp_path):
    fb.save({"a": fb.arange(3)}, tmp_path / "x.safetensors")
    assert serialization.safe_open(tmp_path / "x.safetensors").metadata() == {"format": "pt"}
