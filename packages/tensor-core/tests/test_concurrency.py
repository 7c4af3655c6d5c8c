"""Tests that operators on large tensors release the GIL, and that changes by other threads do not crash them."""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import flambeau as fb

VALUES = fb.randn(3_000_000)
MATRIX = fb.randn(1200, 1200)
SQUARE = MATRIX[:300, :300].contiguous()
POSITIVE = SQUARE @ SQUARE.T + fb.eye(300)
INDICES = fb.randint(0, 1000, (3_000_000,))
IMAGES = fb.randn(16, 32, 48, 48)
FILTERS = fb.randn(32, 32, 3, 3)

OPERATIONS = {
    "exp": lambda: VALUES.exp(),
    "add_in_place": lambda: VALUES.add_(0),
    "sum": lambda: VALUES.double().sum(),
    "sort": lambda: VALUES.sort(),
    "sort_integers": lambda: INDICES.argsort(),
    "topk": lambda: VALUES.topk(1000),
    "median": lambda: VALUES.median(),
    "unique": lambda: INDICES.unique(return_inverse=True),
    "unique_slices": lambda: INDICES[:300_000].view(-1, 2).unique(dim=0),
    "unique_consecutive": lambda: INDICES.unique_consecutive(),
    "nms": lambda: fb._core._nms(fb.rand(10_000, 4) * 1e-3, fb.rand(10_000), 1.0),
    "cumsum": lambda: VALUES.cumsum(0),
    "nonzero": lambda: (VALUES > 0).nonzero(),
    "index": lambda: VALUES[INDICES],
    "index_add": lambda: fb.zeros(1000).index_add_(0, INDICES, VALUES),
    "scatter_add": lambda: fb.zeros(1000).scatter_add_(0, INDICES, VALUES),
    "cat": lambda: fb.cat([VALUES, VALUES]),
    "transpose": lambda: MATRIX.T.contiguous(),
    "convert": lambda: VALUES.double(),
    "randn": lambda: fb.randn(3_000_000),
    "randperm": lambda: fb.randperm(1_000_000),
    "matmul": lambda: MATRIX @ MATRIX,
    "matmul_complex": lambda: fb.complex(MATRIX, MATRIX) @ fb.complex(MATRIX, MATRIX),
    "matvec": lambda: fb.cat([MATRIX, MATRIX, MATRIX]) @ MATRIX[0],
    "conv2d": lambda: fb.conv2d(IMAGES, FILTERS, padding=1),
    "max_pool2d": lambda: fb.max_pool2d(IMAGES, 2),
    "softmax": lambda: MATRIX.softmax(1),
    "svd": lambda: fb.linalg.svd(SQUARE),
    "eigh": lambda: fb.linalg.eigh(POSITIVE),
    "eig": lambda: fb.linalg.eig(SQUARE[:100, :100]),
    "qr": lambda: fb.linalg.qr(SQUARE),
    "cholesky": lambda: fb.linalg.cholesky(POSITIVE),
    "solve": lambda: fb.linalg.solve(MATRIX[:600, :600], MATRIX[:600]),
    "fft": lambda: fb.fft.fft(VALUES),
}


def gets_gil_during(operation, seconds=30):
    """Return True if this thread gets the GIL while another thread repeats an operation."""
    seen = threading.Event()

    def repeat():
        end = time.monotonic() + seconds
        while not seen.is_set() and time.monotonic() < end:
            operation()
        ended.append(seen.is_set())

    ended = []
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)  # bytecode then does not release the GIL; only operators do
    try:
        worker = threading.Thread(target=repeat)
        worker.start()
        for _ in range(5):
            time.sleep(0)  # release the GIL
        seen.set()
        worker.join()
    finally:
        sys.setswitchinterval(interval)
    return ended == [True]


needs_gil = pytest.mark.skipif(
    not getattr(sys, "_is_gil_enabled", lambda: True)(), reason="this interpreter has no GIL"
)


@needs_gil
def test_the_gil_is_kept_between_operators():
    assert not gets_gil_during(lambda: None, seconds=0.5)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_long_operator_releases_the_gil(name, threads):
    fb.set_num_threads(threads)
    operation = OPERATIONS[name]
    operation()
    assert gets_gil_during(operation)


@needs_gil
def test_small_operators_keep_the_gil():
    small = fb.ones(100)
    counter = 0
    stop = threading.Event()

    def count():
        nonlocal counter
        while not stop.is_set():
            time.sleep(0)  # release the GIL
            counter += 1

    interval = sys.getswitchinterval()
    worker = threading.Thread(target=count)
    worker.start()
    sys.setswitchinterval(1000)
    try:
        time.sleep(0)
        before = counter
        for _ in range(1000):
            small.add(1)
        assert counter == before
    finally:
        sys.setswitchinterval(interval)
        stop.set()
        worker.join()


def in_threads(*functions, seconds=1.0):
    """Run each function repeatedly in a separate thread, and raise the exceptions of the threads."""
    errors, end = [], time.monotonic() + seconds

    def repeat(function):
        try:
            while time.monotonic() < end:
                function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=repeat, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_memory_is_replaced_while_another_thread_uses_it():
    x = fb.ones(400_000)
    bits = (x > 0).clone()

    def compute():
        y = (x * 2).cumsum(0)
        y = x.exp() + x.sort().values[: x.numel()]
        assert y.numel() == 0 or bool(fb.isfinite(y.sum()))

    def replace():
        for size in (400_000, 10, 300_000, 0):
            x.data = fb.ones(size)
            x.resize_(size // 2 + 1)
            x.fill_(1)

    def compute_guarded():
        try:
            compute()
        except RuntimeError as error:  # two operators saw different shapes
            messages.append(str(error))

    messages = []
    in_threads(compute_guarded, compute_guarded, replace)
    assert bits.all()
    assert all("size" in message or "shape" in message for message in messages)


def test_operators_in_several_threads_give_correct_results():
    def compute(seed):
        values = np.random.default_rng(seed).standard_normal((300, 300)).astype(np.float32)
        expected = values @ values

        def check():
            x = fb.tensor(values)
            np.testing.assert_allclose((x @ x).numpy(), expected, rtol=1e-3, atol=1e-3)
            np.testing.assert_array_equal(x.sort(0).values.numpy(), np.sort(values, 0))
            np.testing.assert_allclose(x.sum(0).numpy(), values.sum(0), rtol=1e-3, atol=1e-3)
            assert fb.fft.fft(x.flatten()).numel() == 90_000

        return check

    in_threads(*(compute(seed) for seed in range(4)))


def test_number_of_threads_changes_while_operators_run():
    in_threads(lambda: MATRIX @ MATRIX, lambda: VALUES.exp(), lambda: [fb.set_num_threads(n) for n in (1, 2, 3)])


def run(code, timeout=120):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, f"exit code {done.returncode}: {done.stderr}"
    return done.stdout.strip()


def test_process_ends_while_a_daemon_thread_is_inside_an_operator():
    for _ in range(5):
        assert (
            run(
                "import threading, time, flambeau as fb\n"
                "x = fb.randn(700, 700)\n"
                "def work():\n"
                "    while True: (x @ x).exp()\n"
                "for _ in range(3): threading.Thread(target=work, daemon=True).start()\n"
                "time.sleep(0.2)\n"
                "print('end')"
            )
            == "end"
        )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_process_can_fork_while_other_threads_are_inside_operators():
    code = (
        "import os, threading, warnings, flambeau as fb\n"
        "warnings.simplefilter('ignore')\n"
        "x = fb.randn(500, 500)\n"
        "stop = threading.Event()\n"
        "def work():\n"
        "    while not stop.is_set(): [(x @ x).sort() for _ in range(3)]\n"
        "threads = [threading.Thread(target=work) for _ in range(3)]\n"
        "for t in threads: t.start()\n"
        "for _ in range(20):\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        y = fb.fft.fft((x @ x).sum(0)); x.data = fb.ones(3); fb._core.empty_cache(); os._exit(7)\n"
        "    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7\n"
        "stop.set()\n"
        "for t in threads: t.join()\n"
        "print('end')"
    )
    assert run(code) == "end"


def test_a_thread_reuses_memory_that_it_freed():
    size = 3_333_333  # a size class that no other test uses
    mine = fb.empty(size)
    addresses, freed, main_freed = [], threading.Event(), threading.Event()

    def run():
        theirs = fb.empty(size)
        addresses.append(theirs.data_ptr())
        del theirs
        freed.set()
        main_freed.wait()
        addresses.append(fb.empty(size).data_ptr())

    thread = threading.Thread(target=run)
    thread.start()
    freed.wait()
    address = mine.data_ptr()
    del mine  # the most recently freed block of its size
    main_freed.set()
    thread.join()
    assert addresses[0] == addresses[1] != address
    assert fb.empty(size).data_ptr() == address
