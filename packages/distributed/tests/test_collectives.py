"""Test collectives against NumPy."""

import numpy as np
import pytest

import flambeau as fb
from flambeau import distributed as dist

NUMBERS = [fb.float32, fb.float64, fb.float16, fb.bfloat16, fb.int8, fb.uint8, fb.int16, fb.int32, fb.int64]
NUMBERS += [fb.uint16, fb.uint32, fb.uint64]
REDUCTIONS = {"SUM": np.sum, "PRODUCT": np.prod, "MIN": np.min, "MAX": np.max}
TRUTH = {"SUM": np.any, "MAX": np.any, "BOR": np.any, "PRODUCT": np.all, "MIN": np.all, "BAND": np.all}
BITS = {"BAND": np.bitwise_and, "BOR": np.bitwise_or, "BXOR": np.bitwise_xor}


def _own(dtype, rank, size=(3, 4)):
    return ((fb.arange(float(np.prod(size))) + rank * 5) % 7 + 1).reshape(size).to(dtype)


def _all(dtype, count, size=(3, 4)):
    return np.stack([_own(dtype, rank, size).numpy() for rank in range(count)])


def _all_reduce(dtype, name):
    x = _own(dtype, dist.get_rank())
    assert dist.all_reduce(x, dist.ReduceOp[name]) is None
    return x.double().numpy()


@pytest.mark.parametrize("dtype", NUMBERS, ids=str)
@pytest.mark.parametrize("name", REDUCTIONS)
def test_all_reduce_matches_numpy(ranks, dtype, name):
    inputs = np.stack([_own(dtype, rank).double().numpy() for rank in range(2)])
    for found in ranks.run(_all_reduce, dtype, name):
        np.testing.assert_array_equal(found, REDUCTIONS[name](inputs, axis=0))


def _complex(name):
    x = fb.complex(_own(fb.float64, dist.get_rank()), _own(fb.float64, 3))
    dist.all_reduce(x, dist.ReduceOp[name])
    return x.numpy()


@pytest.mark.parametrize("name", ["SUM", "PRODUCT", "AVG"])
def test_all_reduce_of_complex_numbers_matches_numpy(ranks, name):
    inputs = _all(fb.float64, 2) + 1j * _own(fb.float64, 3).numpy()
    wanted = {"SUM": np.sum, "PRODUCT": np.prod, "AVG": np.mean}[name](inputs, axis=0)
    for found in ranks.run(_complex, name):
        np.testing.assert_allclose(found, wanted, rtol=1e-15)


def _of_truth_values(name):
    x = _own(fb.int64, dist.get_rank()) > 3
    dist.all_reduce(x, dist.ReduceOp[name])
    return x.numpy()


@pytest.mark.parametrize("name", TRUTH)
def test_all_reduce_of_booleans_matches_numpy(ranks, name):
    for found in ranks.run(_of_truth_values, name):
        np.testing.assert_array_equal(found, TRUTH[name](_all(fb.int64, 2) > 3, axis=0))


def _bits(name):
    x = _own(fb.int32, dist.get_rank())
    dist.all_reduce(x, dist.ReduceOp[name])
    return x.numpy()


@pytest.mark.parametrize("name", BITS)
def test_bitwise_all_reduce_matches_numpy(three_ranks, name):
    for found in three_ranks.run(_bits, name):
        np.testing.assert_array_equal(found, BITS[name].reduce(_all(fb.int32, 3), axis=0))


def _mean(dtype):
    x = _own(dtype, dist.get_rank())
    dist.all_reduce(x, dist.ReduceOp.AVG)
    return x.double().numpy()


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64, fb.bfloat16], ids=str)
def test_all_reduce_computes_means(ranks, dtype):
    wanted = np.mean([_own(dtype, rank).double().numpy() for rank in range(2)], axis=0)
    for found in ranks.run(_mean, dtype):
        np.testing.assert_array_equal(found, wanted)


def _of_views():
    whole = fb.zeros(4, 6)
    view = whole[:, ::2].t()
    view.copy_(_own(fb.float32, dist.get_rank(), (3, 4)))
    dist.all_reduce(view)
    received = fb.zeros(6, 4).t()[:, 1:]
    dist.broadcast(received if dist.get_rank() else _own(fb.float32, 0, (4, 5)), 0)
    conjugate = fb.tensor([1 + 2j]).conj()
    dist.all_reduce(conjugate)
    return whole.numpy(), received.numpy(), conjugate.resolve_conj().numpy()


def test_collectives_of_noncontiguous_tensors_write_only_their_elements(ranks):
    wanted = _all(fb.float32, 2).sum(axis=0).T
    for rank, (whole, received, conjugate) in enumerate(ranks.run(_of_views)):
        np.testing.assert_array_equal(whole[:, ::2], wanted)
        assert not whole[:, 1::2].any()
        if rank:
            np.testing.assert_array_equal(received, _own(fb.float32, 0, (4, 5)).numpy())
        np.testing.assert_array_equal(conjugate, [2 - 4j])


def _reduce(root):
    x = _own(fb.float64, dist.get_rank())
    dist.reduce(x, root, dist.ReduceOp.AVG)
    return x.numpy()


@pytest.mark.parametrize("root", [0, 2])
def test_reduce_sends_the_mean_to_the_root(three_ranks, root):
    found = three_ranks.run(_reduce, root)[root]
    np.testing.assert_allclose(found, _all(fb.float64, 3).mean(axis=0), rtol=1e-15)


def _broadcast(dtype, root):
    x = _own(dtype, dist.get_rank())
    dist.broadcast(x, src=root)
    return x.double().numpy()


@pytest.mark.parametrize("dtype", [fb.float32, fb.bfloat16, fb.bool, fb.int64], ids=str)
def test_broadcast_sends_the_tensor_of_the_source_to_all_ranks(three_ranks, dtype):
    for found in three_ranks.run(_broadcast, dtype, 1):
        np.testing.assert_array_equal(found, _own(dtype, 1).double().numpy())


def _gathered(root):
    rank, size = dist.get_rank(), dist.get_world_size()
    x = _own(fb.float32, rank)
    everyone = [fb.empty(3, 4) for _ in range(size)]
    dist.all_gather(everyone, x)
    stacked, behind = fb.empty(size, 3, 4), fb.empty(size * 3, 4)
    dist.all_gather_into_tensor(stacked, x)
    dist.all_gather_into_tensor(behind, x)
    at_root = [fb.empty(3, 4) for _ in range(size)] if rank == root else None
    dist.gather(x, at_root, dst=root)
    shown = fb.stack(at_root).numpy() if at_root else None
    return fb.stack(everyone).numpy(), stacked.numpy(), behind.numpy(), shown


def test_gather_and_all_gather_collect_the_tensors_of_all_ranks(three_ranks):
    wanted = _all(fb.float32, 3)
    for rank, (everyone, stacked, behind, at_root) in enumerate(three_ranks.run(_gathered, 1)):
        np.testing.assert_array_equal(everyone, wanted)
        np.testing.assert_array_equal(stacked, wanted)
        np.testing.assert_array_equal(behind, wanted.reshape(9, 4))
        assert (at_root is None) == (rank != 1)
        if rank == 1:
            np.testing.assert_array_equal(at_root, wanted)


def _scattered():
    rank, size = dist.get_rank(), dist.get_world_size()
    x = fb.zeros(3, 4)
    dist.scatter(x, [_own(fb.float32, each) for each in range(size)] if rank == 2 else None, src=2)
    return x.numpy()


def test_scatter_sends_one_tensor_to_each_rank(three_ranks):
    for rank, found in enumerate(three_ranks.run(_scattered)):
        np.testing.assert_array_equal(found, _own(fb.float32, rank).numpy())


def _reduce_scattered(dtype):
    rank, size = dist.get_rank(), dist.get_world_size()
    parts = _own(dtype, rank, (size, 4))
    first, second, third = (fb.empty(4, dtype=dtype) for _ in range(3))
    dist.reduce_scatter_tensor(first, parts)
    dist.reduce_scatter(second, list(parts), dist.ReduceOp.MAX)
    dist.reduce_scatter_tensor(third, parts.reshape(-1), dist.ReduceOp.SUM)
    return first.double().numpy(), second.double().numpy(), third.double().numpy()


@pytest.mark.parametrize("dtype", [fb.float32, fb.float16, fb.int64], ids=str)
def test_reduce_scatter_matches_numpy(three_ranks, dtype):
    inputs = np.stack([_own(dtype, rank, (3, 4)).double().numpy() for rank in range(3)])
    for rank, (first, second, third) in enumerate(three_ranks.run(_reduce_scattered, dtype)):
        np.testing.assert_array_equal(first, inputs.sum(axis=0)[rank])
        np.testing.assert_array_equal(second, inputs.max(axis=0)[rank])
        np.testing.assert_array_equal(third, first)


def _exchanged():
    rank, size = dist.get_rank(), dist.get_world_size()
    even = fb.empty(size, 2)
    dist.all_to_all_single(even, _own(fb.float32, rank, (size, 2)))
    sent, received = [rank + to for to in range(size)], [rank + come_from for come_from in range(size)]
    uneven = fb.empty(sum(received), 2)
    dist.all_to_all_single(uneven, _own(fb.float32, rank, (sum(sent), 2)), received, sent)
    lists = [fb.empty(rank + come_from, 2) for come_from in range(size)]
    dist.all_to_all(lists, [fb.full((rank + to, 2), 10.0 * rank + to) for to in range(size)])
    return even.numpy(), uneven.numpy(), [each.tolist() for each in lists]


def test_all_to_all_exchanges_equal_and_unequal_parts(three_ranks):
    size = 3
    for rank, (even, uneven, lists) in enumerate(three_ranks.run(_exchanged)):
        inputs = [_own(fb.float32, each, (size, 2)).numpy() for each in range(size)]
        np.testing.assert_array_equal(even, [each[rank] for each in inputs])
        parts = []
        for each in range(size):
            rows = [each + to for to in range(size)]
            whole = _own(fb.float32, each, (sum(rows), 2)).numpy()
            parts.append(whole[sum(rows[:rank]) :][: rows[rank]])
        np.testing.assert_array_equal(uneven, np.concatenate(parts))
        assert lists == [[[10.0 * each + rank] * 2] * (rank + each) for each in range(size)]


def _coalesced():
    rank = dist.get_rank()
    tensors = [_own(fb.float32, rank), _own(fb.float32, rank, (5,)), fb.zeros(0)]
    dist.all_reduce_coalesced(tensors)
    rows = [[fb.empty(2), fb.empty(1)] for _ in range(2)]
    dist.all_gather_coalesced(rows, [fb.full((2,), rank + 1.0), fb.full((1,), rank + 5.0)])
    return [each.tolist() for each in tensors], [[each.tolist() for each in row] for row in rows]


def test_coalesced_collectives_process_several_tensors(ranks):
    sums = [_all(fb.float32, 2).sum(0).tolist(), _all(fb.float32, 2, (5,)).sum(0).tolist(), []]
    assert ranks.run(_coalesced) == [(sums, [[[1.0, 1.0], [5.0]], [[2.0, 2.0], [6.0]]])] * 2


def _asynchronous():
    x, rank = fb.ones(100_000), dist.get_rank()
    works = [dist.all_reduce(x * step, async_op=True) for step in range(20)]
    forgotten = x.clone()
    dist.all_reduce(forgotten, async_op=True)  # keep no reference to its handle
    gathered = [fb.empty(2) for _ in range(2)]
    work = dist.all_gather(gathered, fb.full((2,), float(rank)), async_op=True)
    doubled = work.get_future().then(lambda done: [2 * each for each in done.value()])
    totals = []
    for each in reversed(works):
        assert each.wait() and each.is_completed() and each.is_success() and each.exception() is None
        totals.append(each.result()[0][0].item())
    assert [each.tolist() for each in doubled.wait()] == [[0.0, 0.0], [2.0, 2.0]]
    dist.barrier()
    return totals, forgotten[0].item(), fb.stack(gathered).tolist()


def test_asynchronous_collectives_can_be_waited_for_later(ranks):
    for totals, forgotten, gathered in ranks.run(_asynchronous):
        assert totals == [2.0 * step for step in reversed(range(20))]
        assert forgotten == 2.0 and gathered == [[0.0, 0.0], [1.0, 1.0]]


def _dropped():
    transport = dist.group.WORLD.on_the_host()
    for _ in range(20):
        transport.all_reduce(fb.ones(100_000), dist.ReduceOp.SUM)  # keep no reference to the work or the tensor
        fb.full((100_000,), 7.0)  # would reuse the tensor's memory if it were freed too early
    x = fb.ones(100_000)
    dist.all_reduce(x)
    return x.max().item()


def test_dropped_work_handles_keep_their_tensors_alive(ranks):
    assert ranks.run(_dropped) == [2.0, 2.0]


def _empty():
    x, output = fb.zeros(0, 3), [fb.zeros(0, 3) for _ in range(2)]
    dist.all_reduce(x)
    dist.broadcast(x, 0)
    dist.all_gather(output, x)
    dist.reduce_scatter_tensor(x, fb.zeros(0, 3))
    dist.all_to_all_single(x, fb.zeros(0, 3))
    scalar = fb.tensor(2.0)
    dist.all_reduce(scalar)
    return scalar.item()


def test_collectives_accept_empty_and_zero_dimensional_tensors(ranks):
    assert ranks.run(_empty) == [4.0, 4.0]


def _monitored():
    dist.monitored_barrier(timeout=20)
    return True


def test_the_monitored_barrier_passes_if_all_ranks_arrive(three_ranks):
    assert all(three_ranks.run(_monitored))


def _rejected():
    rank = dist.get_rank()
    x, whole, mean = fb.ones(3), fb.ones(3, dtype=fb.int64), dist.ReduceOp.AVG
    calls = [
        (TypeError, "tensor should be a tensor, got list", lambda: dist.all_reduce([x])),
        (TypeError, "op should be a ReduceOp", lambda: dist.all_reduce(x, "sum")),
        (ValueError, "does not support ReduceOp.AVG for tensors of .*int64", lambda: dist.all_reduce(whole, mean)),
        (ValueError, "does not support ReduceOp.BAND", lambda: dist.all_reduce(x, dist.ReduceOp.BAND)),
        (ValueError, "does not support ReduceOp.MAX", lambda: dist.all_reduce(x * 1j, dist.ReduceOp.MAX)),
        (ValueError, "a tensor for each of 2 processes, got 1", lambda: dist.all_gather([x], x)),
        (ValueError, r"like the tensor of shape \[3\], got shape \[2\]", lambda: dist.all_gather([x, fb.ones(2)], x)),
        (
            ValueError,
            "the output should have the elements of 2 inputs, got output shape",
            lambda: dist.all_gather_into_tensor(fb.ones(5), x),
        ),
        (ValueError, "Global rank 7 is not part of the group", lambda: dist.broadcast(x, 7)),
        (ValueError, "broadcast: pass a rank as src or group_src", lambda: dist.broadcast(x)),
        (ValueError, "pass either src or group_src, got both", lambda: dist.broadcast(x, 0, group_src=1)),
        (ValueError, "gather_list should be passed only|gather_list should have", lambda: dist.gather(x, [x], 0)),
        (ValueError, "has 3 rows, which 2 processes cannot", lambda: dist.all_to_all_single(x, x)),
        (ValueError, "numbers with the sum 3", lambda: dist.all_to_all_single(x, x, [1, 1], [2, 1])),
        (ValueError, "should have the elements of 2 outputs", lambda: dist.reduce_scatter_tensor(fb.ones(2), x)),
        (TypeError, "group should be a ProcessGroup", lambda: dist.all_reduce(x, group=3)),
        (ValueError, "the rank of this process", lambda: dist.send(x, rank)),
        (TypeError, "timeout should be", lambda: dist.monitored_barrier(timeout="1 s")),
    ]
    for kind, text, call in calls:
        with pytest.raises(kind, match=text):
            call()
    dist.all_reduce(x)
    return x.tolist()


def test_invalid_arguments_are_rejected_before_communication(ranks):
    assert ranks.run(_rejected) == [[2.0] * 3] * 2


def _disagreeing():
    level = dist.get_debug_level()
    dist.set_debug_level(dist.DebugLevel.DETAIL)
    try:
        dist.all_reduce(fb.ones(2))
        with pytest.raises(RuntimeError) as caught:
            dist.all_reduce(fb.ones(3 + dist.get_rank()))
    finally:
        dist.set_debug_level(level)
    return str(caught.value)


def test_mismatched_collectives_are_described(ranks):
    for text in ranks.run(_disagreeing):
        assert "rank 0 calls all_reduce(SUM, [3] of " in text and "; rank 1 calls all_reduce(SUM, [4] of " in text


def _waiting_in_vain():
    if dist.get_rank():
        return None
    x = fb.ones(2)
    with pytest.raises(dist.DistBackendError, match=r"recv of rank 0 timed out after 0\.2 s"):
        dist.irecv(x, 1, tag=9).wait(0.2)
    return x.tolist()


def test_wait_times_out_if_a_message_is_missing(ranks):
    ranks.run(_waiting_in_vain)
    ranks.run(_sent_at_last)


def _sent_at_last():
    if dist.get_rank():
        dist.send(fb.zeros(2), 0, tag=9)
    dist.barrier()
