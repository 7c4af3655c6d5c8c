"""Tests that signals are handled during long operators, which can be interrupted and leave tensors usable."""

import signal
import subprocess
import sys
import time

import pytest

import flambeau as fb

# NumPy is imported first, because NumPy turns an exception during its import into an ImportError. Some operators import
# it in their first call.
PRELUDE = """
import signal, threading, time, os
import flambeau as fb, numpy
fb.set_num_threads({threads})
class Interrupted(Exception): pass
sent = None
def handle(*_):
    raise Interrupted
signal.signal(signal.SIGINT, handle)
def send():
    global sent
    time.sleep(0.3)
    sent = time.process_time()
    os.kill(os.getpid(), signal.SIGINT)
"""

# Each takes many seconds without an interruption.
OPERATIONS = {
    "matmul": ("x = fb.randn(9000, 9000)", "for _ in range(5): x @ x"),
    "sort": ("x = fb.randn(60_000_000)", "for _ in range(5): x.sort()"),
    "solve": ("x = fb.randn(5000, 5000)", "for _ in range(9): fb.linalg.solve(x, x)"),
    "qr": ("x = fb.randn(3000, 3000)", "for _ in range(9): fb.linalg.qr(x)"),
    "svd": ("x = fb.randn(1500, 1500)", "for _ in range(9): fb.linalg.svd(x)"),
    "eigh": ("x = fb.randn(2000, 2000)", "for _ in range(9): fb.linalg.eigh(x)"),
    "eig": ("x = fb.randn(1000, 1000)", "for _ in range(9): fb.linalg.eig(x)"),
    "save": (
        "x = fb.randn(100_000_000); f = open(os.devnull, 'wb')",
        "for _ in range(400): fb.save([x], f, format='pt')",
    ),
    "pointwise": ("x = fb.randn(30_000_000)", "for _ in range(200): x.erfinv_()"),
    "conv2d": ("x = fb.randn(64, 64, 128, 128); w = fb.randn(128, 64, 5, 5)", "for _ in range(20): fb.conv2d(x, w)"),
    "cdist": ("x = fb.randn(8000, 300)", "for _ in range(5): fb.cdist(x, x, p=3)"),
    "multinomial": ("x = fb.rand(10_000_000)", "for _ in range(20): fb.multinomial(x, 5_000_000)"),
    "unique": ("x = fb.randn(3_000_000, 2)", "for _ in range(20): x.unique(dim=0)"),
    "nms": ("x = fb.rand(100_000, 4) * 1e-3", "for _ in range(20): fb._core._nms(x, x[:, 0], 1.0)"),
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_signal_handler_interrupts_a_long_operator(name, threads):
    make, use = OPERATIONS[name]
    code = PRELUDE.format(threads=threads) + (
        f"{make}\n"
        "threading.Thread(target=send).start()\n"
        "try:\n"
        f"    {use}\n"
        "except Interrupted:\n"
        "    print(time.process_time() - sent)\n"
        "x.sum(); x.add_(1); (fb.ones(300, 300) @ fb.ones(300, 300)).sum()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    # Processor seconds of all threads, which depend little on other programs: 0.2 for each thread on an idle machine,
    # and up to 1 while other programs use the caches and the memory.
    assert float(done.stdout) < 2 * threads


def test_an_operator_continues_after_a_signal_handler_that_returns():
    code = (
        "import signal, time, flambeau as fb\n"
        "x = fb.randn(6000, 6000, generator=fb.Generator().manual_seed(1))\n"
        "small = fb.randn(400, 400, generator=fb.Generator().manual_seed(2))\n"
        "expected, product = (x @ x)[:5], small @ small\n"
        "calls = []\n"
        "def handle(*_):\n"
        "    assert fb.equal(small @ small, product)\n"
        "    calls.append(fb.randn(300, 300).sort())\n"
        "signal.signal(signal.SIGALRM, handle)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)\n"
        "result = x @ x\n"
        "signal.setitimer(signal.ITIMER_REAL, 0)\n"
        "assert calls, 'no handler ran'\n"
        "assert fb.equal(result[:5], expected)\n"
        "print('end')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout.strip()) == (0, "end"), done.stderr


def test_a_keyboard_interrupt_ends_a_program_inside_an_operator():
    code = (
        "import signal, flambeau as fb\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it\n"
        "x = fb.randn(9000, 9000)\n"
        "print('ready', flush=True)\n"
        "while True: x @ x"
    )
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], text=True, **pipes) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
            _, error = process.communicate(timeout=60)
        finally:
            process.kill()
    assert "KeyboardInterrupt" in error and process.returncode == -signal.SIGINT


def test_tolist_runs_signal_handlers_between_the_numbers():
    x, called = fb.arange(2_000_000).view(500_000, 4), []

    def handle(*_):
        x.untyped_storage().resize_(0)  # tolist() must not lose the memory that it reads
        called.append(time.process_time())

    previous = signal.signal(signal.SIGALRM, handle)
    try:
        started = time.process_time()
        signal.setitimer(signal.ITIMER_REAL, 1e-3)
        result = x.tolist()
        ended = time.process_time()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert called[0] - started < 0.7 * (ended - started)
    assert result[0] == [0, 1, 2, 3] and result[-1] == [1_999_996, 1_999_997, 1_999_998, 1_999_999]
