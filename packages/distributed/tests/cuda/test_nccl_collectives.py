"""Test collectives over NCCL, with one GPU per process, against NumPy."""

import numpy as np
import pytest
from rank_tensors import gpu_of_rank, rank_tensor, to_numpy

import flambeau as fb
from flambeau import distributed as dist

REDUCED = [fb.float32, fb.float64, fb.float16, fb.bfloat16, fb.int8, fb.uint8, fb.int32, fb.int64, fb.uint32, fb.uint64]
MOVED = [fb.float32, fb.bool, fb.int16, fb.complex64, fb.bfloat16]


def _all_reduce(dtype, op):
    x = rank_tensor(dtype, dist.get_rank()).cuda()
    assert dist.all_reduce(x, op) is None
    assert x.device == gpu_of_rank()
    return to_numpy(x)


@pytest.mark.parametrize("dtype", REDUCED, ids=str)
@pytest.mark.parametrize("name", ["SUM", "PRODUCT", "MIN", "MAX"])
def test_all_reduce_matches_numpy(ranks, dtype, name):
    reference = {"SUM": np.sum, "PRODUCT": np.prod, "MIN": np.min, "MAX": np.max}[name]
    inputs = np.stack([to_numpy(rank_tensor(dtype, rank)) for rank in range(2)])
    for found in ranks.run(_all_reduce, dtype, dist.ReduceOp[name]):
        np.testing.assert_array_equal(found, reference(inputs, axis=0))


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64, fb.complex64, fb.complex128], ids=str)
def test_all_reduce_averages_and_sums_complex_numbers(ranks, dtype):
    inputs = np.stack([to_numpy(rank_tensor(dtype, rank)) for rank in range(2)])
    for found in ranks.run(_all_reduce, dtype, dist.ReduceOp.AVG):
        np.testing.assert_array_equal(found, inputs.mean(axis=0))
    for found in ranks.run(_all_reduce, dtype, dist.ReduceOp.SUM):
        np.testing.assert_array_equal(found, inputs.sum(axis=0))


def _truth(op):
    x = fb.tensor([True, False, True, False], device="cuda") & (fb.arange(4, device="cuda") // 2 <= dist.get_rank())
    dist.all_reduce(x, op)
    return x.view(fb.uint8).tolist()


def test_sum_and_product_of_booleans_are_or_and_and(ranks):
    assert ranks.run(_truth, dist.ReduceOp.SUM) == [[1, 0, 1, 0]] * 2
    assert ranks.run(_truth, dist.ReduceOp.PRODUCT) == [[1, 0, 0, 0]] * 2


def _everything(dtype):
    """Run all collectives that copy or concatenate, and return this rank's results by name."""
    rank, size = dist.get_rank(), dist.get_world_size()
    x = rank_tensor(dtype, rank).cuda()
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
    return {name: [to_numpy(each) for each in tensors] for name, tensors in found.items()}


@pytest.mark.parametrize("dtype", MOVED, ids=str)
def test_collectives_transfer_every_dtype(ranks, dtype):
    x = [to_numpy(rank_tensor(dtype, rank)) for rank in range(2)]
    twice = to_numpy(rank_tensor(dtype, 0) + rank_tensor(dtype, 0))
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
    x = rank_tensor(fb.float32, rank, (4, 3)).cuda()
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
    return [to_numpy(each) for each in (y, z, w, *several, columns)]


def test_reduce_and_reduce_scatter_match_numpy(ranks):
    x = np.stack([to_numpy(rank_tensor(fb.float32, rank, (4, 3))) for rank in range(2)])
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


def test_collectives_accept_empty_tensors(ranks):
    assert ranks.run(_without_elements) == [True, True]
