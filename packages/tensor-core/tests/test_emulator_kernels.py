"""Kernels on the emulated GPU (emulator/README.md): compilation, results, and mistakes that are reported."""

import ctypes
from pathlib import Path

import numpy as np
import pytest
from example_kernels import KERNELS, numbers
from machine import needs_emulator

HERE = Path(__file__).parent
ILLEGAL_ADDRESS, ASSERT, LAUNCH_FAILED = 700, 710, 719
COMPILATION, INVALID_OPTION = 6, 5

pytestmark = needs_emulator


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
