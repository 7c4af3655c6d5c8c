"""Test messages and objects between ranks over NCCL."""

import numpy as np
from rank_tensors import rank_tensor, to_numpy

import flambeau as fb
from flambeau import distributed as dist


def _messages():
    rank = dist.get_rank()
    x, y = rank_tensor(fb.int16, rank).cuda(), fb.empty(4, 3, dtype=fb.int16, device="cuda").mT
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
    return came_from, [to_numpy(each) for each in (y, *others)]


def test_send_and_recv_exchange_tensors_between_two_ranks(ranks):
    x = [to_numpy(rank_tensor(fb.int16, rank)) for rank in range(2)]
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


def test_send_and_recv_pass_tensors_around_a_ring(three_ranks):
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


def test_send_and_recv_work_during_collectives(three_ranks):
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


def test_object_collectives_transfer_python_objects(ranks):
    first, second = ranks.run(_objects)
    assert first == ([0, 100], [None, None], [1, "two", [3.0]], ["zero"], [{"a": 1}])
    assert second == ([0, 100], [("of", 0), ("of", 1)], [1, "two", [3.0]], ["one"], [{"a": 1}])
