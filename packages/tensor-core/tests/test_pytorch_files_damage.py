"""Tests of PyTorch files that are damaged, truncated or changed, or that contain unsupported objects."""

import pickle
import struct
import zipfile

import pytest
from hypothesis import given, settings, strategies as st
from pytorch_bytes import THEIRS, archive_of, entries_of, file_of, load, saved

import flambeau as fb


def storage_program(
    numel=b"K\x02", key=b"X\x01\0\0\x000", kind=b"ctorch\nFloatStorage\n", view=b"K\x00K\x02\x85K\x01\x85"
):
    """Return the pickle of one tensor: the parts of the storage's name, then offset, size and stride."""
    name = b"(X\x07\0\0\0storage" + kind + key + b"X\x03\0\0\0cpu" + numel + b"tQ"
    return b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + name + view + b"\x89NtR."


def large(number):
    return b"\x8a\x09" + number.to_bytes(9, "little", signed=True)


BAD_TENSORS = {
    "fewer bytes": (storage_program(numel=b"K\x03"), "has 8 bytes, but its storage should have 12"),
    "huge": (storage_program(numel=large(2**59)), "its storage should have 2,305,843,009,213,693,952"),
    "beyond 64 bits": (storage_program(numel=large(2**62)), "a storage of 4611686018427387904 elements"),
    "negative": (storage_program(numel=large(-1)), "a storage of -1 elements"),
    "no number": (storage_program(numel=b"N"), "a storage of None elements"),
    "no entry": (storage_program(key=b"X\x01\0\0\x009"), "no entry 'data/9'"),
    "no key": (storage_program(key=b"K\x00"), "is not a valid reference to a storage"),
    "no type": (storage_program(kind=b"ctorch\nfloat32\n"), "is not a valid reference to a storage"),
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
        "a tensor has int instead of a storage",
    ),
    "no dtype": (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v3\n((X\x07\0\0\0storagectorch.storage\nUntypedStorage\nX\x01\0\0\x000"
        b"X\x03\0\0\0cpuK\x04tQK\x00K\x01\x85K\x01\x85\x89NK\x07tR.",
        "a tensor has 7 instead of a dtype",
    ),
}


@pytest.mark.parametrize("what", BAD_TENSORS)
def test_tensors_with_invalid_metadata_are_rejected(what):
    program, message = BAD_TENSORS[what]
    with pytest.raises(RuntimeError, match=f"cannot load 'BytesIO': .*{message}"):
        load(file_of(program, **{"data/0": bytes(8)}))


def test_a_valid_tensor_loads():
    assert load(file_of(storage_program(), **{"data/0": struct.pack("<2f", 1, 2)})).tolist() == [1, 2]


def test_nonzero_bytes_are_true():
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
def test_damaged_pickles_are_rejected(what):
    with pytest.raises(RuntimeError, match="cannot load 'BytesIO': "):
        load(file_of(BAD_PICKLES[what]))


def test_deeply_nested_structures_do_not_overflow_the_stack():
    loaded = load(file_of(b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."))
    depth = 0
    while loaded:
        (loaded,) = loaded
        depth += 1
    assert depth == 99_999


UNSUPPORTED = {
    "quantized": (b"\x80\x02ctorch._utils\n_rebuild_qtensor\n)R.", "quantized tensors"),
    "nested": (b"\x80\x02ctorch._utils\n_rebuild_nested_tensor\n)R.", "nested tensors"),
    "layout": (b"\x80\x02ctorch.serialization\n_get_layout\nX\x05\0\0\0torch\x85R.", "layout 'torch'"),
    "dtype": (b"\x80\x02ctorch\nfloat4_e2m1fn_x2\n.", "torch.float4_e2m1fn_x2, which flambeau does not have"),
    "storage": (b"\x80\x02ctorch\nQInt8Storage\n.", "torch.QInt8Storage, which flambeau does not have"),
}


@pytest.mark.parametrize("what", UNSUPPORTED)
def test_unsupported_types_in_pickles_raise(what):
    program, message = UNSUPPORTED[what]
    with pytest.raises(NotImplementedError, match=message):
        load(file_of(program))


def test_other_archives_are_rejected():
    with pytest.raises(RuntimeError, match=r"zip archive without the entry 'data\.pkl'"):
        load(archive_of({"a.npy": b""}))
    with pytest.raises(RuntimeError, match="Cannot use ``weights_only=True`` with TorchScript archives"):
        load(archive_of({"data.pkl": b"N.", "constants.pkl": b"N."}))
    with pytest.raises(RuntimeError, match=r"entry 'data\.pkl' is compressed or encrypted"):
        load(archive_of({"data.pkl": b"N." + bytes(10**7)}, compression=zipfile.ZIP_DEFLATED))


def test_entries_with_wrong_offsets_are_rejected():
    data = bytearray(saved([fb.ones(2)]))
    directory = data.rindex(b"PK\1\2", 0, data.rindex(b"archive/data/0"))
    data[directory + 42 : directory + 46] = struct.pack("<L", len(data) - 3)
    with pytest.raises(RuntimeError, match="lies outside of the file"):
        load(bytes(data))
    data[directory + 42 : directory + 46] = struct.pack("<L", 7)
    with pytest.raises(RuntimeError, match="does not start where the archive's directory says"):
        load(bytes(data))


WHOLE = saved({"a": [fb.arange(3), fb.ones(2, 2).t(), True], "b": fb.ones(2, dtype=fb.bool), "c": fb.Size([1])})
EVERY = {"ours": WHOLE, "archive": THEIRS["archive"], "legacy": THEIRS["legacy"]}
FAILURES = (RuntimeError, pickle.UnpicklingError)


@pytest.mark.parametrize("length", [0, 1, 4, 30, 100, 500, 1000, len(WHOLE) - 30, len(WHOLE) - 1])
def test_truncated_files_are_rejected(tmp_path, length):
    path = tmp_path / "x.pt"
    path.write_bytes(WHOLE[:length])
    for mapped in (False, True):
        with pytest.raises(RuntimeError, match=r"cannot load '.*x\.pt': "):
            fb.load(path, mmap=mapped)


@pytest.mark.parametrize("which", ["ours", "legacy"])
def test_damage_in_trusted_files_raises(which):
    data = EVERY[which]
    start = data.index(b"q\x00")
    with pytest.raises(RuntimeError, match=r"cannot load 'BytesIO': .*pickle"):
        load(data[:start] + b"\xff\xff" + data[start + 2 :], weights_only=False, check_crc32=False)
    program = b"\x80\x02cnowhere\nname\n."
    with pytest.raises(
        RuntimeError, match="refers to a module or name that cannot be imported: No module named 'nowhere'"
    ):
        load(file_of(program), weights_only=False)


@pytest.mark.parametrize("length", range(0, len(EVERY["legacy"]), 97))
def test_truncated_files_of_the_legacy_format_are_rejected(length):
    with pytest.raises(FAILURES, match="cannot load 'BytesIO': "):
        load(EVERY["legacy"][:length])


@given(
    st.sampled_from(sorted(EVERY)),
    st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), min_size=1, max_size=4),
)
@settings(max_examples=600, deadline=None)
def test_changed_bytes_load_or_raise_a_clear_error(which, changes):
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
def test_changed_pickles_load_or_raise_a_clear_error(changes):
    program = bytearray(PROGRAM)
    for position, inserted, removed in changes:
        program[position : position + removed] = inserted
    try:
        loaded = load(archive_of({**entries_of(WHOLE), "data.pkl": bytes(program)}))
    except FAILURES as error:
        assert "cannot load 'BytesIO': " in str(error)  # noqa: PT017
    else:
        repr(loaded)
