"""Test collectives over NCCL, with one GPU per process, against NumPy. Emulated GPUs delay work as long as possible."""

import importlib.util
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from process import run
from rank_fixtures import pool

import flambeau as fb
from flambeau import distributed as dist
from flambeau.distributed._watch import GRACE

EMULATED = "FLAMBEAU_CUDA_DRIVER" in os.environ
REDUCED = [fb.float32, fb.float64, fb.float16, fb.bfloat16, fb.int8, fb.uint8, fb.int32, fb.int64, fb.uint32, fb.uint64]
MOVED = [fb.float32, fb.bool, fb.int16, fb.complex64, fb.bfloat16]


def _ranks(size, backend, monkeypatch):
    if not EMULATED and fb.cuda.device_count() < size:
        pytest.skip(f"needs {size} GPUs, or --emulated-gpu")
    if not fb._core._cuda_nccl_version():
        pytest.skip("NCCL is not installed")
    monkeypatch.setenv("FLAMBEAU_EMULATED_DEVICES", str(size))
    monkeypatch.setenv("FLAMBEAU_EMULATED_DEFERRED", "1")
    return pool(size, backend)


@pytest.fixture
def ranks(_ended, monkeypatch):
    """Two ranks that use NCCL only."""
    return _ranks(2, "nccl", monkeypatch)


@pytest.fixture
def three_ranks(_ended, monkeypatch):
    return _ranks(3, "nccl", monkeypatch)


@pytest.fixture
def mixed_ranks(_ended, monkeypatch):
    """Two ranks that use MPI for CPU tensors and NCCL for GPU tensors."""
    if importlib.util.find_spec("mpi4py") is None:
        pytest.skip("mpi4py is not installed")
    return _ranks(2, "cpu:gloo,cuda:nccl", monkeypatch)


def _own(dtype, rank, size=(3, 4)):
    """Return a tensor of small numbers that differ between ranks."""
    return ((fb.arange(float(np.prod(size))) + rank * 5) % 7 + 1).reshape(size).to(dtype)


def _host(tensor):
    """Copy a tensor to a NumPy array."""
    on_cpu = tensor.cpu()
    return on_cpu.numpy() if on_cpu.is_complex() else on_cpu.double().numpy()


def _gpu_of_rank():
    return fb.device("cuda", dist.get_rank())


def _store(name):
    """Return the store that synchronises the ranks of a test."""
    return dist.PrefixStore(f"test {name}", dist.groups._require_program().store)


def _all_reduce(dtype, op):
    x = _own(dtype, dist.get_rank()).cuda()
    assert dist.all_reduce(x, op) is None
    assert x.device == _gpu_of_rank()
    return _host(x)


@pytest.mark.parametrize("dtype", REDUCED, ids=str)
@pytest.mark.parametrize("name", ["SUM", "PRODUCT", "MIN", "MAX"])
def test_all_reduce(ranks, dtype, name):
    reference = {"SUM": np.sum, "PRODUCT": np.prod, "MIN": np.min, "MAX": np.max}[name]
    inputs = np.stack([_host(_own(dtype, rank)) for rank in range(2)])
    for found in ranks.run(_all_reduce, dtype, dist.ReduceOp[name]):
        np.testing.assert_array_equal(found, reference(inputs, axis=0))


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64, fb.complex64, fb.complex128], ids=str)
def test_means_and_complex_numbers(ranks, dtype):
    inputs = np.stack([_host(_own(dtype, rank)) for rank in range(2)])
    for found in ranks.run(_all_reduce, dtype, dist.ReduceOp.AVG):
        np.testing.assert_array_equal(found, inputs.mean(axis=0))
    for found in ranks.run(_all_reduce, dtype, dist.ReduceOp.SUM):
        np.testing.assert_array_equal(found, inputs.sum(axis=0))


def _truth(op):
    x = fb.tensor([True, False, True, False], device="cuda") & (fb.arange(4, device="cuda") // 2 <= dist.get_rank())
    dist.all_reduce(x, op)
    return x.view(fb.uint8).tolist()


def test_truth_values(ranks):
    assert ranks.run(_truth, dist.ReduceOp.SUM) == [[1, 0, 1, 0]] * 2
    assert ranks.run(_truth, dist.ReduceOp.PRODUCT) == [[1, 0, 0, 0]] * 2


def _everything(dtype):
    """Run all collectives that copy or concatenate, and return this rank's results by name."""
    rank, size = dist.get_rank(), dist.get_world_size()
    x = _own(dtype, rank).cuda()
    found = {}
    y = x.clone()
    dist.broadcast(y, 1)
    found["broadcast"] = [y]
    found["all_gather"] = [fb.empty_like(x) for _ in range(size)]
    dist.all_gather(found["all_gather"], x)
    stacked = x.new_empty((size, *x.shape))
    dist.all_gather_into_tensor(stacked, x)
    found["all_gather_into_tensor"] = list(stacked)
    found["gather"] = [fb.empty_like(x) for _ in range(size)] if rank == 1 else []
    dist.gather(x, found["gather"] or None, dst=1)
    y = fb.empty_like(x)
    dist.scatter(y, [x + x, x] if rank == 0 else None, src=0)
    found["scatter"] = [y]
    y = x.new_empty((4, 3)).mT  # not contiguous
    dist.all_to_all_single(y, x, [1 + rank, 2 - rank], [1 + rank, 2 - rank])
    found["all_to_all_single"] = [y]
    found["all_to_all"] = [x.new_empty(1 + peer + 2 * rank) for peer in range(size)]
    dist.all_to_all(found["all_to_all"], [x.view(-1)[: 1 + rank + 2 * peer] for peer in range(size)])
    dist.barrier()
    return {name: [_host(each) for each in tensors] for name, tensors in found.items()}


@pytest.mark.parametrize("dtype", MOVED, ids=str)
def test_collectives_of_every_dtype(ranks, dtype):
    x = [_host(_own(dtype, rank)) for rank in range(2)]
    twice = _host(_own(dtype, 0) + _own(dtype, 0))
    for rank, found in enumerate(ranks.run(_everything, dtype)):
        expected = {
            "broadcast": [x[1]],
            "all_gather": x,
            "all_gather_into_tensor": x,
            "gather": x if rank == 1 else [],
            "scatter": [twice if rank == 0 else x[0]],
            "all_to_all_single": [np.concatenate([x[0][:1], x[1][:2]] if rank == 0 else [x[0][1:], x[1][2:]])],
            "all_to_all": [x[peer].ravel()[: 1 + peer + 2 * rank] for peer in range(2)],
        }
        assert list(found) == list(expected)
        for name, arrays in expected.items():
            assert len(found[name]) == len(arrays)
            for ours, theirs in zip(found[name], arrays, strict=True):
                np.testing.assert_array_equal(ours, theirs, err_msg=f"{name} on rank {rank}")


def _reductions():
    rank = dist.get_rank()
    x = _own(fb.float32, rank, (4, 3)).cuda()
    y, z = x.clone(), x.new_empty(2, 3)
    dist.reduce(y, 1, dist.ReduceOp.MAX)
    dist.reduce_scatter_tensor(z, x)
    w = x.new_empty(2, 3)
    dist.reduce_scatter(w, [x[:2], x[2:]], dist.ReduceOp.AVG)
    several = [x.clone(), x[0].clone()]
    dist.all_reduce_coalesced(several)
    columns = x.mT.clone().mT  # on rank 1, a tensor with other strides
    columns = columns if rank else x.clone()
    dist.all_reduce(columns)
    return [_host(each) for each in (y, z, w, *several, columns)]


def test_reductions_to_one_rank(ranks):
    x = np.stack([_host(_own(fb.float32, rank, (4, 3))) for rank in range(2)])
    total = x.sum(axis=0)
    for rank, (largest, part, mean, *all_of_them) in enumerate(ranks.run(_reductions)):
        if rank == 1:
            np.testing.assert_array_equal(largest, x.max(axis=0))
        np.testing.assert_array_equal(part, total[2 * rank :][:2])
        np.testing.assert_array_equal(mean, total[2 * rank :][:2] / 2)
        for ours, theirs in zip(all_of_them, [total, total[0], total], strict=True):
            np.testing.assert_array_equal(ours, theirs)


def _without_elements():
    x, y = fb.empty(0, 3, device="cuda"), fb.empty(2, 0, 3, device="cuda")
    dist.all_reduce(x)
    dist.broadcast(x, 0)
    dist.all_gather_into_tensor(y, x)
    dist.gather(x, list(y) if dist.get_rank() == 0 else None)
    dist.all_to_all_single(x, x.clone())
    return True


def test_tensors_without_elements(ranks):
    assert ranks.run(_without_elements) == [True, True]


def _the_program_goes_on(key):
    """Delay rank 1 until rank 0 has called ``wait``, which must block the stream and not the program."""
    store, rank = _store(key), dist.get_rank()
    x = fb.full((3,), float(rank + 1), device="cuda")
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


def test_a_wait_stops_the_stream_and_not_the_program(ranks):
    first, second = ranks.run(_the_program_goes_on, "goes on")
    assert first == (False, False, [30.0] * 3, True, True, [3.0] * 3)
    assert second[2:] == first[2:]


def _waits_elsewhere(key):
    store, x, y = _store(key), fb.ones(2, device="cuda"), fb.ones(3, device="cuda")
    works = [dist.all_reduce(x, async_op=True), dist.all_reduce(y, async_op=True)]
    if dist.get_rank() == 0:
        store.get("rank 1 is done")
    for work in works:
        work.wait()
    found = x.tolist(), y.tolist()
    store.set("rank 1 is done", "")
    return found


def test_collectives_go_on_while_the_program_waits_elsewhere(ranks):
    assert ranks.run(_waits_elsewhere, "elsewhere") == [([2.0] * 2, [2.0] * 3)] * 2


def _late(key):
    store, x = _store(key), fb.ones(2, device="cuda")
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


def test_a_wait_with_a_timeout(ranks):
    first, second = ranks.run(_late, "late")
    assert "all_reduce of rank 0 timed out after 0.3 s" in first[0]
    assert 0.3 <= first[1] < 10
    assert first[2:] == second[2:] == ([2.0] * 2,) * 2


def _barrier(key):
    store = _store(key)
    dist.all_reduce(fb.ones(1, device="cuda"))
    if dist.get_rank():
        time.sleep(0.3)
        store.set("rank 1 came", "")
    dist.barrier()
    return store.check(["rank 1 came"])


def test_a_barrier_stops_the_program(ranks):
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


def test_a_tensor_that_the_cpu_computed(ranks):
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


def test_streams(ranks):
    assert ranks.run(_other_streams) == [17.0, 17.0]


def _messages():
    rank = dist.get_rank()
    x, y = _own(fb.int16, rank).cuda(), fb.empty(4, 3, dtype=fb.int16, device="cuda").mT
    if rank == 0:
        dist.send(x, 1)
        came_from = dist.recv(y, src=1)
    else:
        came_from = dist.recv(y, src=0)
        dist.send(x, 0)
    others = [fb.empty_like(x), fb.empty_like(x)]
    ways = [dist.P2POp(dist.isend, x, 1 - rank), dist.P2POp(dist.irecv, others[0], 1 - rank)]
    ways += [dist.P2POp(dist.isend, x + x, 1 - rank), dist.P2POp(dist.irecv, others[1], 1 - rank)]
    for work in dist.batch_isend_irecv(ways):
        work.wait()
    return came_from, [_host(each) for each in (y, *others)]


def test_messages(ranks):
    x = [_host(_own(fb.int16, rank)) for rank in range(2)]
    for rank, (came_from, found) in enumerate(ranks.run(_messages)):
        assert came_from == 1 - rank
        for ours, theirs in zip(found, [x[1 - rank], x[1 - rank], 2 * x[1 - rank]], strict=True):
            np.testing.assert_array_equal(ours, theirs)


def _ring():
    rank = dist.get_rank()
    x, y = fb.full((2,), float(rank), device="cuda"), fb.empty(2, device="cuda")
    ways = [dist.P2POp(dist.isend, x, (rank + 1) % 3), dist.P2POp(dist.irecv, y, (rank - 1) % 3)]
    for work in dist.batch_isend_irecv(ways):
        work.wait()
    return y.tolist()


def test_messages_in_a_ring(three_ranks):
    assert three_ranks.run(_ring) == [[2.0] * 2, [0.0] * 2, [1.0] * 2]


def _two_of_three():
    """Exchange messages between two of three ranks, alongside collectives of all three."""
    rank, x = dist.get_rank(), fb.ones(2, device="cuda")
    if rank == 0:
        dist.send(x, 2)  # the first message between two ranks waits until both have created their communicator
        work = dist.isend(x * 5, 2)
    elif rank == 2:
        dist.recv(fb.empty(2, device="cuda"), 0)
    dist.all_reduce(x)
    if rank == 0:
        work.wait()
    y = fb.zeros(2, device="cuda")
    if rank == 2:
        dist.recv(y, 0)
    return x.tolist(), y.tolist()


def test_messages_during_collectives(three_ranks):
    found = three_ranks.run(_two_of_three)
    assert [x for x, _ in found] == [[3.0] * 2] * 3
    assert found[2][1] == [5.0] * 2


def _objects():
    rank = dist.get_rank()
    everyone, gathered = [None, None], [None, None]
    dist.all_gather_object(everyone, {"rank": rank, "text": "x" * (rank * 100)})
    dist.gather_object(("of", rank), gathered if rank == 1 else None, dst=1)
    sent = [1, "two", [3.0]] if rank == 0 else [None] * 3
    dist.broadcast_object_list(sent, 0)
    own = [None]
    dist.scatter_object_list(own, ["zero", "one"] if rank == 0 else None, src=0)
    passed = [{"a": 1}] if rank == 0 else [None]
    if rank == 0:
        dist.send_object_list(passed, 1)
    else:
        assert dist.recv_object_list(passed, 0) == 0
    return [len(each["text"]) for each in everyone], gathered, sent, own, passed


def test_objects(ranks):
    first, second = ranks.run(_objects)
    assert first == ([0, 100], [None, None], [1, "two", [3.0]], ["zero"], [{"a": 1}])
    assert second == ([0, 100], [("of", 0), ("of", 1)], [1, "two", [3.0]], ["one"], [{"a": 1}])


def _groups():
    rank, x = dist.get_rank(), fb.full((1,), 10.0 ** dist.get_rank(), device="cuda")
    pair, swapped = dist.new_group([0, 2]), dist.new_group([2, 1])
    y, z = x.clone(), x.clone()
    if rank != 1:
        dist.all_reduce(y, group=pair)
        dist.broadcast(z, src=2, group=pair)
    w = x.clone()
    if rank != 0:
        dist.broadcast(w, group=swapped, group_src=0)
        dist.barrier(swapped)
    dist.all_reduce(x)
    if rank != 1:
        dist.destroy_process_group(pair)
    return [each.item() for each in (x, y, z, w)]


def test_groups(three_ranks):
    first, second, third = three_ranks.run(_groups)
    assert first == [111.0, 101.0, 100.0, 1.0]
    assert second == [111.0, 10.0, 10.0, 10.0]
    assert third == [111.0, 101.0, 100.0, 10.0]  # new_group sorts the ranks


def _mistakes():
    """Check that invalid calls fail before anything is sent, so that the group stays usable."""
    x = fb.ones(3, device="cuda")
    dist.all_reduce(x.clone())
    mistakes = {
        "ReduceOp.BAND": lambda: dist.all_reduce(x.int(), dist.ReduceOp.BAND),
        "does not support ReduceOp.PRODUCT": lambda: dist.all_reduce(x.to(fb.complex64), dist.ReduceOp.PRODUCT),
        "int16": lambda: dist.all_reduce(x.short()),
        "pass src=...": lambda: dist.recv(x),
        "device type cpu": lambda: dist.all_reduce(x.cpu()),
        "device type cpu: this group": dist.monitored_barrier,
        "but got tensors on cuda:": lambda: dist.all_reduce(fb.ones(3, device=f"cuda:{1 - dist.get_rank()}")),
    }
    for text, call in mistakes.items():
        with pytest.raises((RuntimeError, ValueError, TypeError), match=text):
            call()
    dist.all_reduce(x)
    return x.tolist()


def test_mistakes(ranks):
    assert ranks.run(_mistakes) == [[2.0] * 3] * 2


def _one_gpu_for_two():
    group = dist.new_group(backend="nccl")
    with fb.cuda.device(0), pytest.raises(dist.DistBackendError) as caught:
        dist.all_reduce(fb.ones(1, device="cuda"), group=group)
    dist.destroy_process_group(group)
    return str(caught.value)


def test_one_gpu_for_two_ranks(ranks):
    for message in ranks.run(_one_gpu_for_two):
        assert "ranks 0 and 1 of the group use the same GPU" in message
        assert "set_device(int(os.environ['LOCAL_RANK']))" in message


def _absent():
    group = dist.new_group(backend="nccl", timeout=0.5)
    message = ""
    if dist.get_rank() == 0:
        with pytest.raises(dist.DistBackendError) as caught:
            dist.all_reduce(fb.ones(1, device="cuda"), group=group)
        message = str(caught.value)
    dist.destroy_process_group(group)
    return message


def test_a_missing_rank_raises_after_the_timeout(ranks):
    assert "ranks [1] of the group did not connect through NCCL within 0.5 s" in ranks.run(_absent)[0]


def _again():
    """Destroy the process group, and initialise it again with the store of the first one, which adds a prefix."""
    program = dist.groups._require_program()
    store, rank, size = program.store, program.rank, program.size
    dist.all_reduce(fb.ones(1, device="cuda"))
    dist.destroy_process_group()
    if rank == 0:
        time.sleep(GRACE + 0.5)  # rank 1 must not take the end of the first group for the end of rank 0
    dist.init_process_group("nccl", store=store, rank=rank, world_size=size, timeout=30)
    x = fb.ones(1, device="cuda")
    if rank == 0:
        time.sleep(0.3)  # rank 1 must not read the store's values from the first group
    dist.all_reduce(x)
    return x.item()


def test_a_program_that_begins_again(ranks):
    assert ranks.run(_again) == [2.0, 2.0]


def _checked():
    dist.set_debug_level(dist.DebugLevel.DETAIL)
    try:
        with pytest.raises(RuntimeError, match="rank 1 calls all_reduce"):
            dist.all_reduce(fb.ones(3 + dist.get_rank(), device="cuda"))
    finally:
        dist.set_debug_level(dist.DebugLevel.OFF)
    return True


def test_calls_are_compared(ranks):
    assert ranks.run(_checked) == [True, True]


def _gradients():
    rank = dist.get_rank()
    weight = fb.ones(3, device="cuda", requires_grad=True)
    (_own(fb.float32, rank).cuda()[:, :3] @ weight).square().sum().backward()
    dist.all_reduce(weight.grad, dist.ReduceOp.AVG)
    return _host(weight.grad)


def test_gradients(ranks):
    if importlib.util.find_spec("flambeau.autograd") is None:
        pytest.skip("flambeau-autograd is not installed")
    rows = [_host(_own(fb.float32, rank))[:, :3] for rank in range(2)]
    expected = sum(2 * (x.sum(axis=1) @ x) for x in rows) / 2
    for found in ranks.run(_gradients):
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def _both_devices():
    rank = dist.get_rank()
    x, y = fb.full((2,), rank + 1.0), fb.full((2,), rank + 1.0, device="cuda")
    dist.all_reduce(x)
    dist.all_reduce(y)
    through_the_host = dist.new_group(backend="gloo")
    z, w = _own(fb.float32, rank).cuda(), fb.empty(3, 4, device="cuda")
    dist.all_reduce(z, group=through_the_host)
    gathered = [fb.empty(3, 4, device="cuda") for _ in range(2)]
    dist.all_gather(gathered, z, group=through_the_host)
    if rank == 0:
        dist.send(z, 1, group=through_the_host)
    else:
        dist.recv(w, group=through_the_host)
    dist.monitored_barrier()
    bits = fb.tensor([rank + 1], device="cuda")
    work = dist.all_reduce(bits, dist.ReduceOp.BOR, group=through_the_host, async_op=True)
    work.wait()
    assert {each.device for each in (y, z, w, *gathered, bits)} == {_gpu_of_rank()}
    return x.tolist(), y.tolist(), _host(z), _host(gathered[1 - rank]), _host(w) if rank else _host(z), bits.item()


def test_groups_of_both_devices_and_gpus_through_the_host(mixed_ranks):
    total = sum(_host(_own(fb.float32, rank)) for rank in range(2))
    for x, y, *on_the_host, bits in mixed_ranks.run(_both_devices):
        assert (x, y, bits) == ([3.0] * 2, [3.0] * 2, 3)
        for found in on_the_host:
            np.testing.assert_array_equal(found, total)


emulated = pytest.mark.skipif(not EMULATED, reason="in a process of its own, which the emulated GPU makes quick")


@emulated
@pytest.mark.parametrize(
    ("missing", "text"), [("NCCL", "pip install nvidia-nccl-cu13"), ("CUDA_DRIVER", "CUDA is not available: ")]
)
def test_errors_name_missing_libraries(missing, text):
    code = f"""
os.environ["FLAMBEAU_{missing}"] = "none"
from flambeau import distributed as dist
store = dist.HashStore()
dist.PrefixStore("rendezvous 0", store).add("rank 1", 1)  # pretend that rank 1 is present
try:
    dist.init_process_group("nccl", store=store, rank=0, world_size=2)
except dist.DistBackendError as error:
    print(error)
print(dist.is_nccl_available(), dist.is_initialized())
"""
    message, state = run(code).split("\n")
    assert message.startswith("the backend 'nccl' needs a GPU and NCCL: ") and text in message
    assert state == "False False"


BY_MPIEXEC = """
import flambeau as fb
from flambeau import distributed as dist

dist.init_process_group("nccl")
fb.cuda.set_device(dist.get_rank())
x = fb.ones(2, device="cuda")
dist.all_reduce(x)
group = dist.new_group([1], backend="nccl")
if dist.get_rank() == 0:
    print(x.tolist())
dist.destroy_process_group()
"""


@emulated
def test_processes_that_mpiexec_started():
    mpiexec = shutil.which("mpiexec")
    if mpiexec is None or importlib.util.find_spec("mpi4py") is None:
        pytest.skip("mpi4py and mpiexec are not installed")
    done = subprocess.run(
        [mpiexec, "-n", "2", sys.executable, "-c", BY_MPIEXEC],
        env={**os.environ, "FLAMBEAU_EMULATED_DEVICES": "2"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "[2.0, 2.0]\n"), done.stderr
