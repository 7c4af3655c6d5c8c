"""Tests of GPU memory that is shared with other libraries, in both directions and without copies."""

import pytest

import flambeau as fb


class Array:
    """Array of another library, with the CUDA array interface of a tensor."""

    def __init__(self, tensor, **changes):
        self.tensor = tensor
        self.__cuda_array_interface__ = {**tensor.__cuda_array_interface__, **changes}


class Exporter:
    def __init__(self, tensor):
        self.tensor, self.streams = tensor, []

    def __dlpack_device__(self):
        return self.tensor.__dlpack_device__()

    def __dlpack__(self, stream=None, max_version=None):
        self.streams.append(stream)
        return self.tensor.__dlpack__(stream=stream, max_version=max_version)


def test_cuda_array_interface_describes_the_memory_of_a_gpu_tensor():
    x = fb.arange(12, dtype=fb.float32, device="cuda").reshape(3, 4)
    shown = x.t().__cuda_array_interface__
    assert shown["shape"] == (4, 3) and shown["strides"] == (4, 16) and shown["typestr"] == "<f4"
    assert shown["data"] == (x.data_ptr(), False) and shown["version"] == 3 and shown["stream"] == 1
    assert x.__cuda_array_interface__["strides"] is None
    assert not hasattr(fb.ones(3), "__cuda_array_interface__")


@pytest.mark.parametrize("make", [fb.as_tensor, fb.asarray])
def test_arrays_of_other_libraries_become_tensors(make):
    x = fb.arange(12, dtype=fb.float32, device="cuda").reshape(3, 4)
    y = make(Array(x.t()))
    assert y.data_ptr() == x.data_ptr() and y.shape == (4, 3) and y.is_cuda
    y[0, 1] = 50
    assert x[1, 0].item() == 50
    assert fb.equal(fb.tensor(Array(x)), x) and fb.tensor(Array(x)).data_ptr() != x.data_ptr()


def test_unsupported_cuda_arrays_are_rejected():
    x = fb.arange(12, dtype=fb.float32, device="cuda")
    with pytest.raises(TypeError, match="'<f3'"):
        fb.as_tensor(Array(x, typestr="<f3"))
    with pytest.raises(TypeError, match="mask"):
        fb.as_tensor(Array(x, mask=x))
    with pytest.raises(ValueError, match="multiples"):
        fb.as_tensor(Array(x, strides=(6,)))
    with pytest.raises(ValueError, match="not memory of a GPU"):
        fb.as_tensor(Array(x, data=(fb.ones(3).data_ptr(), False)))


def test_dlpack_shares_gpu_memory_and_rejects_other_devices():
    x = fb.arange(6, device="cuda").reshape(2, 3)
    assert x.__dlpack_device__() == (2, 0)
    exporter = Exporter(x)
    y = fb.from_dlpack(exporter)
    assert y.data_ptr() == x.data_ptr() and y.device == x.device and fb.equal(y, x) and exporter.streams == [1]
    assert fb.equal(fb.from_dlpack(x.__dlpack__(dl_device=(1, 0))), x.cpu())
    with pytest.raises(BufferError, match="not on the device"):
        x.__dlpack__(dl_device=(2, 1))
    with pytest.raises(BufferError, match="not on the device"):
        fb.ones(3).__dlpack__(dl_device=(2, 0))
