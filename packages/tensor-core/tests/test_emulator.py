"""The emulated CUDA driver (emulator/README.md): streams, captures, memory, modules, devices and errors."""

import ctypes
import os
import signal
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest
from example_kernels import numbers
from machine import needs_emulator

# Results of the driver's functions (CUresult)
INVALID_VALUE, OUT_OF_MEMORY, NOT_INITIALIZED, INVALID_DEVICE, INVALID_IMAGE, INVALID_CONTEXT = 1, 2, 3, 101, 200, 201
INVALID_HANDLE, NOT_FOUND, NOT_READY = 400, 500, 600
CAPTURE_UNSUPPORTED, CAPTURE_INVALIDATED, CAPTURE_UNJOINED, CAPTURED_EVENT = 900, 901, 904, 907

GLOBAL_MODE, RELAXED_MODE = 0, 2  # CUstreamCaptureMode
FRESH_BYTE = 0xA5  # the emulator fills new memory with this value

pytestmark = needs_emulator


def capture(machine, stream):
    status, number = ctypes.c_int(), ctypes.c_uint64()
    assert machine.cuStreamGetCaptureInfo_v2(stream, ctypes.byref(status), ctypes.byref(number), None, None, None) == 0
    return status.value, number.value


def test_the_emulator_captures_and_replays_graphs(machine, module):
    stream = machine.stream()
    x, out = machine.to_device(np.ones(4, np.float32)), machine.to_device(np.zeros(4, np.float32))
    graph, executable = ctypes.c_void_p(), ctypes.c_void_p()
    assert capture(machine, stream) == (0, 0)
    assert machine.cuStreamBeginCapture_v2(stream, GLOBAL_MODE) == 0
    status, number = capture(machine, stream)
    assert status == 1 and number > 0
    assert machine.launch(module, "add", 1, 4, stream=stream, x=x, y=out, out=out, n=4) == 0
    assert machine.cuStreamEndCapture(stream, ctypes.byref(graph)) == 0
    assert machine.cuGraphInstantiateWithFlags(ctypes.byref(executable), graph, ctypes.c_uint64(0)) == 0
    assert machine.cuGraphDestroy(graph) == 0
    assert machine.to_host(out, 4).tolist() == [0] * 4  # the launch was captured, not run
    for _ in range(3):
        assert machine.cuGraphLaunch(executable, stream) == 0
    assert machine.cuStreamSynchronize(stream) == 0
    assert machine.to_host(out, 4).tolist() == [3] * 4
    assert machine.cuGraphExecDestroy(executable) == 0
    assert machine.cuGraphLaunch(executable, stream) == INVALID_HANDLE


def test_synchronisation_invalidates_a_capture(machine):
    stream, graph = machine.stream(), ctypes.c_void_p()
    assert machine.cuStreamBeginCapture_v2(stream, GLOBAL_MODE) == 0
    assert machine.cuStreamSynchronize(stream) == CAPTURE_UNSUPPORTED
    assert capture(machine, stream)[0] == 2
    assert machine.cuStreamEndCapture(stream, ctypes.byref(graph)) == CAPTURE_INVALIDATED
    assert machine.cuStreamBeginCapture_v2(stream, GLOBAL_MODE) == 0
    assert machine.cuMemAlloc_v2(ctypes.byref(ctypes.c_uint64()), ctypes.c_size_t(8)) == CAPTURE_UNSUPPORTED
    assert machine.cuStreamEndCapture(stream, ctypes.byref(graph)) == CAPTURE_INVALIDATED
    assert machine.cuStreamBeginCapture_v2(stream, RELAXED_MODE) == 0
    assert machine.cuCtxSynchronize() == CAPTURE_UNSUPPORTED
    assert machine.cuStreamEndCapture(stream, ctypes.byref(graph)) == CAPTURE_INVALIDATED
    assert machine.cuCtxSynchronize() == 0
    assert machine.cuStreamBeginCapture_v2(stream, RELAXED_MODE) == 0
    machine.allocate(8)
    assert machine.cuStreamEndCapture(stream, ctypes.byref(graph)) == 0
    assert machine.cuStreamBeginCapture_v2(None, GLOBAL_MODE) == CAPTURE_UNSUPPORTED


def test_streams_join_a_capture(machine):
    first, second, graph = machine.stream(), machine.stream(), ctypes.c_void_p()
    begun, done = machine.event(), machine.event()
    memory = ctypes.c_uint64(machine.to_device(np.zeros(4, np.uint8)))

    def fork():
        assert machine.cuStreamBeginCapture_v2(first, GLOBAL_MODE) == 0
        assert machine.cuEventRecord(begun, first) == 0
        assert machine.cuEventQuery(begun) == CAPTURED_EVENT
        assert machine.cuStreamWaitEvent(second, begun, 0) == 0
        assert machine.cuMemsetD8Async(memory, ctypes.c_ubyte(7), ctypes.c_size_t(4), second) == 0

    fork()
    assert machine.cuStreamEndCapture(first, ctypes.byref(graph)) == CAPTURE_UNJOINED
    fork()
    assert machine.cuEventRecord(done, second) == 0
    assert machine.cuStreamWaitEvent(first, done, 0) == 0
    assert machine.cuStreamEndCapture(first, ctypes.byref(graph)) == 0
    assert machine.to_host(memory.value, 4, np.uint8).tolist() == [0] * 4


def test_the_emulator_orders_streams_by_events(machine, module):
    start, end, without_time, elapsed = machine.event(), machine.event(), machine.event(2), ctypes.c_float()
    assert machine.cuEventQuery(start) == 0  # the event was never recorded
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
    assert seen[0] == FRESH_BYTE  # the copy did not wait for the other stream
    assert machine.cuMemsetD8Async(memory, ctypes.c_ubyte(2), one, first) == 0
    assert machine.cuEventRecord(event, first) == 0
    assert machine.cuEventQuery(event) == NOT_READY
    assert machine.cuStreamWaitEvent(second, event, 0) == 0
    assert machine.cuMemcpyDtoHAsync_v2(pinned, memory, one, second) == 0
    assert seen[0] == FRESH_BYTE
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
    assert (machine.to_host(b, 1 << 19, np.uint8) == FRESH_BYTE).all()
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
    assert machine.launch(module, "sum", 1, 257) == INVALID_VALUE  # declared for at most 256 threads
    assert machine.cuModuleGetFunction(ctypes.byref(ctypes.c_void_p()), module, b"absent") == NOT_FOUND
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
    assert machine.cuDeviceGet(ctypes.byref(value), 2) == INVALID_DEVICE
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
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == NOT_INITIALIZED


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
    assert result.stdout == "allocated\n" and result.returncode == -signal.SIGSEGV
    free = {**os.environ, "FLAMBEAU_EMULATED_PROTECTION": "0"}
    assert subprocess.run(command, capture_output=True, check=False, env=free).returncode == 0
