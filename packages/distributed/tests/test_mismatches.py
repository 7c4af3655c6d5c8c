"""Test the errors of collectives that ranks call with different arguments."""

import pytest

import flambeau as fb
from flambeau import distributed as dist


def _all_reduce(rank):
    dist.all_reduce(fb.ones(1000 - rank))


def _dtypes(rank):
    dist.all_reduce(fb.ones(4, dtype=(fb.float32, fb.float64)[rank]))


def _operations(rank):
    dist.all_reduce(fb.ones(4), (dist.ReduceOp.SUM, dist.ReduceOp.MAX)[rank])


def _reduce(rank):
    dist.reduce(fb.ones(3 + rank), 0)


def _roots(rank):
    dist.broadcast(fb.ones(3), rank)


def _broadcast(rank):
    dist.broadcast(fb.ones(3 + rank), 0)


def _all_gather(rank):
    x = fb.ones(2, 3 + rank)
    dist.all_gather([fb.empty_like(x), fb.empty_like(x)], x)


def _gather(rank):
    x = fb.ones(2, dtype=(fb.int64, fb.int32)[rank])
    dist.gather(x, None if rank else [x.clone(), x.clone()], 0)


def _scatter(rank):
    x = fb.ones(2 + rank)
    dist.scatter(x, None if rank else [x.clone(), x.clone()], 0)


def _reduce_scatter(rank):
    dist.reduce_scatter_tensor(fb.empty(2 + rank), fb.ones(4 + 2 * rank))


def _all_to_all_dtypes(rank):
    x = fb.ones(2, dtype=(fb.float32, fb.bfloat16)[rank])
    dist.all_to_all_single(x.clone(), x)


def _all_to_all_counts(rank):
    dist.all_to_all_single(fb.empty(4), fb.ones(4), [2, 2], [[2, 2], [1, 3]][rank])


def _coalesced(rank):
    dist.all_reduce_coalesced([fb.ones(2 + rank), fb.ones(3 - rank)])


def _other_calls(rank):
    dist.barrier() if rank else dist.all_reduce(fb.ones(2))


CALLS = {
    _all_reduce: ["rank 0 calls all_reduce(SUM, shape [1000], ", "rank 1 calls all_reduce(SUM, shape [999], "],
    _dtypes: ["rank 0 calls all_reduce(SUM, shape [4], dtype ", "float32)", "float64)"],
    _operations: ["rank 0 calls all_reduce(SUM, ", "rank 1 calls all_reduce(MAX, "],
    _reduce: ["rank 0 calls reduce(SUM, root 0, shape [3], ", "rank 1 calls reduce(SUM, root 0, shape [4], "],
    _roots: ["rank 0 calls broadcast(root 0, ", "rank 1 calls broadcast(root 1, "],
    _broadcast: ["rank 0 calls broadcast(root 0, shape [3], ", "rank 1 calls broadcast(root 0, shape [4], "],
    _all_gather: ["rank 0 calls all_gather(shape [2, 3], ", "rank 1 calls all_gather(shape [2, 4], "],
    _gather: ["rank 0 calls gather(root 0, shape [2], dtype ", "int64)", "int32)"],
    _scatter: ["rank 0 calls scatter(root 0, shape [2], ", "rank 1 calls scatter(root 0, shape [3], "],
    _reduce_scatter: ["rank 0 calls reduce_scatter(SUM, shape [4], ", "rank 1 calls reduce_scatter(SUM, shape [6], "],
    _all_to_all_dtypes: ["rank 0 calls all_to_all(", "float32)", "bfloat16)"],
    _all_to_all_counts: ["all_to_all: rank 1 sends 1 elements to rank 0, which expects 2"],
    _coalesced: ["(SUM, shape [2], [3], ", "(SUM, shape [3], [2], "],
    _other_calls: ["rank 0 calls all_reduce(", "rank 1 calls barrier()"],
}


def _mismatched(call):
    rank = dist.get_rank()
    with pytest.raises(RuntimeError) as caught:
        call(rank)
    x = fb.full((3,), rank + 1.0)
    dist.all_reduce(x)  # the group is still usable
    assert x.tolist() == [3.0] * 3
    return str(caught.value)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__.strip("_"))
def test_mismatched_collectives_raise_in_all_ranks_and_name_each_call(ranks, call):
    first, second = ranks.run(_mismatched, call)
    assert first == second
    assert all(text in first for text in CALLS[call]), first


def _late():
    """Call three concurrent collectives, of which the second has different shapes in the ranks."""
    rank = dist.get_rank()
    tensors = [fb.full((2 + (rank if step == 1 else 0),), rank + 1.0) for step in range(3)]
    works = [dist.all_reduce(each, async_op=True) for each in tensors]
    works[2].wait()
    works[0].wait()
    with pytest.raises(RuntimeError, match=r"shape \[2\].*shape \[3\]"):
        works[1].wait()
    assert not works[1].is_success() and works[1].is_completed()
    return [each.tolist() for each in tensors]


def test_a_mismatch_does_not_affect_other_pending_collectives(ranks):
    for rank, found in enumerate(ranks.run(_late)):
        assert found == [[3.0, 3.0], [rank + 1.0] * (2 + rank), [3.0, 3.0]]


def _three():
    rank = dist.get_rank()
    with pytest.raises(RuntimeError) as caught:
        dist.all_reduce(fb.ones(2 + (rank == 1)))
    return str(caught.value)


def test_the_error_of_a_mismatch_groups_ranks_by_call(three_ranks):
    for text in three_ranks.run(_three):
        assert "ranks 0, 2 call all_reduce(SUM, shape [2]" in text and "rank 1 calls all_reduce(SUM, shape [3]" in text


def _of_one_size():
    """Reduce tensors of different shapes with the same number of elements. PyTorch also allows this."""
    x = fb.ones((2, 3) if dist.get_rank() else (6,))
    dist.all_reduce(x)
    return x.sum().item()


def test_shapes_may_differ_where_sizes_are_equal(ranks):
    assert ranks.run(_of_one_size) == [12.0, 12.0]
