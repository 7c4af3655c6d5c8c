"""The engine in several threads, which share leaves and graphs."""

import subprocess
import sys
import threading
import time

import pytest

import flambeau as fb


def in_threads(count, function):
    """Run function(i) in `count` threads. If one of them raises an exception, raise it."""
    errors = []

    def run(i):
        try:
            function(i)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@pytest.mark.parametrize("size", [10, 300_000])
def test_gradients_of_a_shared_leaf_are_all_added(size):
    leaf = fb.zeros(size, requires_grad=True)
    rounds = 25

    def train(i):
        for _ in range(rounds):
            (leaf.exp() * (i + 1)).sum().backward()

    in_threads(4, train)
    assert fb.equal(leaf.grad, fb.full((size,), float(rounds * (1 + 2 + 3 + 4))))


def test_a_shared_graph_runs_in_several_threads():
    x = fb.full((200_000,), 2.0, requires_grad=True)
    y = (x.exp() * x).log().sum()
    (expected,) = fb.autograd.grad(y, x, retain_graph=True)

    def run(i):
        for _ in range(10):
            (gradient,) = fb.autograd.grad(y, x, retain_graph=True)
            assert fb.equal(gradient, expected)

    in_threads(4, run)


def test_a_shared_graph_is_freed_once_without_a_crash():
    for _ in range(20):
        x = fb.full((200_000,), 2.0, requires_grad=True)
        y = (x.exp() * x).log().sum()
        messages = []

        def run(i, y=y, messages=messages):
            try:
                y.backward()
            except RuntimeError as error:
                messages.append(str(error))

        in_threads(4, run)
        assert len(messages) <= 3 and all("second time" in message for message in messages)


def test_gradients_are_reset_and_replaced_during_backward():
    leaf = fb.zeros(300_000, requires_grad=True)
    end = time.monotonic() + 1

    def run(i):
        while time.monotonic() < end:
            if i == 0:
                leaf.grad = None
                leaf.data = fb.zeros(300_000)
            else:
                (leaf.exp() * leaf).sum().backward()

    in_threads(3, run)


def run_program(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_another_thread_runs_during_backward():
    x = fb.randn(300_000, requires_grad=True)
    y = x.exp().log().sin().exp().log().sin().sum()
    seen = threading.Event()
    ended = []

    def repeat():
        end = time.monotonic() + 30
        while not seen.is_set() and time.monotonic() < end:
            y.backward(retain_graph=True)
        ended.append(seen.is_set())

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)  # the interpreter does not release the GIL; only backward does
    try:
        worker = threading.Thread(target=repeat)
        worker.start()
        for _ in range(5):
            time.sleep(0)  # release the GIL
        seen.set()
        worker.join()
    finally:
        sys.setswitchinterval(interval)
    assert ended == [True]


def test_cycles_of_gradients_with_graphs_are_collected():
    code = """
import gc
import flambeau as fb
def make():
    x = fb.ones(2**20, requires_grad=True)
    (x.exp() * x).sum().backward(create_graph=True)
    return x
kept = make()
gc.collect()
before = fb._core.memory_allocated()
for _ in range(20): make()
assert fb._core.memory_allocated() - before > 50 * 2**20
gc.collect()
assert fb._core.memory_allocated() - before < 2**20, fb._core.memory_allocated() - before
# A leaf that is still in use keeps its gradient and its graph.
second = fb.autograd.grad(kept.grad.sum(), kept)[0]
assert abs(second[0].item() - 3 * 2.718281828) < 1e-4
print('end')
"""
    assert run_program(code) == "end"


def test_gradients_referenced_only_by_a_view_or_a_node_are_kept():
    code = """
import gc
import flambeau as fb
x = fb.ones(1000, requires_grad=True)
y = (x.exp() * x).sum()
y.backward(create_graph=True)
gradient = x.grad
edge = fb.autograd.graph.get_gradient_edge(gradient)
del gradient, y
held = x.grad
del x
gc.collect()
held.sum().backward()
print(edge.node.name() != '', fb.isfinite(held).all().item())
"""
    assert run_program(code) == "True True"
