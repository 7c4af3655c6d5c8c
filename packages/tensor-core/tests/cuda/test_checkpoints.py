"""Tests of files and pickles of tensors on a GPU."""

import copy
import io
import pickle

import pytest

import flambeau as fb

DTYPES = [fb.float32, fb.float64, fb.float16, fb.bfloat16, fb.int64, fb.uint8, fb.bool, fb.uint16, fb.complex128]


@pytest.fixture(params=["pt", "safetensors"])
def path(request, tmp_path):
    return tmp_path / f"file.{request.param}"


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_gpu_tensors_of_every_dtype_can_be_saved_and_loaded(dtype, path):
    x = (fb.arange(6.0) - 2).to(dtype).reshape(2, 3)
    fb.save({"x": x.cuda().t(), "plain": 3}, path)
    on_cpu, on_gpu = fb.load(path, map_location="cpu"), fb.load(path, map_location="cuda")
    assert on_cpu["x"].device.type == "cpu" and fb.equal(on_cpu["x"], x.t())
    assert on_gpu["x"].device == fb.device("cuda:0") and fb.equal(on_gpu["x"].cpu(), x.t())
    assert on_gpu["plain"] == 3
    assert fb.load(path)["x"].is_cuda == (path.suffix == ".pt")  # the other format does not store devices


def test_files_without_a_suffix_keep_the_device(tmp_path):
    fb.save({"x": fb.ones(2, device="cuda")}, tmp_path / "file")
    assert fb.load(tmp_path / "file")["x"].is_cuda


def test_loaded_gpu_tensors_share_memory_as_the_saved_ones(tmp_path):
    x = fb.arange(6.0, device="cuda")
    fb.save([x, x[2:4], x.view(2, 3).t()], tmp_path / "file.pt")
    for target in (None, "cuda", "cpu", lambda storage, location: storage.cuda()):
        whole, part, view = fb.load(tmp_path / "file.pt", map_location=target)
        assert whole.is_cuda == (target != "cpu") and view.stride() == (1, 3)
        whole[2] = 7
        assert part[0].item() == view[2, 0].item() == 7


def test_map_location_selects_the_device_of_loaded_tensors(tmp_path):
    fb.save([fb.ones(2, device="cuda"), fb.zeros(2)], tmp_path / "file.pt")
    seen = []

    def stay(storage, location):
        seen.append((location, storage.device.type))

    assert [x.is_cuda for x in fb.load(tmp_path / "file.pt", map_location=stay)] == [True, False]
    assert seen == [("cuda:0", "cpu"), ("cpu", "cpu")]
    swapped = fb.load(tmp_path / "file.pt", map_location={"cuda:0": "cpu", "cpu": "cuda:0"})
    assert [x.is_cuda for x in swapped] == [False, True]
    assert [x.is_meta for x in fb.load(tmp_path / "file.pt", map_location="meta")] == [True, True]
    with pytest.raises(RuntimeError, match="tensors on the device 'cuda:77', which is not available"):
        fb.load(tmp_path / "file.pt", map_location="cuda:77")


def test_mapped_files_can_be_loaded_to_the_gpu(path):
    fb.save({"x": fb.arange(5.0)}, path)
    assert fb.load(path, map_location="cuda", mmap=True)["x"].tolist() == [0, 1, 2, 3, 4]


def test_parts_of_safetensors_files_load_onto_a_gpu(tmp_path):
    fb.save({"x": fb.arange(5.0)}, tmp_path / "file.safetensors")
    with fb.serialization.safe_open(tmp_path / "file.safetensors", device="cuda") as file:
        assert file.get_tensor("x").is_cuda and file.get_slice("x")[1:3].tolist() == [1, 2]


@pytest.mark.parametrize("default", ["cuda", "meta"])
def test_the_default_device_does_not_affect_loading(default, path):
    fb.save({"x": fb.arange(5.0)}, path)
    with fb.device(default):
        loaded = fb.load(path)["x"]
    assert loaded.device.type == "cpu" and loaded.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_gpu_tensors_can_be_pickled(dtype):
    x = fb.arange(6.0).to(dtype).reshape(2, 3).cuda()
    x.name_of_mine = "attribute"
    for protocol in range(2, 6):
        y = pickle.loads(pickle.dumps(x, protocol))
        assert y.device == x.device and y.dtype is dtype and fb.equal(y.cpu(), x.cpu())
        assert y.name_of_mine == "attribute"
    same = copy.deepcopy(x)
    assert same.is_cuda and fb.equal(same.cpu(), x.cpu()) and same.data_ptr() != x.data_ptr()


def test_a_gpu_tensor_sent_to_another_process_is_copied():
    from flambeau.multiprocessing.reductions import reduce_tensor

    x = fb.arange(3.0, device="cuda")
    assert x.is_shared() and x.share_memory_() is x
    function, arguments = reduce_tensor(x)
    assert function(*arguments).is_cuda and function(*arguments).tolist() == [0, 1, 2]


def test_files_of_pytorch_before_1_6_load_onto_a_gpu():
    buffer = io.BytesIO(legacy_file())
    expected = fb.load(buffer)
    buffer.seek(0)
    loaded = fb.load(buffer, map_location="cuda")
    assert loaded["x"].is_cuda and loaded["x"].tolist() == expected["x"].tolist() == [1.0, 2.0, 3.0]


def legacy_file():
    """Return the bytes of torch.save({"x": tensor([1, 2, 3])}, _use_new_zipfile_serialization=False)."""
    import struct

    def text(value):
        encoded = value.encode()
        return b"X" + struct.pack("<I", len(encoded)) + encoded

    magic = b"\x80\x02\x8a\x0a" + (0x1950A86A20F9469CFC6C).to_bytes(10, "little") + b"."
    protocol = b"\x80\x02M\xe9\x03."
    system = pickle.dumps({"protocol_version": 1001, "little_endian": True, "type_sizes": {}}, 2)
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + b"K\x03Nt"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"QK\x00K\x03\x85K\x01\x85\x89"
    tensor += b"ccollections\nOrderedDict\n)RtR"
    content = b"\x80\x02}" + text("x") + tensor + b"s."
    return magic + protocol + system + content + pickle.dumps(["0"], 2) + struct.pack("<q3f", 3, 1, 2, 3)
