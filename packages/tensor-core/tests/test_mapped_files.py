"""Tests of memory-mapped files: elements are read on first access, and the file never changes."""

import os
import subprocess
import sys
import textwrap

import pytest

import flambeau as fb
from flambeau import serialization

ENDINGS = ["pt", "safetensors"]
DTYPES = [fb.bool, fb.int8, fb.bfloat16, fb.float32, fb.float64, fb.complex64]


@pytest.fixture(params=ENDINGS)
def path(tmp_path, request):
    return tmp_path / f"x.{request.param}"


@pytest.mark.parametrize("dtype", DTYPES)
def test_mapped_files_have_the_saved_values(path, dtype):
    saved = {"a": fb.tensor([[0, 1], [1, 1]]).to(dtype), "empty": fb.empty(0, 3), "odd": fb.ones(3, dtype=fb.uint8)}
    fb.save(saved, path)
    loaded = fb.load(path, mmap=True)
    assert {name: tensor.tolist() for name, tensor in loaded.items()} == {k: v.tolist() for k, v in saved.items()}
    assert [tensor.dtype for tensor in loaded.values()] == [tensor.dtype for tensor in saved.values()]
    assert loaded["empty"].shape == (0, 3)


def test_writing_to_a_mapped_tensor_changes_a_private_copy(path):
    fb.save({"a": fb.zeros(10_000), "b": fb.ones(10)}, path)
    content = path.read_bytes()
    first, second = fb.load(path, mmap=True), fb.load(path, mmap=True)
    first["a"].fill_(7)
    first["b"].mul_(2)
    assert not second["a"].any()
    assert path.read_bytes() == content
    assert first["a"].sum() == 70_000


def test_mapped_tensors_outlive_the_file_and_each_other(path):
    fb.save({"a": fb.arange(1000), "b": fb.ones(10)}, path)
    loaded = fb.load(path, mmap=True)
    path.unlink()
    part = loaded.pop("a")[10:20]
    del loaded
    assert part.tolist() == list(range(10, 20))


def test_saving_over_a_mapped_file_does_not_change_mapped_tensors(path):
    fb.save({"a": fb.zeros(10_000)}, path)
    loaded = fb.load(path, mmap=True)
    fb.save({"a": fb.ones(10_000)}, path)
    assert not loaded["a"].any()
    loaded = fb.load(path, mmap=True)
    fb.save(loaded, path)  # replaces the file that is mapped
    assert fb.load(path)["a"].all()


def test_mapped_tensors_share_memory_as_the_saved_ones(tmp_path):
    base = fb.arange(6)
    fb.save([base, base[2:]], tmp_path / "x.pt")
    loaded, part = fb.load(tmp_path / "x.pt", mmap=True)
    loaded.zero_()
    assert not part.any()


MEASURE = """
    import sys, flambeau

    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096

    flambeau.save({"a": flambeau.ones(2)}, sys.argv[2])
    flambeau.load(sys.argv[2], mmap=True)["a"].sum()  # everything that is imported is
    before = resident()
    state = flambeau.load(sys.argv[1], mmap=True)
    print(resident() - before)
    state["a"][:1000].sum()
    print(resident() - before)
    state["a"].sum()
    print(resident() - before)
"""


def test_a_mapped_file_is_not_read_before_it_is_used(path, tmp_path):
    size = 64 << 20
    fb.save({"a": fb.ones(size // 4)}, path)
    command = [sys.executable, "-c", textwrap.dedent(MEASURE), str(path), str(tmp_path / f"small{path.suffix}")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    loaded, touched, whole = map(int, result.stdout.split())
    assert loaded < size / 16
    assert touched < size / 4  # some pages are read ahead by the system
    assert whole > size * 0.9


def test_older_files_of_pytorch_cannot_be_mapped(tmp_path):
    path = tmp_path / "old.pt"
    path.write_bytes(bytes.fromhex("80028a0a6cfc9c46f9206aa850192e"))
    with pytest.raises(RuntimeError, match=r"mmap=True requires the zip format of PyTorch 1\.6"):
        fb.load(path, mmap=True)


# --- safe_open ---


def test_safe_open_reads_tensors_by_name(tmp_path):
    path = tmp_path / "x.safetensors"
    fb.save({"narrow": fb.ones(3, dtype=fb.int8), "wide": fb.arange(12.0).reshape(3, 4)}, path)
    with serialization.safe_open(path, framework="pt", device="cpu") as file:
        assert file.keys() == ["narrow", "wide"]
        assert file.offset_keys() == ["wide", "narrow"]
        assert file.metadata() == {"format": "pt"}
        part = file.get_slice("wide")
        assert (part.get_shape(), part.get_dtype()) == ([3, 4], "F32")
        assert part[1:, ::2].tolist() == [[4, 6], [8, 10]]
        tensor = file.get_tensor("wide")
        with pytest.raises(KeyError, match=r"the file has no tensor 'other'; it has \['narrow', 'wide'\]"):
            file.get_tensor("other")
    assert tensor.sum() == 66


def test_safe_open_rejects_other_files(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"")
    with pytest.raises(RuntimeError, match=r"cannot load '.*': neither a PyTorch nor a safetensors file, but an empty"):
        serialization.safe_open(path)
    with pytest.raises(FileNotFoundError):
        serialization.safe_open(tmp_path / "absent")


def test_mapped_files_may_contain_unaligned_elements(tmp_path):
    header = (
        b'{"x":{"dtype":"F32","shape":[2],"data_offsets":[1,9]},"y":{"dtype":"I8","shape":[],"data_offsets":[0,1]}}'
    )
    path = tmp_path / "x.safetensors"
    content = fb.tensor([1.5, -2.0]).numpy().tobytes()
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\xff" + content)
    loaded = fb.load(path, mmap=True)
    assert loaded["x"].tolist() == [1.5, -2.0]
    assert loaded["y"].item() == -1


# --- files that contain only elements ---


@pytest.mark.parametrize("dtype", [fb.uint8, fb.bfloat16, fb.float64])
def test_from_file_maps_a_file_shared_or_private(tmp_path, dtype):
    path = tmp_path / "x"
    shared = fb.from_file(path, shared=True, size=5, dtype=dtype)
    assert path.stat().st_size == 5 * dtype.itemsize
    shared.fill_(3)
    private = fb.from_file(str(path), size=4, dtype=dtype)
    assert private.tolist() == [3, 3, 3, 3]
    private.zero_()
    assert fb.from_file(path, shared=False, size=5, dtype=dtype).tolist() == [3, 3, 3, 3, 3]
    assert fb.UntypedStorage.from_file(path, nbytes=3).nbytes() == 3
    assert fb.from_file(path).shape == (0,)


def test_from_file_takes_the_options_of_factories(tmp_path):
    (tmp_path / "x").write_bytes(bytes(8))
    assert fb.from_file(tmp_path / "x", size=2, layout=fb.strided, device="cpu").tolist() == [0, 0]
    with pytest.raises(NotImplementedError, match="dense tensors on the CPU, got layout=None, device=meta"):
        fb.from_file(tmp_path / "x", size=2, device="meta")


def test_from_file_rejects_short_and_missing_files(tmp_path):
    (tmp_path / "x").write_bytes(bytes(7))
    with pytest.raises(
        RuntimeError, match=r"from_file: 2 elements of flambeau\.float32 take 8 bytes, but '.*' has only 7"
    ):
        fb.from_file(tmp_path / "x", size=2)
    with pytest.raises(FileNotFoundError):
        fb.from_file(tmp_path / "absent", size=2)
    with pytest.raises(ValueError, match="from_file: size must not be negative, got -1"):
        fb.from_file(tmp_path / "x", size=-1)
    assert (tmp_path / "x").read_bytes() == bytes(7)


def test_mapping_a_file_closes_its_descriptor(path):
    fb.save({"a": fb.ones(10)}, path)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        fb.load(path, mmap=True)
    assert len(os.listdir("/proc/self/fd")) == before


def test_an_empty_shared_tensor_creates_no_file(tmp_path):
    assert fb.from_file(tmp_path / "a", shared=True, size=0).shape == (0,) and not (tmp_path / "a").exists()
    with pytest.raises(FileNotFoundError):
        fb.from_file(tmp_path / "a", size=0)


def test_a_storage_knows_its_shared_file(tmp_path):
    path = tmp_path / "a"
    assert fb.UntypedStorage.from_file(path, True, 8).filename == str(path)
    assert fb.UntypedStorage.from_file(path, False, 8).filename is None
    assert fb.ones(2).untyped_storage().filename is None
