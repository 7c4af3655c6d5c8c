"""Tests that the allocator returns unused memory to the system, and of its statistics."""

import subprocess
import sys

import pytest

PRELUDE = """
import gc, threading, time
import numpy as np
import flambeau as fb
PAGE = 4096
def resident():
    return int(open('/proc/self/statm').read().split()[1]) * PAGE / 2**20
def settled(most):
    # Megabytes above `before` once memory has been returned, which takes about a second on an idle machine.
    for _ in range(40):
        time.sleep(0.5)
        grown = resident() - before
        if grown <= most: break
    return grown
fb.ones(100_000).sum()
before = resident()
"""


def run(code):
    done = subprocess.run([sys.executable, "-c", PRELUDE + code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_memory_of_a_large_tensor_is_returned_to_the_system():
    grown = run(
        "x = fb.ones(64 * 2**20)\ny = x[3:]\ndel x\nassert resident() - before > 200\ndel y\nprint(settled(40))"
    )
    assert float(grown) <= 40


def test_memory_of_many_tensors_is_returned_to_the_system():
    code = "x = [fb.ones(2**20) for _ in range(300)]\nassert resident() - before > 1000\ndel x\nprint(settled(40))"
    assert float(run(code)) <= 40


def test_small_tensors_that_another_thread_frees_are_returned_and_counted():
    code = """
made = []
def make(): made.extend(fb.ones(900) for _ in range(60_000))
thread = threading.Thread(target=make); thread.start(); thread.join()
assert resident() - before > 200 and fb._core.memory_allocated() > 200 * 2**20
def drop(): made.clear()
thread = threading.Thread(target=drop); thread.start(); thread.join()
cached = fb._core.memory_cached()
assert cached > 100 * 2**20, cached
print(settled(40))
assert fb._core.memory_allocated() < 10 * 2**20
deadline = time.monotonic() + 60
while fb._core.memory_cached() >= 10 * 2**20 and time.monotonic() < deadline: time.sleep(0.1)
assert fb._core.memory_cached() < 10 * 2**20, fb._core.memory_cached()
"""
    assert float(run(code)) <= 40


def test_small_blocks_move_between_threads():
    code = """
import queue
handed = queue.Queue(100)
def make():
    for _ in range(200): handed.put([fb.ones(900) for _ in range(1000)])
    handed.put(None)
thread = threading.Thread(target=make); thread.start()
while handed.get() is not None: pass
thread.join()
print(resident() - before)
"""
    assert float(run(code)) < 700  # the lists of tensors allocate 720 MB in total


def test_empty_cache_returns_all_free_memory():
    code = """
x = [fb.ones(n) for n in (1, 100, 900, 5000, 10**6, 10**7) for _ in range(20)]
del x
assert fb._core.memory_cached() > 10**7
fb._core.empty_cache()
print(fb._core.memory_cached(), resident() - before)
"""
    cached, grown = run(code).split()
    assert int(cached) == 0 and float(grown) < 40


def test_memory_in_repeated_use_stays_cached():
    code = """
import resource
x = fb.ones(10**6)
for _ in range(50): x = x + 1
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(500): x = x + 1
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults)
"""
    assert int(run(code)) < 2000


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a property of glibc's malloc")
def test_numpy_memory_is_not_returned_to_the_system_between_batches():
    code = """
import resource
def epoch():
    for _ in range(60):
        items = [np.zeros(12_000, np.float32) + 1 for _ in range(32)]
        batch = np.stack(items)
epoch()
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
epoch()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults)
"""
    assert int(run(code)) < 2000


def test_out_of_memory_names_size_shape_and_dtype():
    code = """
try: fb.empty(10**15)
except RuntimeError as error: print(error)
"""
    expected = (
        "out of memory: tried to allocate 3.55 PiB for a tensor of shape [1000000000000000] and dtype flambeau.float32"
    )
    assert run(code) == expected
