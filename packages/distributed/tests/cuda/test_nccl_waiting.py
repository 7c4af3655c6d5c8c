"""Test whether the stream, the program and freed memory wait for a collective over NCCL."""

import time

import pytest
from rank_tensors import store_of_test

import flambeau as fb
from flambeau import distributed as dist


def _the_program_continues(key):
    """Delay rank 1 until rank 0 has called ``wait``, which must block the stream but not the program."""
    store, rank = store_of_test(key), dist.get_rank()
    x = fb.full((3,), float(rank + 1), device="cuda")
    dist.barrier()  # otherwise the first collective waits until both ranks have created their communicator
    if rank:
        store.get("rank 0 went on")
    work = dist.all_reduce(x, async_op=True)
    early = work.is_completed()
    work.wait()
    y = x * 10
    after_the_wait = work.is_completed()
    if rank == 0:
        store.set("rank 0 went on", "")
    found = y.tolist()
    work.synchronize()
    return early, after_the_wait, found, work.is_completed(), work.is_success(), work.result()[0].tolist()


def test_wait_blocks_the_stream_but_not_the_program(ranks):
    first, second = ranks.run(_the_program_continues, "continues")
    assert first == (False, False, [30.0] * 3, True, True, [3.0] * 3)
    assert second[2:] == first[2:]


def _waits_elsewhere(key):
    store, x, y = store_of_test(key), fb.ones(2, device="cuda"), fb.ones(3, device="cuda")
    works = [dist.all_reduce(x, async_op=True), dist.all_reduce(y, async_op=True)]
    if dist.get_rank() == 0:
        store.get("rank 1 is done")
    for work in works:
        work.wait()
    found = x.tolist(), y.tolist()
    store.set("rank 1 is done", "")
    return found


def test_collectives_progress_while_the_program_waits_elsewhere(ranks):
    assert ranks.run(_waits_elsewhere, "elsewhere") == [([2.0] * 2, [2.0] * 3)] * 2


def _late(key):
    store, x = store_of_test(key), fb.ones(2, device="cuda")
    dist.barrier()  # creates the communicators, for which the first collective of each rank waits
    if dist.get_rank():
        store.get("rank 0 gave up")
    work = dist.all_reduce(x, async_op=True)
    message, started = "", time.monotonic()
    if dist.get_rank() == 0:
        with pytest.raises(dist.DistBackendError) as caught:
            work.wait(timeout=0.3)
        message = str(caught.value)
        store.set("rank 0 gave up", "")
    waited = time.monotonic() - started
    assert work.wait(timeout=30)
    assert work.is_completed()
    return message, waited, x.tolist(), work.get_future().wait()[0].tolist()


def test_wait_with_a_timeout_raises_if_a_rank_is_late(ranks):
    first, second = ranks.run(_late, "late")
    assert "all_reduce of rank 0 timed out after 0.3 s" in first[0]
    assert 0.3 <= first[1] < 10
    assert first[2:] == second[2:] == ([2.0] * 2,) * 2


def _barrier(key):
    store = store_of_test(key)
    dist.all_reduce(fb.ones(1, device="cuda"))
    if dist.get_rank():
        time.sleep(0.3)
        store.set("rank 1 came", "")
    dist.barrier()
    return store.check(["rank 1 came"])


def test_a_barrier_blocks_the_program(ranks):
    assert ranks.run(_barrier, "barrier") == [True, True]


def _memory():
    """Delete tensors while a collective still has to read and write them."""
    rank = dist.get_rank()
    x, out = fb.full((1000,), rank + 1.0, device="cuda"), fb.zeros(2000, device="cuda")
    fb.cuda.synchronize()
    work = dist.all_gather_into_tensor(out, x, async_op=True)
    address = x.data_ptr()
    del x
    y = fb.full((1000,), 7.0, device="cuda")
    fb.cuda.current_stream().synchronize()
    moved = y.data_ptr() != address
    work.wait()
    other = dist.all_reduce(fb.ones(500, device="cuda"), async_op=True)
    z = fb.full((500,), 5.0, device="cuda")
    fb.cuda.current_stream().synchronize()
    other.wait()
    return moved, out[::1000].tolist(), z.sum().item()


def test_memory_is_kept_until_the_collective_is_done(ranks):
    assert ranks.run(_memory) == [(True, [1.0, 2.0], 2500.0)] * 2


def _message_in_memory():
    """Delete a tensor while a message still has to read it."""
    rank = dist.get_rank()
    x, y = fb.full((1000,), rank + 1.0, device="cuda"), fb.zeros(1000, device="cuda")
    dist.all_reduce(fb.ones(1, device="cuda"))
    fb.cuda.synchronize()
    works = dist.batch_isend_irecv([dist.P2POp(dist.isend, x, 1 - rank), dist.P2POp(dist.irecv, y, 1 - rank)])
    address = x.data_ptr()
    del x
    others = [fb.full((1000,), 7.0, device="cuda") for _ in range(3)]
    fb.cuda.current_stream().synchronize()
    for work in works:
        work.wait()
    return address in [each.data_ptr() for each in others], y[0].item()


def test_memory_is_kept_until_the_message_is_sent(ranks):
    assert ranks.run(_message_in_memory) == [(False, 2.0), (False, 1.0)]


def _received_for_another_stream():
    """Receive into a tensor that another stream reads later."""
    x, other = fb.full((1000,), dist.get_rank() + 1.0, device="cuda"), fb.cuda.Stream()
    outputs = [fb.zeros(1000, device="cuda") for _ in range(2)]
    fb.cuda.synchronize()
    work = dist.all_gather(outputs, x, async_op=True)
    fb.cuda.synchronize()
    with fb.cuda.stream(other):
        work.wait()
    del work
    others = [fb.full((2, 1000), 7.0, device="cuda") for _ in range(5)]
    fb.cuda.current_stream().synchronize()
    other.synchronize()
    return [each[0].item() for each in outputs], others[0][0, 0].item()


def test_received_memory_lives_until_it_is_copied(ranks):
    assert ranks.run(_received_for_another_stream) == [([1.0, 2.0], 7.0)] * 2


def _computed_on_the_host():
    """Reduce a result that was computed on the CPU."""
    x = fb.linalg.eigvalsh(fb.eye(4, device="cuda") * (dist.get_rank() + 1))
    dist.all_reduce(x, async_op=True).wait(timeout=30)
    return x.tolist()


def test_collectives_wait_for_values_that_the_cpu_computed(ranks):
    assert ranks.run(_computed_on_the_host) == [[3.0] * 4] * 2


def _other_streams():
    """Start a collective in one stream and wait for it in another."""
    stream = fb.cuda.Stream()
    x = fb.ones(1000, device="cuda")
    stream.wait_stream(fb.cuda.current_stream())
    with fb.cuda.stream(stream):
        for _ in range(3):
            x *= 2
        work = dist.all_reduce(x, async_op=True)
        work.wait(timeout=30)
        x += 1
    stream.synchronize()
    return x[0].item()


def test_a_collective_can_be_waited_for_in_another_stream(ranks):
    assert ranks.run(_other_streams) == [17.0, 17.0]
