"""Test groups of ranks over NCCL: their creation and end, devices, errors and gradients."""

import importlib.util
import time

import numpy as np
import pytest
from rank_tensors import gpu_of_rank, rank_tensor, to_numpy

import flambeau as fb
from flambeau import distributed as dist
from flambeau.distributed._watch import GRACE


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


def test_collectives_in_subgroups_involve_only_their_members(three_ranks):
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


def test_invalid_calls_raise_and_leave_the_group_usable(ranks):
    assert ranks.run(_mistakes) == [[2.0] * 3] * 2


def _one_gpu_for_two():
    group = dist.new_group(backend="nccl")
    with fb.cuda.device(0), pytest.raises(dist.DistBackendError) as caught:
        dist.all_reduce(fb.ones(1, device="cuda"), group=group)
    dist.destroy_process_group(group)
    return str(caught.value)


def test_two_ranks_on_one_gpu_raise(ranks):
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


def test_process_groups_can_be_created_again(ranks):
    assert ranks.run(_again) == [2.0, 2.0]


def _checked():
    dist.set_debug_level(dist.DebugLevel.DETAIL)
    try:
        with pytest.raises(RuntimeError, match="rank 1 calls all_reduce"):
            dist.all_reduce(fb.ones(3 + dist.get_rank(), device="cuda"))
    finally:
        dist.set_debug_level(dist.DebugLevel.OFF)
    return True


def test_mismatched_collectives_are_detected(ranks):
    assert ranks.run(_checked) == [True, True]


def _gradients():
    rank = dist.get_rank()
    weight = fb.ones(3, device="cuda", requires_grad=True)
    (rank_tensor(fb.float32, rank).cuda()[:, :3] @ weight).square().sum().backward()
    dist.all_reduce(weight.grad, dist.ReduceOp.AVG)
    return to_numpy(weight.grad)


def test_distributed_data_parallel_averages_gradients_on_gpus(ranks):
    if importlib.util.find_spec("flambeau.autograd") is None:
        pytest.skip("flambeau-autograd is not installed")
    rows = [to_numpy(rank_tensor(fb.float32, rank))[:, :3] for rank in range(2)]
    expected = sum(2 * (x.sum(axis=1) @ x) for x in rows) / 2
    for found in ranks.run(_gradients):
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def _both_devices():
    rank = dist.get_rank()
    x, y = fb.full((2,), rank + 1.0), fb.full((2,), rank + 1.0, device="cuda")
    dist.all_reduce(x)
    dist.all_reduce(y)
    through_the_host = dist.new_group(backend="gloo")
    z, w = rank_tensor(fb.float32, rank).cuda(), fb.empty(3, 4, device="cuda")
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
    assert {each.device for each in (y, z, w, *gathered, bits)} == {gpu_of_rank()}
    return (
        x.tolist(),
        y.tolist(),
        to_numpy(z),
        to_numpy(gathered[1 - rank]),
        to_numpy(w) if rank else to_numpy(z),
        bits.item(),
    )


def test_a_group_with_two_backends_transfers_cpu_and_gpu_tensors(mixed_ranks):
    total = sum(to_numpy(rank_tensor(fb.float32, rank)) for rank in range(2))
    for x, y, *on_the_host, bits in mixed_ranks.run(_both_devices):
        assert (x, y, bits) == ([3.0] * 2, [3.0] * 2, 3)
        for found in on_the_host:
            np.testing.assert_array_equal(found, total)
