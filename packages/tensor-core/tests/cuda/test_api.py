"""flambeau.cuda as programs use it: devices, streams, events, memory, graphs, random numbers."""

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
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_is_known_of_the_gpu():
    assert cuda.is_available() and cuda.is_initialized() and cuda.device_count() >= 1
    known = cuda.get_device_properties()
    assert cuda.get_device_name() == cuda.get_device_name("cuda:0") == known.name
    assert cuda.get_device_capability(0) == (known.major, known.minor) >= (7, 5)
    assert known.total_memory > 0 and known.warp_size == 32 and known.multi_processor_count > 0
    assert isinstance(known.uuid, uuid.UUID) and known == cuda.get_device_properties(fb.device("cuda"))
    assert repr(known).startswith(f"_CudaDeviceProperties(name='{known.name}', major={known.major}, ")
    assert f"total_memory={known.total_memory // 2**20}MB" in repr(known)
    assert "sm_75" in cuda.get_arch_list() and "code=sm_75" in cuda.get_gencode_flags()
    assert cuda.is_bf16_supported() and cuda.is_tf32_supported() == (known.major >= 8)
    assert fb.version.cuda.partition(".")[0].isdecimal()
    assert fb.backends.cuda.is_built()


def test_which_gpu_is_meant():
    assert cuda.current_device() == 0
    cuda.set_device("cuda:0")
    cuda.set_device(-1)
    with cuda.device(None), cuda.device(0), cuda.device("cuda"), cuda.device_of(fb.ones(1)):
        assert cuda.current_device() == 0
    with cuda.device_of(fb.ones(1, device="cuda").untyped_storage()) as chosen:
        assert chosen.idx == 0
    for function in (cuda.set_device, cuda.get_device_name, cuda.synchronize, cuda.memory_allocated, cuda.Stream):
        with pytest.raises(RuntimeError, match=f"there is no GPU 99; their number is {cuda.device_count()}"):
            function(99)
        with pytest.raises(ValueError, match="Expected a cuda device, but got: cpu"):
            function("cpu")
    assert not cuda.can_device_access_peer(0, 0)


@pytest.mark.skipif("FLAMBEAU_CUDA_DRIVER" not in os.environ, reason="needs two emulated GPUs")
def test_two_gpus(tmp_path):
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
    with pytest.raises(AssertionError, match="tensors of the device cuda:1, and there is none here"):
        run(f"import flambeau; flambeau.load({path!r})", FLAMBEAU_EMULATED_DEVICES="1")


def test_streams():
    default = cuda.default_stream()
    assert cuda.current_stream() == default and default.cuda_stream == 0 and default.query()
    side, other = cuda.Stream(priority=-1), cuda.Stream(0)
    assert side != other and side.cuda_stream and side.priority == -1 and side.device == fb.device("cuda:0")
    assert len({default, side, other, cuda.current_stream()}) == 3
    x = fb.ones(5, device="cuda")
    side.wait_stream(default)
    with cuda.stream(side) as nothing:
        assert nothing is None and cuda.current_stream() == side
        with cuda.stream(None), other:
            assert cuda.current_stream() == other
        y = x * 2
    x.record_stream(side)
    default.wait_event(side.record_event())
    assert (y + 1).tolist() == [3.0] * 5 and cuda.current_stream() == default
    side.synchronize()
    assert side.query()
    same = cuda.ExternalStream(side.cuda_stream)
    assert same == side and hash(same) == hash(side) and cuda.get_stream_from_external(side.cuda_stream) == side
    assert side.__cuda_stream__() == (0, side.cuda_stream) and side._as_parameter_.value == side.cuda_stream
    cuda.set_stream(side)
    assert cuda.current_stream() == side
    cuda.set_stream(default)
    assert repr(side) == f"<flambeau.cuda.Stream device=cuda:0 cuda_stream={side.cuda_stream:#x}>"
    with pytest.raises(TypeError, match=r"expected a flambeau\.cuda\.Stream or None, got int"):
        cuda.stream(1)


def test_streams_of_whichever_device():
    side = fb.Stream("cuda", priority=-1)
    assert isinstance(side, cuda.Stream) and isinstance(cuda.Stream(), fb.Stream) and side.priority == -1
    assert isinstance(fb.Stream(), cuda.Stream) and isinstance(fb.Stream(0), cuda.Stream)
    assert side.device == fb.device("cuda:0") and side.native_handle == side.stream_id == side.cuda_stream
    known = {"stream_id": side.stream_id, "device_index": side.device_index, "device_type": side.device_type}
    assert fb.Stream(**known) == side and cuda.Stream(**known) == side and not side.is_capturing()
    with side:
        assert fb.accelerator.current_stream() == side
        y = fb.ones(3, device="cuda") + 1
    event = side.record_event(fb.Event("cuda", enable_timing=True))
    cuda.current_stream().wait_event(event)
    assert y.tolist() == [2.0] * 3 and event.query() and event.event_id == event.cuda_event != 0
    assert isinstance(event, cuda.Event) and isinstance(event, fb.Event) and isinstance(fb.Event(), cuda.Event)
    here = fb.Stream("cpu")
    assert not isinstance(here, cuda.Stream) and here != side
    here.wait_stream(side)
    here.wait_event(event)
    with cuda.graph(cuda.CUDAGraph(), stream=side):
        assert side.is_capturing()
    for wrong in (lambda: fb.Stream(99), lambda: fb.Event("cuda:99")):
        with pytest.raises(RuntimeError, match="there is no GPU 99"):
            wrong()


def test_streams_are_handed_out_in_turn():
    streams = [cuda.Stream() for _ in range(64)]
    assert len({stream.cuda_stream for stream in streams}) == 32
    assert streams[:32] == streams[32:]


def test_events():
    first, second = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
    assert first.query() and repr(first) == "<flambeau.cuda.Event uninitialized>"
    first.synchronize()
    first.wait()
    with pytest.raises(ValueError, match="Both events must be recorded"):
        first.elapsed_time(second)
    first.record()
    fb.ones(1000, device="cuda").exp()
    second.record()
    second.synchronize()
    assert first.query() and second.query() and first.elapsed_time(second) >= 0
    assert first.device == fb.device("cuda:0") and f"{first.cuda_event:#x}" in repr(first)
    with pytest.raises(ValueError, match="enable_timing=True"):
        first.elapsed_time(cuda.Event())
    with pytest.raises(NotImplementedError, match="interprocess"):
        cuda.Event(interprocess=True)


def test_memory():
    cuda.empty_cache()
    cuda.reset_peak_memory_stats()
    before = cuda.memory_allocated()
    x = fb.empty(1 << 20, dtype=fb.uint8, device="cuda")
    assert cuda.memory_allocated() - before == 1 << 20 and cuda.memory_reserved() >= cuda.memory_allocated()
    del x
    assert cuda.memory_allocated() == before and cuda.max_memory_allocated() - before >= 1 << 20
    stats = cuda.memory_stats("cuda")
    assert list(stats) == sorted(stats) and stats["allocated_bytes.all.current"] == before
    assert stats["allocated_bytes.all.peak"] == cuda.max_memory_allocated()
    assert stats["reserved_bytes.all.peak"] == cuda.max_memory_reserved() == cuda.max_memory_cached()
    assert stats["allocation.all.allocated"] - stats["allocation.all.freed"] == stats["allocation.all.current"]
    assert cuda.memory_stats_as_nested_dict()["reserved_bytes"]["all"]["current"] == cuda.memory_cached()
    free, total = cuda.mem_get_info()
    assert 0 < free <= total == cuda.get_device_properties().total_memory
    cuda.reset_max_memory_allocated()
    assert cuda.max_memory_allocated() == before
    summary = cuda.memory_summary()
    assert summary.startswith("Memory of cuda:0\n") and "in tensors" in summary and "the whole GPU" in summary
    assert "the whole GPU" not in cuda.memory_summary(abbreviated=True)
    with pytest.raises(cuda.OutOfMemoryError) as caught:
        fb.empty(1 << 50, device="cuda")
    assert isinstance(caught.value, RuntimeError) and fb.OutOfMemoryError is cuda.OutOfMemoryError


def test_how_much_of_the_memory_is_used():
    free, total = cuda.mem_get_info()
    assert cuda.device_memory_used() == total - free == cuda.memory.device_memory_used("cuda:0")
    assert cuda.get_allocator_backend() == "native" and cuda.get_per_process_memory_fraction() == 1.0
    for fraction, error in ((1.5, ValueError), (-0.1, ValueError), (1, TypeError)):
        with pytest.raises(error):
            cuda.set_per_process_memory_fraction(fraction, 0)


def test_a_part_of_the_memory():
    cuda.empty_cache()
    held = fb.ones(1 << 20, device="cuda")
    reserved, megabyte = cuda.memory_reserved(), 1 << 20
    total = cuda.mem_get_info()[1]
    fraction = (reserved + 64 * megabyte) / total
    cuda.set_per_process_memory_fraction(fraction)
    try:
        assert cuda.get_per_process_memory_fraction() == fraction
        cached = fb.empty(60 * megabyte, dtype=fb.uint8, device="cuda")
        failures = cuda.memory_stats()["num_ooms"]
        with pytest.raises(fb.OutOfMemoryError, match=r"process may take [\d.]+ MiB \(cuda.set_per_process_memory_fr"):
            fb.empty(30 * megabyte, dtype=fb.uint8, device="cuda")
        assert cuda.memory_stats()["num_ooms"] == failures + 1 and held.sum().item() == 1 << 20
        del cached  # which makes room
        assert fb.zeros(30 * megabyte, dtype=fb.uint8, device="cuda").sum().item() == 0
        cuda.set_per_process_memory_fraction(0.0)
        with pytest.raises(fb.OutOfMemoryError, match=r"process may take 0\.0 MiB"):
            fb.empty(1000 * megabyte, dtype=fb.uint8, device="cuda")
    finally:
        cuda.set_per_process_memory_fraction(1.0)
    assert fb.empty(100 * megabyte, dtype=fb.uint8, device="cuda").numel() == 100 * megabyte


def test_the_profiler_is_told_when_to_record(monkeypatch):
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
    assert calls == ["start", "stop", "start"] and cuda.cudart().cudaMemGetInfo(0) == cuda.mem_get_info()
    monkeypatch.undo()
    cuda.check_error(cuda.cudaStatus.SUCCESS)
    with pytest.raises(cuda.CudaError, match=r"out of memory \(2\)"):
        cuda.check_error(2)


def test_tensor_types():
    x = cuda.FloatTensor([1, 2])
    assert x.is_cuda and isinstance(x, cuda.FloatTensor) and not isinstance(x, fb.FloatTensor)
    assert cuda.LongTensor(2, 3).dtype is fb.int64 and x.type() == "flambeau.cuda.FloatTensor"


def test_the_memory_that_other_streams_use_is_not_given_back_early():
    side = cuda.Stream()
    x = fb.ones(1 << 16, device="cuda")
    side.wait_stream(cuda.current_stream())
    with cuda.stream(side):
        y = x + 1
    x.record_stream(side)
    del x
    z = fb.zeros(1 << 16, device="cuda")
    side.synchronize()
    assert y.amax().item() == y.amin().item() == 2 and z.amax().item() == 0


def test_graphs():
    x = fb.zeros(4, device="cuda")
    _ = x * 2 + 1
    g = cuda.CUDAGraph()
    with pytest.raises(RuntimeError, match="without a preceding successful capture"):
        g.replay()
    assert not cuda.is_current_stream_capturing()
    with cuda.graph(g, stream=cuda.Stream()):
        assert cuda.is_current_stream_capturing()
        y = x * 2 + 1
    for value in (3, 5):
        x.fill_(value)
        g.replay()
        assert y.tolist() == [value * 2 + 1] * 4
    with pytest.raises(RuntimeError, match="already owns a captured graph"), cuda.graph(g):
        pass
    assert cuda.current_stream() == cuda.default_stream()
    g.reset()
    g.reset()
    with cuda.graph(g, pool=cuda.graph_pool_handle()):
        z = x - 1
    g.replay()
    assert z.tolist() == [4.0] * 4 and g.pool() != cuda.CUDAGraph().pool()
    with pytest.raises(RuntimeError, match="non-default stream"):
        cuda.CUDAGraph().capture_begin()
    with pytest.raises(RuntimeError, match="without capture_begin"):
        cuda.CUDAGraph().capture_end()


def test_a_graph_does_not_read_memory_of_the_host_that_is_given_back():
    y, on_host = fb.empty(3, device="cuda"), fb.eye(3, device="cuda")
    for work in (lambda: fb.ones(3).cuda(), lambda: y.copy_(fb.ones(3)), lambda: on_host + 1):
        fb.linalg.eig(on_host)  # which the CPU does
        with pytest.raises(RuntimeError, match="not pinned is not permitted"), cuda.graph(cuda.CUDAGraph()):
            work()
    pinned, g = fb.ones(3).pin_memory(), cuda.CUDAGraph()
    with cuda.graph(g):
        y.copy_(pinned, non_blocking=True)
    pinned.fill_(7)
    g.replay()
    assert y.tolist() == [7.0] * 3


def test_a_capture_that_fails_says_why_and_leaves_nothing_behind():
    x = fb.ones(4, device="cuda")
    _ = x + 1
    cuda.empty_cache()
    reserved = cuda.memory_reserved()
    with pytest.raises(RuntimeError, match="not permitted when stream is capturing"), cuda.graph(cuda.CUDAGraph()):
        (x + 1).tolist()
    with pytest.raises(ZeroDivisionError), cuda.graph(cuda.CUDAGraph()):
        fb.ones(1 << 22, device="cuda").add_(1 // 0)
    cuda.empty_cache()
    assert cuda.memory_reserved() == reserved
    assert cuda.current_stream() == cuda.default_stream() and (x + 1).tolist() == [2.0] * 4


def test_random_numbers_are_those_of_the_cpu():
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


def test_what_goes_over_to_the_host_is_counted():
    cuda.reset_host_calls()
    assert cuda.host_calls() == {}
    x = fb.eye(3, device="cuda")
    fb.linalg.eigvals(x), fb.linalg.eigvals(x)
    assert cuda.host_calls() == {"eigvals": 2}
    cuda.reset_host_calls()


def test_the_accelerator_is_the_gpu():
    accelerator = fb.accelerator
    assert accelerator.is_available() and accelerator.current_accelerator(check_available=True) == fb.device("cuda")
    assert accelerator.device_count() == cuda.device_count() and accelerator.current_device_index() == 0
    assert accelerator.current_stream() == cuda.current_stream() and fb.get_device_module() is cuda
    accelerator.set_stream(cuda.default_stream())
    accelerator.synchronize()
    accelerator.empty_cache()
    accelerator.reset_peak_memory_stats()
    assert accelerator.get_memory_info() == cuda.mem_get_info()
    assert accelerator.memory_stats().keys() == cuda.memory_stats().keys()
    assert accelerator.memory_allocated() <= accelerator.max_memory_allocated()
    assert accelerator.memory_reserved() <= accelerator.max_memory_reserved()
    assert fb.bfloat16 in accelerator.get_device_capability()["supported_dtypes"]


def test_pinned_memory():
    x = fb.arange(6.0).reshape(2, 3)
    pinned = x.pin_memory()
    assert not x.is_pinned() and pinned.is_pinned() and pinned.pin_memory() is pinned
    assert fb.equal(pinned, x) and pinned[1].is_pinned() and not pinned.clone().is_pinned()
    there = pinned.to("cuda", non_blocking=True)
    assert there.tolist() == x.tolist() and not there.is_pinned()
    assert pinned.untyped_storage().is_pinned() and pinned.storage().pin_memory().is_pinned()
    with pytest.raises(RuntimeError, match="only CPU memory can be pinned"):
        there.pin_memory()


def test_constructors_pin_memory():
    made = [
        fb.empty(2, 3, pin_memory=True),
        fb.empty((2, 3, 1, 1), memory_format=fb.channels_last, pin_memory=True),
        fb.zeros(2, 3, pin_memory=True),
        fb.full((2,), 3.0, pin_memory=True),
        fb.arange(5, pin_memory=True),
        fb.tensor([1.0, 2.0], pin_memory=True),
        fb.zeros_like(fb.ones(2, 3), pin_memory=True),
        fb.ones(2).new_zeros(3, pin_memory=True),
        fb.empty_permuted((2, 3), (1, 0), pin_memory=True),
    ]
    assert all(x.is_pinned() for x in made) and not fb.zeros(2).is_pinned()
    assert made[4].tolist() == [0, 1, 2, 3, 4] and made[5].tolist() == [1, 2] and made[8].stride() == (1, 2)
    with pytest.raises(RuntimeError, match="only CPU memory can be pinned"):
        fb.zeros(2, pin_memory=True, device="cuda")


def test_generators_know_their_device():
    there, here = fb.Generator(device="cuda"), fb.Generator()
    assert there.device == fb.device("cuda", 0) and here.device == fb.device("cpu")
    assert there.clone_state().device == pickle.loads(pickle.dumps(there)).device == there.device
    there.manual_seed(5), here.manual_seed(5)
    drawn = fb.rand(3, generator=there, device="cuda")
    assert fb.equal(drawn.cpu(), fb.rand(3, generator=here)) and there.get_offset() == here.get_offset()


def test_storages():
    x = fb.arange(4.0, device="cuda")
    raw, typed = x.untyped_storage(), x.storage()
    assert raw.is_cuda and typed.is_cuda and raw.device == typed.device == x.device and typed.get_device() == 0
    assert raw.cuda() is raw and typed.cuda() is typed and raw.nbytes() == 16 and typed.tolist() == [0, 1, 2, 3]
    assert not raw.cpu().is_cuda and raw.cpu().tolist() == x.cpu().untyped_storage().tolist()
    assert typed.cpu().get_device() == -1 and typed.cpu().cuda().tolist() == typed.tolist()
    typed[1] = 9
    assert x.tolist() == [0, 9, 2, 3] and typed[1] == 9 and raw.clone().is_cuda
    assert fb.UntypedStorage(3, device="cuda").is_cuda and not fb.UntypedStorage(3).is_cuda
    assert fb.empty(0, device="cuda").set_(raw, 1, (2,)).tolist() == [9, 2]


def test_the_older_types():
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


def test_marks_for_profilers():
    nvtx = cuda.nvtx
    assert nvtx.range_push("outer") == 0
    with nvtx.range("step {}", 3):
        assert nvtx.range_push("inner") == 2 and nvtx.range_pop() == 2
    assert nvtx.range_pop() == 0 and nvtx.range_pop() == -1
    nvtx.range_end(nvtx.range_start("x"))
    nvtx.mark("here")


def test_the_report():
    output = run("import runpy; runpy.run_module('flambeau.cuda', run_name='__main__')")
    lines = dict(line.split(maxsplit=1) for line in output.replace("GPU 0", "GPU").splitlines())
    assert cuda.get_device_name() in lines["GPU"] and lines["driver"].startswith("for CUDA 1")
    assert lines["compiler"].startswith("NVRTC ") and lines["cache"].endswith("kernels")
    assert "NCCL 2." in lines["others"] or "no NCCL" in lines["others"]


def test_warming_up(monkeypatch, capsys):
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


def test_names():
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
