"""Tests of streams, events, and graphs captured from streams."""

import pytest

import flambeau as fb
from flambeau import cuda


def test_streams_have_handles_priorities_and_devices():
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


def test_generic_streams_select_the_device_by_argument():
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


def test_streams_are_assigned_round_robin():
    streams = [cuda.Stream() for _ in range(64)]
    assert len({stream.cuda_stream for stream in streams}) == 32
    assert streams[:32] == streams[32:]


def test_events_can_be_recorded_and_timed():
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


def test_memory_used_by_other_streams_is_not_freed_early():
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


def test_memory_of_a_capturing_stream_is_freed_afterwards():
    cuda.empty_cache()
    side, graph, size = cuda.Stream(), cuda.CUDAGraph(), 12 << 20  # memory of this size has a separate segment
    x, y = fb.empty(size, dtype=fb.uint8, device="cuda"), fb.ones(4, device="cuda")
    x.record_stream(side)
    place = x.data_ptr()
    with cuda.graph(graph, stream=side):
        del x
        z = y + 1
    graph.replay()
    assert (z + 1).tolist() == [3.0] * 4
    side.synchronize()
    assert fb.empty(size, dtype=fb.uint8, device="cuda").data_ptr() == place


def test_a_captured_graph_replays_its_work():
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


def test_a_graph_does_not_read_freed_host_memory(without_cupy):
    y, on_host = fb.empty(3, device="cuda"), fb.eye(3, device="cuda")
    for work in (lambda: fb.ones(3).cuda(), lambda: y.copy_(fb.ones(3)), lambda: on_host + 1):
        fb.linalg.eig(on_host)  # computed on the CPU
        with pytest.raises(RuntimeError, match="not pinned is not permitted"), cuda.graph(cuda.CUDAGraph()):
            work()
    pinned, g = fb.ones(3).pin_memory(), cuda.CUDAGraph()
    with cuda.graph(g):
        y.copy_(pinned, non_blocking=True)
    pinned.fill_(7)
    g.replay()
    assert y.tolist() == [7.0] * 3


def test_a_graph_keeps_the_pinned_memory_that_it_copies():
    x, g = fb.zeros(1 << 16, device="cuda"), cuda.CUDAGraph()
    source, target = fb.ones(1 << 16).pin_memory(), fb.zeros(1 << 16).pin_memory()
    addresses = {source.data_ptr(), target.data_ptr()}
    with cuda.graph(g):
        x.copy_(source, non_blocking=True)
        x.mul_(3)
        target.copy_(x, non_blocking=True)
    del source, target
    cuda.empty_cache()
    others = [fb.full((1 << 16,), 7.0).pin_memory() for _ in range(3)]
    assert not addresses & {each.data_ptr() for each in others}
    g.replay()
    assert x.amin().item() == x.amax().item() == 3
    assert all(each.eq(7).all() for each in others)
    g.reset()  # afterwards, the blocks can be reused
    assert addresses == {each.data_ptr() for each in [fb.empty(1 << 16, pin_memory=True) for _ in range(2)]}


def test_a_failed_capture_raises_and_frees_its_memory():
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


def captured_with_temporaries(x):
    g = cuda.CUDAGraph()
    with cuda.graph(g):
        temporary = x + 1
        y = temporary * 2
        del temporary
    return g, y


def test_a_graph_keeps_the_memory_of_its_temporaries():
    x = fb.ones(1 << 23, device="cuda")  # temporaries of this size have separate segments
    _ = (x + 1) * 2
    del _
    g, y = captured_with_temporaries(x)
    reserved = cuda.memory_reserved()
    cuda.empty_cache()
    assert cuda.memory_reserved() == reserved
    other = fb.full((1 << 23,), 5.0, device="cuda")
    g.replay()
    assert y.amin().item() == y.amax().item() == 4 and other.amin().item() == other.amax().item() == 5
    another, z = captured_with_temporaries(y)  # this also empties the cache
    for each in (g, another):
        each.replay()
    assert y.amin().item() == 4 and z.amin().item() == z.amax().item() == 10
    del x, y, z, other
    g.reset()
    another.reset()
    cuda.empty_cache()
    assert cuda.memory_reserved() < reserved


def test_memory_of_joined_streams_belongs_to_the_captured_graph():
    x, side, g = fb.ones(1 << 16, device="cuda"), cuda.Stream(), cuda.CUDAGraph()
    _ = (x + 1) * 3, fb.zeros(1 << 16, device="cuda")
    with cuda.graph(g):
        side.wait_stream(cuda.current_stream())
        with cuda.stream(side):
            temporary = x + 1
            y = temporary * 3
            del temporary
        cuda.current_stream().wait_stream(side)
    with cuda.stream(side):
        other = fb.zeros(1 << 16, device="cuda")
    side.synchronize()
    g.replay()
    assert y.amin().item() == y.amax().item() == 6 and other.amax().item() == 0
