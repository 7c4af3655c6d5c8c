"""Test messages from one process to another, and the exchange of Python objects."""

import pytest

import flambeau as fb
from flambeau import distributed as dist


def _ring():
    rank, size = dist.get_rank(), dist.get_world_size()
    received = fb.empty(2, 2)
    sending = dist.isend(fb.full((2, 2), float(rank)), (rank + 1) % size)
    assert dist.recv(received, (rank - 1) % size) == (rank - 1) % size
    sending.wait()
    return received.tolist()


def test_send_and_recv_pass_tensors_around_a_ring(three_ranks):
    assert three_ranks.run(_ring) == [[[float((rank - 1) % 3)] * 2] * 2 for rank in range(3)]


def _from_anyone():
    if dist.get_rank():
        dist.send(fb.full((3,), float(dist.get_rank()), dtype=fb.bfloat16), 0)
        return None
    found = {}
    for _ in range(2):
        received = fb.empty(3, dtype=fb.bfloat16)
        source = dist.recv(received)
        found[source] = received.tolist()
    return found


def test_recv_accepts_messages_from_any_source(three_ranks):
    assert three_ranks.run(_from_anyone)[0] == {1: [1.0] * 3, 2: [2.0] * 3}


def _by_tags():
    if dist.get_rank():
        for tag in (1, 2, 3):
            dist.send(fb.tensor([float(tag)]), 0, tag=tag)
        return None
    received = {tag: fb.empty(1) for tag in (3, 1, 2)}
    for tag, tensor in received.items():
        dist.recv(tensor, 1, tag=tag)
    return {tag: tensor.item() for tag, tensor in received.items()}


def test_tags_distinguish_messages(ranks):
    assert ranks.run(_by_tags)[0] == {1: 1.0, 2: 2.0, 3: 3.0}


def _batch():
    rank = dist.get_rank()
    received, view = fb.empty(500_000), fb.zeros(4, 2)[:, 0]
    sent = fb.full((500_000,), float(rank))
    operations = [
        dist.P2POp(dist.isend, sent, 1 - rank),
        dist.P2POp(dist.irecv, received, 1 - rank),
        dist.P2POp(dist.isend, fb.arange(4.0) + rank, group_peer=1 - rank, tag=4),
        dist.P2POp(dist.irecv, view, group_peer=1 - rank, tag=4),
    ]
    for work in dist.batch_isend_irecv(operations):
        work.wait()
    return received.mean().item(), view.tolist()


def test_two_processes_can_send_to_each_other_at_once(ranks):
    assert ranks.run(_batch) == [(1.0, [1.0, 2.0, 3.0, 4.0]), (0.0, [0.0, 1.0, 2.0, 3.0])]


def _of_another_size():
    rank, other = dist.get_rank(), 1 - dist.get_rank()
    sending = dist.isend(fb.ones(2 + 2 * rank), other)
    with pytest.raises(dist.DistBackendError, match=r"recv: expected 12 bytes .*, got (8|16) bytes|[Tt]runcat"):
        dist.recv(fb.empty(3), other)
    sending.wait()


def test_a_message_of_the_wrong_size_raises(ranks):
    ranks.run(_of_another_size)


def _rejected():
    x = fb.ones(2)
    with pytest.raises(ValueError, match=r"irecv: src should be .*, the rank of this process"):
        dist.irecv(x, dist.get_rank())
    with pytest.raises(ValueError, match=r"op should be flambeau\.distributed\.isend"):
        dist.P2POp(dist.all_reduce, x, 1)
    with pytest.raises(ValueError, match="at least one P2POp"):
        dist.batch_isend_irecv([])
    with pytest.raises(ValueError, match="Group rank 5 is not part"):
        dist.send(x, group_dst=5)
    work = dist.isend(x, 1 - dist.get_rank())
    with pytest.raises(RuntimeError, match="send has no source rank"):
        work.source_rank()
    dist.recv(x, 1 - dist.get_rank())
    work.wait()


def test_invalid_arguments_are_rejected(ranks):
    ranks.run(_rejected)


def _objects():
    rank, size = dist.get_rank(), dist.get_world_size()
    everyone = [None] * size
    dist.all_gather_object(everyone, {"rank": rank, "padding": "x" * 100 * rank})
    gathered = [None] * size if rank == 1 else None
    dist.gather_object((rank, fb.arange(2) + rank), gathered, dst=1)
    shown = [None, None] if rank else ["of zero", {1, 2}]
    dist.broadcast_object_list(shown, src=0)
    handed = [None]
    dist.scatter_object_list(handed, [f"for {each}" for each in range(size)] if rank == 2 else None, src=2)
    passed = [None, None]
    if rank == 0:
        dist.send_object_list(["a", [1.5]], dst=2)
    elif rank == 2:
        assert dist.recv_object_list(passed, src=0) == 0
    return everyone, gathered and [(each, x.tolist()) for each, x in gathered], shown, handed, passed


def test_object_collectives_transfer_python_objects(three_ranks):
    for rank, (everyone, gathered, shown, handed, passed) in enumerate(three_ranks.run(_objects)):
        assert everyone == [{"rank": each, "padding": "x" * 100 * each} for each in range(3)]
        assert gathered == ([(each, [each, each + 1]) for each in range(3)] if rank == 1 else None)
        assert shown == ["of zero", {1, 2}] and handed == [f"for {rank}"]
        assert passed == (["a", [1.5]] if rank == 2 else [None, None])


def _rejected_objects():
    with pytest.raises(ValueError, match="an element for each of 2 processes, got 1"):
        dist.all_gather_object([None], 1)
    with pytest.raises(TypeError, match="object_list should be a list, got NoneType"):
        dist.all_gather_object(None, 1)
    with pytest.raises(ValueError, match="with at least one element"):
        dist.scatter_object_list([], [1, 2])


def test_object_collectives_reject_invalid_objects(ranks):
    ranks.run(_rejected_objects)
