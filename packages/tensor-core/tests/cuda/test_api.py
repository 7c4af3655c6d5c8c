"""Tests of the public functions of flambeau.cuda: devices, random numbers, tensor types, profilers, reports."""

import os
import pickle
import subprocess
import sys
import uuid

import pytest

import flambeau as fb
from flambeau import cuda
from flambeau.testing import assert_close


def run(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_device_properties_describe_the_gpu():
    assert cuda.is_available() and cuda.is_initialized() and cuda.device_count() >= 1
    known = cuda.get_device_properties()
    assert cuda.get_device_name() == cuda.get_device_name("cuda:0") == known.name
    assert cuda.get_device_capability(0) == (known.major, known.minor) >= (7, 5)
    assert known.total_memory > 0 and known.warp_size == 32 and known.multi_processor_count > 0
    assert known.regs_per_multiprocessor >= 65536
    assert isinstance(known.uuid, uuid.UUID) and known == cuda.get_device_properties(fb.device("cuda"))
    assert repr(known).startswith(f"_CudaDeviceProperties(name='{known.name}', major={known.major}, ")
    assert f"total_memory={known.total_memory // 2**20}MB" in repr(known)
    assert "sm_75" in cuda.get_arch_list() and "code=sm_75" in cuda.get_gencode_flags()
    assert cuda.is_bf16_supported() and cuda.is_tf32_supported() == (known.major >= 8)
    assert fb.version.cuda.partition(".")[0].isdecimal()
    assert fb.backends.cuda.is_built()


def test_lazy_calls_run_when_the_gpu_is_initialised():
    calls = []
    cuda._lazy_call(lambda: calls.append("called"))
    assert calls == ["called"]


def test_functions_accept_device_arguments():
    assert cuda.current_device() == 0
    cuda.set_device("cuda:0")
    cuda.set_device(-1)
    with cuda.device(None), cuda.device(0), cuda.device("cuda"), cuda.device_of(fb.ones(1)):
        assert cuda.current_device() == 0
    with cuda.device_of(fb.ones(1, device="cuda").untyped_storage()) as chosen:
        assert chosen.idx == 0
    for function in (cuda.set_device, cuda.get_device_name, cuda.synchronize, cuda.memory_allocated, cuda.Stream):
        with pytest.raises(RuntimeError, match=f"there is no GPU 99, the number of GPUs is {cuda.device_count()}"):
            function(99)
        with pytest.raises(ValueError, match="Expected a cuda device, but got: cpu"):
            function("cpu")
    assert not cuda.can_device_access_peer(0, 0)


@pytest.mark.skipif("FLAMBEAU_CUDA_DRIVER" not in os.environ, reason="needs two emulated GPUs")
def test_functions_select_one_of_two_gpus(tmp_path):
    code = """
import flambeau as fb
from flambeau import cuda
assert cuda.device_count() == 2
x = fb.arange(3.0, device="cuda:1")
with cuda.device(1) as chosen:
    assert cuda.current_device() == 1 and fb.ones(1, device="cuda").device.index == 1
    side = cuda.Stream()
assert cuda.current_device() == 0 and chosen.prev_idx == 0
assert side.device == fb.device("cuda:1") and cuda.current_stream(1) == cuda.default_stream(1)
with cuda.stream(side):
    assert cuda.current_device() == 1 and cuda.current_stream() == side and cuda.current_stream(0) != side
    y = x + 1
assert cuda.current_device() == 0 and cuda.current_stream(1).cuda_stream == 0
side.synchronize()
with cuda.device_of(x):
    assert cuda.current_device() == 1
event = cuda.Event()
event.record(side)
try:
    event.record(cuda.current_stream(0))
except RuntimeError as error:
    assert "does not match" in str(error)
assert cuda.memory_allocated(1) > 0 == cuda.memory_allocated(0)
assert x.get_device() == 1 and x.cuda(0).get_device() == 0 and x.cuda().tolist() == [0, 1, 2]
fb.accelerator.set_device_index(1)
with fb.accelerator.device_index(0):
    assert fb.accelerator.current_device_index() == 0
assert fb.accelerator.current_device_index() == 1
fb.save([x], "PATH")
assert fb.load("PATH")[0].device == x.device
assert fb.load("PATH", map_location={"cuda:1": "cuda:0"})[0].device == fb.device("cuda:0")
"""
    path = str(tmp_path / "two.pt")
    run(code.replace("PATH", path), FLAMBEAU_EMULATED_DEVICES="2")
    with pytest.raises(AssertionError, match="tensors on the device 'cuda:1', which is not available"):
        run(f"import flambeau; flambeau.load({path!r})", FLAMBEAU_EMULATED_DEVICES="1")


def test_profiler_start_and_stop_call_the_driver(monkeypatch):
    calls = []

    class Driver:
        def cuProfilerStart(self):
            calls.append("start")
            return 0

        def cuProfilerStop(self):
            calls.append("stop")
            return 0

    from flambeau.cuda import _runtime

    monkeypatch.setattr(_runtime, "_driver", Driver)
    with pytest.raises(ZeroDivisionError), cuda.profiler.profile():
        _ = 1 // 0
    cuda.cudart().cudaProfilerStart()
    assert calls == ["start", "stop", "start"]
    free, total = cuda.cudart().cudaMemGetInfo(0)
    assert 0 < free <= total == cuda.mem_get_info()[1]
    monkeypatch.undo()
    cuda.check_error(cuda.cudaStatus.SUCCESS)
    with pytest.raises(cuda.CudaError, match=r"out of memory \(2\)"):
        cuda.check_error(2)


def test_cuda_tensor_types_create_and_recognise_tensors():
    x = cuda.FloatTensor([1, 2])
    assert x.is_cuda and isinstance(x, cuda.FloatTensor) and not isinstance(x, fb.FloatTensor)
    assert cuda.LongTensor(2, 3).dtype is fb.int64 and x.type() == "flambeau.cuda.FloatTensor"


def test_random_numbers_equal_those_of_the_cpu():
    cuda.manual_seed(7)
    drawn = fb.rand(5, device="cuda")
    fb.manual_seed(7)
    assert fb.equal(fb.rand(5), drawn.cpu()) and cuda.initial_seed() == 7
    state, states = cuda.get_rng_state(), cuda.get_rng_state_all()
    expected = fb.randn(3, device="cuda")
    cuda.set_rng_state(state)
    assert fb.equal(fb.randn(3, device="cuda"), expected) and len(states) == cuda.device_count()
    cuda.set_rng_state_all(states)
    assert fb.equal(fb.randn(3, device="cuda"), expected)
    cuda.seed_all()
    assert cuda.default_generators == (fb.default_generator,) * cuda.device_count()
    with fb.random.fork_rng(devices=[0]):
        drawn = fb.rand(2, device="cuda")
    assert fb.equal(fb.rand(2, device="cuda"), drawn)


def test_calls_of_operators_that_run_on_the_host_are_counted(without_cupy):
    cuda.reset_host_calls()
    assert cuda.host_calls() == {}
    x = fb.eye(3, device="cuda")
    fb.linalg.eigvals(x), fb.linalg.eigvals(x)
    assert cuda.host_calls() == {"eigvals": 2}
    cuda.reset_host_calls()


def test_torch_accelerator_is_the_gpu():
    accelerator = fb.accelerator
    assert accelerator.is_available() and accelerator.current_accelerator(check_available=True) == fb.device("cuda")
    assert accelerator.device_count() == cuda.device_count() and accelerator.current_device_index() == 0
    assert accelerator.current_stream() == cuda.current_stream() and fb.get_device_module() is cuda
    accelerator.set_stream(cuda.default_stream())
    accelerator.synchronize()
    accelerator.empty_cache()
    accelerator.reset_peak_memory_stats()
    free, total = accelerator.get_memory_info()
    assert 0 < free <= total == cuda.mem_get_info()[1]  # other processes may change the free memory
    assert accelerator.memory_stats().keys() == cuda.memory_stats().keys()
    assert accelerator.memory_allocated() <= accelerator.max_memory_allocated()
    assert accelerator.memory_reserved() <= accelerator.max_memory_reserved()
    assert fb.bfloat16 in accelerator.get_device_capability()["supported_dtypes"]


def test_generators_know_their_device():
    there, here = fb.Generator(device="cuda"), fb.Generator()
    assert there.device == fb.device("cuda", 0) and here.device == fb.device("cpu")
    assert there.clone_state().device == pickle.loads(pickle.dumps(there)).device == there.device
    there.manual_seed(5), here.manual_seed(5)
    drawn = fb.rand(3, generator=there, device="cuda")
    assert fb.equal(drawn.cpu(), fb.rand(3, generator=here)) and there.get_offset() == here.get_offset()


def test_legacy_tensor_types_recognise_and_convert_gpu_tensors():
    x = cuda.FloatTensor([1, 2])
    assert x.is_cuda and x.type() == "flambeau.cuda.FloatTensor" and fb.typename(x) == x.type()
    assert isinstance(x, cuda.FloatTensor) and not isinstance(x, fb.FloatTensor)
    assert not isinstance(x.cpu(), cuda.FloatTensor) and repr(cuda.LongTensor) == "<class 'flambeau.cuda.LongTensor'>"
    assert x.type(fb.LongTensor).device.type == "cpu" and x.type(fb.int64).is_cuda
    assert fb.ones(2).type("flambeau.cuda.DoubleTensor").dtype is fb.float64
    fb.set_default_tensor_type("flambeau.cuda.DoubleTensor")
    try:
        assert fb.zeros(2).is_cuda and fb.zeros(2).dtype is fb.float64
    finally:
        fb.set_default_tensor_type(fb.FloatTensor)
    assert not fb.zeros(2).is_cuda and fb.zeros(2).dtype is fb.float32


def test_nvtx_ranges_return_their_depth():
    nvtx = cuda.nvtx
    assert nvtx.range_push("outer") == 0
    with nvtx.range("step {}", 3):
        assert nvtx.range_push("inner") == 2 and nvtx.range_pop() == 2
    assert nvtx.range_pop() == 0 and nvtx.range_pop() == -1
    nvtx.range_end(nvtx.range_start("x"))
    nvtx.mark("here")


def test_the_environment_report_names_the_gpu_driver_and_compiler():
    output = run("import runpy; runpy.run_module('flambeau.cuda', run_name='__main__')")
    lines = dict(line.split(maxsplit=1) for line in output.replace("GPU 0", "GPU").splitlines())
    assert cuda.get_device_name() in lines["GPU"] and lines["driver"].startswith("for CUDA 1")
    assert lines["compiler"].startswith("NVRTC ") and lines["cache"].endswith("kernels")
    assert "NCCL 2." in lines["others"] or "no NCCL" in lines["others"]


def test_warm_up_runs_registered_calls_and_reports_failures(monkeypatch, capsys):
    from flambeau.cuda import _warm

    x = fb.ones(2, device="cuda")
    work = [("add", lambda: x + 1), ("wrong", lambda: x.reshape(3))]
    monkeypatch.setattr(_warm, "everything", lambda: work)
    _warm.warm()
    output, progress = capsys.readouterr()
    assert output.startswith("compiled ") and f"are in {os.environ['FLAMBEAU_CACHE']}" in output
    assert "[1/2] add" in progress and "failed: wrong: " in progress
    names = [name for name, _ in _warm.operators(fb.float32)]
    assert {"exp", "add of a number", "sum of columns", "products"} <= set(names)


def test_dir_lists_public_names():
    assert set(dir(cuda)) <= {*cuda.__all__} and all(hasattr(cuda, name) for name in cuda.__all__)
    assert not hasattr(cuda, "no_such_name")


@pytest.mark.parametrize("device", ["cuda", "meta"])
def test_conjugates_stay_on_their_device(device):
    x = fb.zeros(2, 3, dtype=fb.complex64, device=device)
    assert x.H.device == x.mH.device == x.conj().device == x.device


@pytest.mark.parametrize("dtype", [fb.float16, fb.float32, fb.complex64, fb.int64, fb.bool])
def test_tensors_on_a_gpu_are_compared(dtype):
    x = fb.ones(3, device="cuda", dtype=dtype)
    assert_close(x, x.clone())
    assert_close(x, x.cpu(), check_device=False)
    with pytest.raises(AssertionError, match=r"not (close|equal)"):
        assert_close(x, fb.zeros_like(x))
    with pytest.raises(AssertionError, match="'device' do not match"):
        assert_close(x, x.cpu())
