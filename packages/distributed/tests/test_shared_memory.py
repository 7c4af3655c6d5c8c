"""Test collectives through shared memory, with sizes around those at which the algorithm changes."""

import ctypes
import os
import subprocess
import sys
import textwrap
from unittest import mock

import numpy as np
import pytest

import flambeau as fb
from flambeau import distributed as dist
from flambeau.distributed import _native, _shared_memory

# Sizes in bytes around which the algorithm changes: one phase, one slot, all slots of a rank, direct reads.
SIZES = [1, 16 << 10, 64 << 10, 256 << 10, 1 << 20]
COUNTS = sorted({size // 4 + more for size in SIZES for more in (0, 1, 33)})


def _own(count, rank, dtype=fb.float32):
    return ((fb.arange(count) * 7 + rank * 5) % 11).to(dtype)


def _all(count, size):
    return np.stack([_own(count, rank, fb.float64).numpy() for rank in range(size)])


def _reduced(dtype, op):
    found = []
    for count in COUNTS:
        x = _own(count + 1, dist.get_rank(), dtype)[1:]  # not aligned
        dist.all_reduce(x, op)
        found.append(x.double().numpy())
    return found


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64, fb.int64, fb.uint8], ids=str)
@pytest.mark.parametrize("size", [2, 3])
def test_all_reduce_of_tensors_of_all_sizes_matches_numpy(ranks, three_ranks, dtype, size):
    group = ranks if size == 2 else three_ranks
    results = {op: group.run(_reduced, dtype, op) for op in (dist.ReduceOp.SUM, dist.ReduceOp.MIN)}
    for step, count in enumerate(COUNTS):
        inputs = _all(count + 1, size)[:, 1:]
        for rank in range(size):
            np.testing.assert_array_equal(results[dist.ReduceOp.SUM][rank][step], inputs.sum(axis=0))
            np.testing.assert_array_equal(results[dist.ReduceOp.MIN][rank][step], inputs.min(axis=0))


def _moved():
    rank, size, found = dist.get_rank(), dist.get_world_size(), []
    for count in COUNTS:
        sent, gathered, part = _own(count, rank), fb.empty(size, count), fb.empty(count)
        dist.all_gather_into_tensor(gathered, sent)
        dist.reduce_scatter_tensor(part, fb.cat([_own(count, rank + to) for to in range(size)]))
        received = _own(count, rank)
        dist.broadcast(received, 1)
        found.append((gathered.numpy(), part.numpy(), received.numpy()))
    return found


def test_other_collectives_of_tensors_of_all_sizes_match_numpy(three_ranks):
    for rank, found in enumerate(three_ranks.run(_moved)):
        for count, (gathered, part, received) in zip(COUNTS, found, strict=True):
            np.testing.assert_array_equal(gathered, _all(count, 3))
            np.testing.assert_array_equal(received, _own(count, 1).numpy())
            np.testing.assert_array_equal(part, sum(_own(count, other + rank).numpy() for other in range(3)))


def _coalesced(counts):
    tensors = [_own(count, dist.get_rank(), fb.float64) for count in counts]
    tensors.append(_own(12, dist.get_rank(), fb.float64).view(3, 4).t())
    dist.all_reduce_coalesced(tensors, dist.ReduceOp.AVG)
    return [each.numpy() for each in tensors]


@pytest.mark.parametrize("counts", [[3, 0, 5], [1, 200_000, 0, 7, 100_001], [5] * 4200])
def test_coalesced_tensors_are_reduced_in_place(three_ranks, counts):
    for found in three_ranks.run(_coalesced, counts):
        for count, each in zip(counts, found, strict=False):
            np.testing.assert_array_equal(each, _all(count, 3).sum(axis=0) / 3)
        np.testing.assert_array_equal(found[-1], (_all(12, 3).sum(axis=0) / 3).reshape(3, 4).T)


def _nan():
    x = fb.tensor([1.0, float("nan"), 3.0] if dist.get_rank() else [float("nan"), 2.0, 4.0])
    y = x.clone()
    dist.all_reduce(x, dist.ReduceOp.MAX)
    dist.all_reduce(y, dist.ReduceOp.MIN)
    return x.tolist(), y.tolist()


def test_min_and_max_reductions_propagate_nan(ranks):
    for largest, smallest in ranks.run(_nan):
        np.testing.assert_array_equal(largest, [np.nan, np.nan, 4.0])
        np.testing.assert_array_equal(smallest, [np.nan, np.nan, 3.0])


def _while_locked():
    """Begin a collective, hold the GIL for a while, and return whether the collective is complete then."""
    x = fb.ones(1_000_000)
    dist.barrier()
    work = dist.all_reduce(x, async_op=True)
    ctypes.PyDLL(None).sleep(5)
    request = work._ready.__self__
    done = _native.wait(request._memory.group, request._job, -1.0) == 1  # poll without waiting
    work.wait()
    return done, x[0].item()


def test_asynchronous_collectives_progress_while_the_gil_is_held(ranks):
    assert ranks.run(_while_locked) == [(True, 2.0)] * 2


def _elsewhere(name, replacement):
    """Use a group whose ranks cannot share memory, or cannot read each other's private memory."""
    with mock.patch.object(_shared_memory, name, replacement):
        group = dist.new_group()
    rank, totals = dist.get_rank(group), []
    for count in (3, 200_000):
        x = _own(count, rank)
        dist.all_reduce(x, group=group)
        totals.append(x.numpy())
    with pytest.raises(RuntimeError, match=r"shape \[2\].*shape \[3\]"):
        dist.broadcast(fb.ones(2 + rank), 0, group=group)
    with pytest.raises(RuntimeError, match=r"rank 0 calls gather.*rank 1 calls barrier"):
        dist.barrier(group) if rank else dist.gather(fb.ones(2), [fb.ones(2)] * 2, group=group)
    pair = [_own(5, rank), _own(200_000, rank)]
    dist.all_reduce_coalesced(pair, group=group)
    dist.destroy_process_group(group)
    return totals, [each.numpy() for each in pair]


def _no(communicator):
    return False


@pytest.mark.parametrize("name", ["_on_one_machine", "_readable"])
def test_collectives_work_without_shared_memory(ranks, name):
    for totals, pair in ranks.run(_elsewhere, name, _no):
        for count, total in zip((3, 200_000), totals, strict=True):
            np.testing.assert_array_equal(total, _all(count, 2).sum(axis=0))
        np.testing.assert_array_equal(pair[1], _all(200_000, 2).sum(axis=0))


def _own_files():
    _nan()
    return [name for name in os.listdir("/dev/shm") if name.startswith(f"flambeau-{os.getpid()}-")]


def test_no_shared_memory_segments_are_left(ranks):
    assert ranks.run(_own_files) == [[], []]


def test_the_failure_to_start_a_thread_raises_an_error():
    """Limit the address space so that there is no room for the stack of a thread."""
    program = """
        import resource
        from flambeau.distributed import _native
        memory = bytearray(_native.memory_size(2, 4096))
        group = _native.open_group(memory, 0, 2, 4096)
        job = _native.begin(group, 0, b"key", b"text", [(0, 0)], [(0, 0)], 0, 0, "sum", "float32")
        with open("/proc/self/statm") as file:
            size = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + 2**20,) * 2)
        try:
            _native.attend(group)
        except OSError as error:
            print("raised", error)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout.startswith("raised"), done.stderr
