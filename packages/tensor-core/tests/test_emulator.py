"""The emulated CUDA driver and NVRTC (emulator/README.md): what they do and which mistakes they report."""

import ctypes
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest
from machine import Machine, needs_emulator

HERE = Path(__file__).parent
INVALID_VALUE, OUT_OF_MEMORY, INVALID_IMAGE, INVALID_CONTEXT, INVALID_HANDLE, NOT_READY = 1, 2, 200, 201, 400, 600
ILLEGAL_ADDRESS, ASSERT, LAUNCH_FAILED = 700, 710, 719
COMPILATION, INVALID_OPTION = 6, 5

pytestmark = needs_emulator

KERNELS = """
#include "device/threads/kernel.h"

struct Arguments { const float* x; const float* y; float* out; unsigned* counts; int n; };

FLAMBEAU_KERNEL(add, Arguments) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < a.n) a.out[i] = a.x[i] + a.y[i];
}

FLAMBEAU_COOPERATIVE_KERNEL(sum, Arguments, 256) {
  __shared__ float parts[8];
  const int i = blockIdx.x * blockDim.x + threadIdx.x, warp = threadIdx.x / 32;
  float value = i < a.n ? a.x[i] : 0;
  for (int lanes = 16; lanes > 0; lanes /= 2) value += __shfl_down_sync(0xffffffff, value, lanes);
  if (threadIdx.x % 32 == 0) parts[warp] = value;
  __syncthreads();
  if (warp == 0) {
    value = threadIdx.x < 8 ? parts[threadIdx.x] : 0;
    for (int lanes = 4; lanes > 0; lanes /= 2) value += __shfl_xor_sync(0xffffffff, value, lanes);
    if (threadIdx.x == 0) a.out[blockIdx.x] = value;
  }
}

FLAMBEAU_KERNEL(histogram, Arguments) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < a.n) atomicAdd(&a.counts[int(a.x[i])], 1u);
}

FLAMBEAU_COOPERATIVE_KERNEL(reversed, Arguments, 64) {
  __shared__ float values[64];
  values[threadIdx.x] = a.x[threadIdx.x];
#ifndef WITHOUT_BARRIER
  __syncthreads();
#endif
  a.out[threadIdx.x] = values[63 - threadIdx.x];
}

// What each lane learns in a warp whose even and odd lanes go separate ways.
FLAMBEAU_COOPERATIVE_KERNEL(separate_ways, Arguments, 32) {
  const unsigned lane = threadIdx.x, even = 0x55555555;
  unsigned result;
  if (lane % 2 == 0) {
    result = __shfl_sync(even, lane, 4);
    result += __popc(__ballot_sync(even, lane < 8));
  } else {
    result = __shfl_up_sync(~even, lane, 2);
    __syncwarp(~even);
    result += __any_sync(~even, lane == 31) + 10 * __all_sync(~even, lane > 1);
  }
  a.counts[lane] = result;
  a.counts[32 + lane] = __match_any_sync(0xffffffff, lane / 4);
  a.counts[64 + lane] = __syncthreads_count(lane % 3 == 0);
  a.counts[96 + lane] = __shfl_down_sync(0xffffffff, lane, 3, 8);
}

FLAMBEAU_COOPERATIVE_KERNEL(half_a_barrier, Arguments, 64) { if (threadIdx.x < 32) __syncthreads(); }
FLAMBEAU_COOPERATIVE_KERNEL(two_barriers, Arguments, 64) {
  if (threadIdx.x < 32)
    __syncthreads();
  else
    __syncthreads();
}
FLAMBEAU_COOPERATIVE_KERNEL(half_a_warp, Arguments, 64) { if (threadIdx.x < 16) __shfl_sync(0xffffffff, 1, 0); }
FLAMBEAU_KERNEL(barrier_alone, Arguments) { __syncthreads(); }
FLAMBEAU_KERNEL(asserting, Arguments) { assert(a.n < 0); }
FLAMBEAU_COOPERATIVE_KERNEL(trapping, Arguments, 64) { if (threadIdx.x == 40) __trap(); }
FLAMBEAU_KERNEL(writing_null, Arguments) { *(volatile float*)a.out = 1; }
FLAMBEAU_KERNEL(writing_past_the_end, Arguments) { a.out[a.n] = 1; }
FLAMBEAU_KERNEL(without_end, Arguments) {
  for (volatile int i = 0; i >= 0;) i = threadIdx.x;
}
FLAMBEAU_KERNEL(misaligned, Arguments) { *(float4*)(a.out + a.n) = {}; }
FLAMBEAU_COOPERATIVE_KERNEL(beyond_an_array, Arguments, 64) {
  __shared__ volatile float values[32];
  values[threadIdx.x] = 0;
}
FLAMBEAU_KERNEL(shift, Arguments) { a.counts[0] = 1u << a.n; }
FLAMBEAU_COOPERATIVE_KERNEL(shared_memory_unset, Arguments, 64) {
  __shared__ unsigned values[64];
  if (threadIdx.x != 5) values[threadIdx.x] = threadIdx.x;
  a.counts[threadIdx.x] = values[threadIdx.x];
}

__constant__ float factor;
FLAMBEAU_KERNEL(scale, Arguments) { a.out[threadIdx.x] = a.x[threadIdx.x] * factor; }
"""


@pytest.fixture(scope="session")
def image(library):
    result, log, image = Machine(library).compile(KERNELS)
    assert result == 0, log
    return image


@pytest.fixture
def module(machine, image):
    return machine.load(image)


def numbers(n):
    return np.random.default_rng(0).standard_normal(n).astype(np.float32)


@pytest.mark.parametrize("order", ["forward", "reverse", "random"])
def test_the_emulator_adds_vectors(machine, module, monkeypatch, order):
    monkeypatch.setenv("FLAMBEAU_EMULATED_ORDER", order)
    x, y = numbers(1000), numbers(1000)[::-1].copy()
    out = machine.to_device(np.zeros(1000, np.float32))
    assert machine.launch(module, "add", 8, 128, x=machine.to_device(x), y=machine.to_device(y), out=out, n=1000) == 0
    np.testing.assert_array_equal(machine.to_host(out, 1000), x + y)


@pytest.mark.parametrize("order", ["forward", "reverse", "random"])
def test_the_emulator_reduces_within_a_block(machine, module, monkeypatch, order):
    monkeypatch.setenv("FLAMBEAU_EMULATED_ORDER", order)
    x = np.arange(700, dtype=np.float32)
    out = machine.allocate(12)
    assert machine.launch(module, "sum", 3, 256, x=machine.to_device(x), out=out, n=700) == 0
    np.testing.assert_array_equal(machine.to_host(out, 3), [x[:256].sum(), x[256:512].sum(), x[512:].sum()])


def test_the_emulator_computes_a_histogram_with_atomics(machine, module):
    x = np.random.default_rng(0).integers(0, 10, 5000)
    counts = machine.to_device(np.zeros(10, np.uint32))
    x_device = machine.to_device(x.astype(np.float32))
    assert machine.launch(module, "histogram", 20, 256, x=x_device, counts=counts, n=5000) == 0
    np.testing.assert_array_equal(machine.to_host(counts, 10, np.uint32), np.bincount(x, minlength=10))


@pytest.mark.parametrize("order", ["forward", "reverse", "random"])
def test_the_emulator_runs_warp_operations_of_subsets_of_a_warp(machine, module, monkeypatch, order):
    monkeypatch.setenv("FLAMBEAU_EMULATED_ORDER", order)
    counts = machine.allocate(128 * 4)
    assert machine.launch(module, "separate_ways", 1, 32, counts=counts) == 0
    lane = np.arange(32)
    ways, match, count, down = machine.to_host(counts, (4, 32), np.uint32)
    np.testing.assert_array_equal(ways, np.where(lane % 2 == 0, 4 + 4, np.where(lane < 2, lane, lane - 2) + 1))
    np.testing.assert_array_equal(match, 0xF << (lane // 4 * 4))
    np.testing.assert_array_equal(count, 11)
    np.testing.assert_array_equal(down, np.where(lane % 8 < 5, lane + 3, lane))


def test_the_emulator_reveals_a_missing_barrier(machine, image, monkeypatch):
    x = numbers(64)
    _, _, without = machine.compile(KERNELS, "-DWITHOUT_BARRIER")
    wrong = set()
    for order in ("forward", "reverse"):
        monkeypatch.setenv("FLAMBEAU_EMULATED_ORDER", order)
        for name, compiled in (("with", image), ("without", without)):
            out = machine.allocate(256)
            assert machine.launch(machine.load(compiled), "reversed", 1, 64, x=machine.to_device(x), out=out) == 0
            if not np.array_equal(machine.to_host(out, 64), x[::-1]):
                wrong.add(name)
    assert wrong == {"without"}


@pytest.mark.parametrize(
    ("kernel", "error", "message"),
    [
        ("half_a_barrier", LAUNCH_FAILED, "wait"),
        ("two_barriers", LAUNCH_FAILED, "others of its block at test.cu"),
        ("half_a_warp", LAUNCH_FAILED, "lane"),
        ("barrier_alone", LAUNCH_FAILED, "not a cooperative one"),
        ("asserting", ASSERT, "a.n < 0"),
        ("trapping", LAUNCH_FAILED, r"thread (40, 0, 0) of block (0, 0, 0): __trap()"),
        ("writing_null", ILLEGAL_ADDRESS, "illegal address"),
        ("beyond_an_array", ILLEGAL_ADDRESS, "thread (32, 0, 0) of block (0, 0, 0): index beyond the end of an array"),
    ],
)
def test_a_failed_kernel_invalidates_its_context(machine, module, monkeypatch, kernel, error, message):
    monkeypatch.setenv("FLAMBEAU_EMULATED_ORDER", "forward")
    assert machine.launch(module, kernel, 2, 64) == 0  # the failure comes after the launch
    assert machine.cuCtxSynchronize() == error
    assert machine.cuCtxSynchronize() == error
    assert machine.cuMemAlloc_v2(ctypes.byref(ctypes.c_uint64()), ctypes.c_size_t(8)) == error
    assert message in machine.emulated_message().decode()
    machine.emulated_reset()
    x = machine.to_device(numbers(64))
    assert machine.launch(module, "add", 1, 64, x=x, y=x, out=machine.allocate(256), n=64) == 0
    assert machine.cuCtxSynchronize() == 0


def test_the_emulator_reports_writes_past_the_end_of_an_allocation(machine, module):
    assert machine.launch(module, "writing_past_the_end", 1, 1, out=machine.allocate(4), n=1) == 0
    assert machine.cuCtxSynchronize() == ILLEGAL_ADDRESS
    assert b"writing_past_the_end" in machine.emulated_message()


@pytest.mark.parametrize(("kernel", "error"), [("misaligned", 716), ("shift", LAUNCH_FAILED)])
def test_misaligned_accesses_and_large_shifts_fail(machine, module, kernel, error):
    memory = machine.allocate(256)
    for n in (4, 35):
        assert machine.launch(module, kernel, 1, 1, out=memory, counts=memory, n=n) == 0
        assert machine.cuCtxSynchronize() == (0 if n == 4 else error)


def test_the_emulator_stops_a_kernel_that_does_not_end(machine, module, monkeypatch):
    monkeypatch.setenv("FLAMBEAU_EMULATED_TIMEOUT", "0.1")
    assert machine.launch(module, "without_end", 1, 64) == 0
    assert machine.cuCtxSynchronize() == 702


def test_emulated_shared_memory_is_uninitialised(machine, module):
    counts = machine.allocate(256)
    for _ in range(2):
        assert machine.launch(module, "shared_memory_unset", 1, 64, counts=counts) == 0
        expected = np.where(np.arange(64) == 5, 0xA5A5A5A5, np.arange(64))
        np.testing.assert_array_equal(machine.to_host(counts, 64, np.uint32), expected)


def capture(machine, stream):
    status, number = ctypes.c_int(), ctypes.c_uint64()
    assert machine.cuStreamGetCaptureInfo_v2(stream, ctypes.byref(status), ctypes.byref(number), None, None, None) == 0
    return status.value, number.value


def test_the_emulator_captures_and_replays_graphs(machine, module):
    stream = machine.stream()
    x, out = machine.to_device(np.ones(4, np.float32)), machine.to_device(np.zeros(4, np.float32))
    graph, executable = ctypes.c_void_p(), ctypes.c_void_p()
    assert capture(machine, stream) == (0, 0)
    assert machine.cuStreamBeginCapture_v2(stream, 0) == 0
    status, number = capture(machine, stream)
    assert status == 1 and number > 0
    assert machine.launch(module, "add", 1, 4, stream=stream, x=x, y=out, out=out, n=4) == 0
    assert machine.cuStreamEndCapture(stream, ctypes.byref(graph)) == 0
    assert machine.cuGraphInstantiateWithFlags(ctypes.byref(executable), graph, ctypes.c_uint64(0)) == 0
    assert machine.cuGraphDestroy(graph) == 0
    assert machine.to_host(out, 4).tolist() == [0] * 4  # captured, not run
    for _ in range(3):
        assert machine.cuGraphLaunch(executable, stream) == 0
    assert machine.cuStreamSynchronize(stream) == 0
    assert machine.to_host(out, 4).tolist() == [3] * 4
    assert machine.cuGraphExecDestroy(executable) == 0
    assert machine.cuGraphLaunch(executable, stream) == INVALID_HANDLE


def test_calls_that_invalidate_a_capture(machine):
    stream, graph = machine.stream(), ctypes.c_void_p()
    assert machine.cuStreamBeginCapture_v2(stream, 0) == 0
    assert machine.cuStreamSynchronize(stream) == 900
    assert capture(machine, stream)[0] == 2
    assert machine.cuStreamEndCapture(stream, ctypes.byref(graph)) == 901
    assert machine.cuStreamBeginCapture_v2(stream, 0) == 0
    assert machine.cuMemAlloc_v2(ctypes.byref(ctypes.c_uint64()), ctypes.c_size_t(8)) == 900
    assert machine.cuStreamEndCapture(stream, ctypes.byref(graph)) == 901
    assert machine.cuStreamBeginCapture_v2(stream, 2) == 0  # relaxed
    assert machine.cuCtxSynchronize() == 900
    assert machine.cuStreamEndCapture(stream, ctypes.byref(graph)) == 901
    assert machine.cuCtxSynchronize() == 0
    assert machine.cuStreamBeginCapture_v2(stream, 2) == 0
    machine.allocate(8)
    assert machine.cuStreamEndCapture(stream, ctypes.byref(graph)) == 0
    assert machine.cuStreamBeginCapture_v2(None, 0) == 900


def test_streams_join_a_capture(machine):
    first, second, graph = machine.stream(), machine.stream(), ctypes.c_void_p()
    begun, done = machine.event(), machine.event()
    memory = ctypes.c_uint64(machine.to_device(np.zeros(4, np.uint8)))

    def fork():
        assert machine.cuStreamBeginCapture_v2(first, 0) == 0
        assert machine.cuEventRecord(begun, first) == 0
        assert machine.cuEventQuery(begun) == 907
        assert machine.cuStreamWaitEvent(second, begun, 0) == 0
        assert machine.cuMemsetD8Async(memory, ctypes.c_ubyte(7), ctypes.c_size_t(4), second) == 0

    fork()
    assert machine.cuStreamEndCapture(first, ctypes.byref(graph)) == 904
    fork()
    assert machine.cuEventRecord(done, second) == 0
    assert machine.cuStreamWaitEvent(first, done, 0) == 0
    assert machine.cuStreamEndCapture(first, ctypes.byref(graph)) == 0
    assert machine.to_host(memory.value, 4, np.uint8).tolist() == [0] * 4


def test_the_emulator_orders_streams_by_events(machine, module):
    start, end, without_time, elapsed = machine.event(), machine.event(), machine.event(2), ctypes.c_float()
    assert machine.cuEventQuery(start) == 0  # never recorded
    assert machine.cuEventRecord(start, None) == 0
    x = machine.to_device(numbers(10000))
    assert machine.launch(module, "add", 100, 100, x=x, y=x, out=machine.allocate(40000), n=10000) == 0
    assert machine.cuEventRecord(end, None) == 0
    assert machine.cuEventSynchronize(end) == 0
    assert machine.cuEventElapsedTime(ctypes.byref(elapsed), start, end) == 0 and elapsed.value > 0
    assert machine.cuEventRecord(without_time, None) == 0
    assert machine.cuEventElapsedTime(ctypes.byref(elapsed), start, without_time) == INVALID_HANDLE
    assert machine.cuEventDestroy_v2(end) == 0
    assert machine.cuEventQuery(end) == INVALID_HANDLE


def test_deferred_operations_wait_for_their_events(machine, monkeypatch):
    monkeypatch.setenv("FLAMBEAU_EMULATED_DEFERRED", "1")
    first, second, event = machine.stream(), machine.stream(), machine.event()
    memory, one = ctypes.c_uint64(machine.allocate(4)), ctypes.c_size_t(1)
    pinned = ctypes.c_void_p()
    assert machine.cuMemHostAlloc(ctypes.byref(pinned), ctypes.c_size_t(1), 0) == 0
    seen = ctypes.cast(pinned, ctypes.POINTER(ctypes.c_ubyte))
    assert machine.cuMemsetD8Async(memory, ctypes.c_ubyte(1), one, first) == 0
    assert machine.cuMemcpyDtoHAsync_v2(pinned, memory, one, second) == 0
    assert machine.cuStreamSynchronize(second) == 0
    assert seen[0] == 0xA5  # no wait: the copy came first
    assert machine.cuMemsetD8Async(memory, ctypes.c_ubyte(2), one, first) == 0
    assert machine.cuEventRecord(event, first) == 0
    assert machine.cuEventQuery(event) == NOT_READY
    assert machine.cuStreamWaitEvent(second, event, 0) == 0
    assert machine.cuMemcpyDtoHAsync_v2(pinned, memory, one, second) == 0
    assert seen[0] == 0xA5
    assert machine.cuStreamSynchronize(second) == 0
    assert seen[0] == 2
    assert machine.cuMemFreeHost(pinned) == 0
    assert machine.cuMemFreeHost(pinned) == INVALID_VALUE


def test_the_emulator_can_be_used_from_several_threads(machine, module):
    context, failures = ctypes.c_void_p(), []
    assert machine.cuCtxGetCurrent(ctypes.byref(context)) == 0

    def work(number):
        try:
            assert machine.cuCtxSetCurrent(context) == 0
            stream = machine.stream()
            for _ in range(20):
                x, out = machine.to_device(np.full(500, number, np.float32), stream), machine.allocate(2000)
                assert machine.launch(module, "add", 4, 128, stream=stream, x=x, y=x, out=out, n=500) == 0
                assert machine.cuStreamSynchronize(stream) == 0
                assert (machine.to_host(out, 500) == 2 * number).all()
                assert machine.cuMemFree_v2(ctypes.c_uint64(x)) == machine.cuMemFree_v2(ctypes.c_uint64(out)) == 0
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_emulated_memory_is_allocated_copied_and_freed(machine, monkeypatch):
    monkeypatch.setenv("FLAMBEAU_EMULATED_MEMORY", str(1 << 20))
    machine.start()
    free, total, address = ctypes.c_size_t(), ctypes.c_size_t(), ctypes.c_uint64()
    a = machine.allocate(1 << 19)
    assert machine.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total)) == 0
    assert (free.value, total.value) == (1 << 19, 1 << 20)
    assert machine.cuMemAlloc_v2(ctypes.byref(address), ctypes.c_size_t((1 << 19) + 1)) == OUT_OF_MEMORY
    assert machine.cuMemAlloc_v2(ctypes.byref(address), ctypes.c_size_t(0)) == INVALID_VALUE
    b = machine.allocate(1 << 19)
    assert (machine.to_host(b, 1 << 19, np.uint8) == 0xA5).all()
    buffer = ctypes.create_string_buffer(16)
    for start, bytes in ((a, (1 << 19) + 1), (a + (1 << 19) - 8, 16), (a - 1, 1)):
        assert (
            machine.cuMemcpyDtoHAsync_v2(buffer, ctypes.c_uint64(start), ctypes.c_size_t(bytes), None) == INVALID_VALUE
        )
    for distance, result in ((0, INVALID_VALUE), (7, INVALID_VALUE), (8, 0)):  # overlapping copies are errors
        for to, origin in ((b, b + distance), (b + distance, b)):
            to, origin = ctypes.c_uint64(to), ctypes.c_uint64(origin)
            assert machine.cuMemcpyDtoDAsync_v2(to, origin, ctypes.c_size_t(8), None) == result
    assert machine.cuMemFree_v2(ctypes.c_uint64(a + 256)) == INVALID_VALUE
    assert machine.cuMemFree_v2(ctypes.c_uint64(a)) == 0
    assert machine.cuMemFree_v2(ctypes.c_uint64(a)) == INVALID_VALUE
    assert machine.cuMemFree_v2(ctypes.c_uint64(12345)) == INVALID_VALUE


def test_the_emulator_reports_the_attributes_of_pointers(machine):
    device, pinned, type = ctypes.c_uint64(machine.allocate(8)), ctypes.c_void_p(), ctypes.c_uint()
    assert machine.cuMemHostAlloc(ctypes.byref(pinned), ctypes.c_size_t(8), 0) == 0
    assert machine.cuPointerGetAttribute(ctypes.byref(type), 2, device) == 0 and type.value == 2
    assert machine.cuPointerGetAttribute(ctypes.byref(type), 2, pinned) == 0 and type.value == 1
    pageable = ctypes.create_string_buffer(8)
    assert machine.cuPointerGetAttribute(ctypes.byref(type), 2, pageable) == INVALID_VALUE


@pytest.mark.parametrize("damage", ["header", "middle", "end", "empty"])
def test_the_emulator_rejects_a_damaged_module_image(machine, image, damage):
    damaged = {
        "header": b"\0" + image[1:],
        "middle": image[:5000] + bytes([image[5000] ^ 1]) + image[5001:],
        "end": image[:-1] + b"?",
        "empty": bytes(64),
    }[damage]
    assert machine.cuModuleLoadData(ctypes.byref(ctypes.c_void_p()), damaged) == INVALID_IMAGE


def test_the_emulator_reports_compilation_errors(machine):
    result, log, _ = machine.compile("void f() {\n  undeclared();\n}")
    assert result == COMPILATION
    assert "test.cu:2" in log and "undeclared" in log
    result, log, _ = machine.compile("", architecture=30)
    assert result == INVALID_OPTION and "--gpu-architecture" in log


@pytest.mark.parametrize("compiler", ["emulated", "NVIDIA's"])
def test_every_supported_device_function_compiles(machine, compiler):
    if compiler == "NVIDIA's":
        machine.by_nvidia()
    result, log, _ = machine.compile((HERE / "emulator" / "vocabulary.cu").read_text())
    assert result == 0, log


def test_the_emulator_finds_global_variables_of_a_module(machine, module):
    address, bytes = ctypes.c_uint64(), ctypes.c_size_t()
    assert machine.cuModuleGetGlobal_v2(ctypes.byref(address), ctypes.byref(bytes), module, b"factor") == 0
    assert bytes.value == 4
    factor = np.array([3], np.float32)
    assert machine.cuMemcpyHtoDAsync_v2(address, factor.ctypes.data_as(ctypes.c_void_p), bytes, None) == 0
    out = machine.allocate(16)
    assert machine.launch(module, "scale", 1, 4, x=machine.to_device(np.arange(4, dtype=np.float32)), out=out) == 0
    assert machine.to_host(out, 4).tolist() == [0, 3, 6, 9]


def test_the_emulator_rejects_launches_beyond_the_limits(machine, module):
    for grid, block in ((0, 1), (1, 0), (1, 1025), (1, 2000)):
        assert machine.launch(module, "add", grid, block) == INVALID_VALUE
    assert machine.launch(module, "sum", 1, 257) == INVALID_VALUE  # declared with 256
    assert machine.cuModuleGetFunction(ctypes.byref(ctypes.c_void_p()), module, b"absent") == 500
    assert machine.cuCtxSetCurrent(None) == 0
    assert machine.cuCtxSynchronize() == INVALID_CONTEXT


def test_the_emulator_has_several_devices(machine, monkeypatch):
    monkeypatch.setenv("FLAMBEAU_EMULATED_DEVICES", "2")
    monkeypatch.setenv("FLAMBEAU_EMULATED_CAPABILITY", "75")
    first = machine.start()
    count, value, name = ctypes.c_int(), ctypes.c_int(), ctypes.create_string_buffer(64)
    assert machine.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value == 2
    assert machine.cuDeviceGetName(name, 64, 1) == 0 and name.value == b"Emulated GPU"
    assert machine.cuDeviceGetAttribute(ctypes.byref(value), 75, 0) == 0 and value.value == 7
    assert machine.cuDeviceGet(ctypes.byref(value), 2) == 101
    x = numbers(8)
    source, second = machine.to_device(x), ctypes.c_void_p()
    assert machine.cuCtxSynchronize() == 0
    assert machine.cuDevicePrimaryCtxRetain(ctypes.byref(second), 1) == 0
    assert machine.cuCtxSetCurrent(second) == 0
    target = machine.allocate(32)
    addresses = ctypes.c_uint64(target), second, ctypes.c_uint64(source), first
    assert machine.cuMemcpyPeerAsync(*addresses, ctypes.c_size_t(32), None) == 0
    np.testing.assert_array_equal(machine.to_host(target, 8), x)


def test_the_emulator_returns_injected_errors(machine):
    address = ctypes.c_uint64()
    before = machine.emulated_counts(b"cuMemAlloc")
    machine.emulated_fail(b"cuMemAlloc_v2", OUT_OF_MEMORY, 2)
    results = [machine.cuMemAlloc_v2(ctypes.byref(address), ctypes.c_size_t(8)) for _ in range(3)]
    assert results == [0, OUT_OF_MEMORY, 0]
    assert machine.emulated_counts(b"cuMemAlloc_v2") == before + 3
    text = ctypes.c_char_p()
    assert machine.cuGetErrorName(2, ctypes.byref(text)) == 0 and text.value == b"CUDA_ERROR_OUT_OF_MEMORY"
    assert machine.cuGetErrorName(12345, ctypes.byref(text)) == INVALID_VALUE


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_has_no_emulated_device(machine):
    child = os.fork()
    if child == 0:
        os._exit(machine.cuMemAlloc_v2(ctypes.byref(ctypes.c_uint64()), ctypes.c_size_t(8)))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3  # not initialized


def test_the_host_cannot_access_emulated_device_memory(library):
    program = f"""
    import ctypes
    cuda = ctypes.CDLL({str(library)!r})
    context, address = ctypes.c_void_p(), ctypes.c_uint64()
    assert cuda.cuInit(0) == cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0) == 0
    assert cuda.cuCtxSetCurrent(context) == cuda.cuMemAlloc_v2(ctypes.byref(address), ctypes.c_size_t(8)) == 0
    print("allocated", flush=True)
    ctypes.string_at(address.value, 8)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.stdout == "allocated\n" and result.returncode == -11
    free = {**os.environ, "FLAMBEAU_EMULATED_PROTECTION": "0"}
    assert subprocess.run(command, capture_output=True, check=False, env=free).returncode == 0
