"""Tests of the C++ functions for streams, events, captured graphs and pinned memory."""

import sys
import threading

import pytest

import flambeau as fb
from flambeau import _core


@pytest.fixture
def stream():
    made = _core._cuda_create_stream(0, 0)
    yield made
    _core._cuda_set_stream(0, 0)
    _core._cuda_destroy_stream(0, made)


def test_operators_run_on_the_current_stream(stream):
    _core._cuda_set_stream(0, stream)
    x = fb.arange(1000, device="cuda") * 2
    event = _core._cuda_create_event(0, True)
    _core._cuda_record_event(0, event, stream)
    _core._cuda_wait_event(0, 0, event)
    _core._cuda_set_stream(0, 0)
    y = x + 1
    _core._cuda_synchronize_event(0, event)
    assert _core._cuda_query_event(0, event) and _core._cuda_elapsed_time(0, event, event) >= 0
    assert y[-1].item() == 1999
    _core._cuda_destroy_event(0, event)


def test_memory_used_by_another_stream_is_not_reused_too_early(stream):
    fb.cuda.synchronize()
    fb.cuda.empty_cache()  # afterwards, the memory of x is the only free memory
    x = fb.ones(1 << 18, device="cuda")
    _core._cuda_record_stream(x, 0, stream)
    address = x.data_ptr()
    del x
    _core._cuda_synchronize_stream(0, stream)
    assert fb.ones(1 << 18, device="cuda").data_ptr() == address  # the stream is done: memory is free


def test_a_captured_graph_is_replayed(stream):
    x = fb.ones(1000, device="cuda")
    y = x * 3 + 1  # compiles the kernels
    _core._cuda_set_stream(0, stream)
    graph = _core._cuda_begin_capture(0, stream)
    assert _core._cuda_is_capturing(0, stream)
    y = x * 3 + 1
    _core._cuda_end_capture(graph)
    for value in (2.0, 5.0):
        x.fill_(value)
        _core._cuda_launch_graph(graph)
        assert y[0].item() == value * 3 + 1
    # The graph keeps its memory until it is deleted.
    other = [fb.zeros(1000, device="cuda") for _ in range(8)]
    _core._cuda_launch_graph(graph)
    assert all(t.sum().item() == 0 for t in other)
    _core._cuda_destroy_graph(graph)


def test_graphs_cannot_be_captured_on_the_default_stream():
    with pytest.raises(RuntimeError, match="non-default stream"):
        _core._cuda_begin_capture(0, 0)


def test_asynchronous_copies_from_and_to_pinned_memory_keep_the_elements():
    x = fb.arange(10.0)
    pinned = _core._cuda_pin_memory(x)
    assert _core._cuda_is_pinned(pinned) and not _core._cuda_is_pinned(x) and fb.equal(pinned, x)
    there = pinned.to("cuda", non_blocking=True)
    assert fb.equal(there.cpu(), x)
    back = _core._cuda_pin_memory(fb.zeros(10))
    back.copy_(there * 2, non_blocking=True)
    _core._cuda_synchronize(0)
    assert fb.equal(back, x * 2)


def test_pinned_memory_is_kept_until_its_copy_ends(stream):
    pinned = _core._cuda_pin_memory(fb.zeros(5000))
    address = pinned.data_ptr()
    del pinned
    again = _core._cuda_pin_memory(fb.ones(4990))
    assert again.data_ptr() == address and _core._cuda_is_pinned(again)
    _core._cuda_set_stream(0, stream)
    there = again.to("cuda", non_blocking=True)
    _core._cuda_synchronize_stream(0, stream)
    del again
    assert _core._cuda_pin_memory(fb.zeros(5000)).data_ptr() == address and there.sum().item() == 4990


@pytest.mark.parametrize("wait", [lambda x: x.cpu(), lambda x: fb.linalg.eigvals(x[:4].view(2, 2))])
def test_synchronisation_releases_the_gil(wait):
    x, turns, done = fb.zeros(1 << 24, device="cuda"), [0], threading.Event()

    def count():
        while not done.wait(0.0005):
            turns[0] += 1

    former = sys.getswitchinterval()
    other = threading.Thread(target=count)
    other.start()
    sys.setswitchinterval(1000)  # the running thread continues until it waits
    try:
        before = turns[0]
        wait(x)
        after = turns[0]
    finally:
        done.set()
        sys.setswitchinterval(former)
        other.join()
    assert after > before
