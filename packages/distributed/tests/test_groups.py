"""Test subgroups of the processes."""

import pytest

import flambeau as fb
from flambeau import distributed as dist

NOBODY = dist.GroupMember.NON_GROUP_MEMBER


def _pair():
    rank = dist.get_rank()
    group = dist.new_group([2, 0])
    whole = dist.new_group()
    x = fb.tensor([float(rank)])
    if group is NOBODY:
        assert (dist.get_rank(group), dist.get_world_size(group), dist.get_process_group_ranks(group)) == (-1, -1, [])
        with pytest.warns(UserWarning, match="Running all_reduce on global rank 1 which does not belong"):
            assert dist.all_reduce(x, group=group) is None
    else:
        assert dist.get_process_group_ranks(group) == [0, 2] and dist.get_backend(group) == "gloo"
        assert (
            dist.get_global_rank(group, 1) == dist._get_global_rank(group, 1) == 2
            and dist.get_group_rank(group, 2) == 1
        )
        dist.all_reduce(x, group=group)
        y = fb.tensor([rank])
        dist.broadcast(y, src=2, group=group)
        assert y.item() == 2
        z = fb.empty(1)
        if rank == 0:
            dist.send(fb.tensor([7.0]), dst=2, group=group)
        else:
            assert dist.recv(z, src=0, group=group) == 0 and z.item() == 7.0
    dist.all_reduce(x, group=whole)
    place = dist.get_rank(group)
    dist.destroy_process_group(whole)
    if group is not NOBODY:
        dist.destroy_process_group(group)
        with pytest.raises(ValueError, match="this group was destroyed"):
            dist.all_reduce(x, group=group)
    return x.item(), place


def test_a_subgroup_of_two_of_three_processes_reduces_only_their_tensors(three_ranks):
    assert three_ranks.run(_pair) == [(5.0, 0), (5.0, -1), (5.0, 1)]


def _divided():
    own, groups = dist.new_subgroups(group_size=1)
    assert len(groups) == 3 and dist.get_process_group_ranks(own) == [dist.get_rank()]
    own, groups = dist.new_subgroups_by_enumeration([[0, 1], [2]])
    x = fb.tensor([dist.get_rank() + 1])
    dist.all_reduce(x, group=own)
    with pytest.raises(ValueError, match="group_size should divide the number of processes, 3, got 2"):
        dist.new_subgroups(2)
    with pytest.raises(ValueError, match="disjoint and not empty"):
        dist.new_subgroups_by_enumeration([[0, 1], [1, 2]])
    return x.item()


def test_new_subgroups_divides_all_processes(three_ranks):
    assert three_ranks.run(_divided) == [3, 3, 3]


def _locally():
    if dist.get_rank() == 1:
        return None
    group = dist.new_group([0, 2], use_local_synchronization=True)
    x = fb.ones(1)
    dist.all_reduce(x, group=group)
    return x.item()


def test_new_group_with_local_synchronisation_needs_only_its_members(three_ranks):
    assert three_ranks.run(_locally) == [2.0, None, 2.0]


def _rejected():
    for ranks in ([], [0, 0], [5], [-1]):
        with pytest.raises(ValueError, match="ranks should be different ints from 0 to 1"):
            dist.new_group(ranks)
    with pytest.raises(ValueError, match="backend should be 'gloo', 'mpi', 'nccl'"):
        dist.new_group(backend="pigeon")
    with pytest.raises(ValueError, match="initialize the default process group twice"):
        dist.init_process_group("gloo", rank=0, world_size=1, store=dist.HashStore())
    return repr(dist.group.WORLD)


def test_invalid_arguments_are_rejected(ranks):
    assert ranks.run(_rejected) == ["ProcessGroup(ranks=[0, 1], backend='gloo')"] * 2


def test_a_group_of_one_process_needs_no_network():
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        assert dist.is_initialized() and dist.get_rank() == 0 and dist.get_world_size() == 1
        x, out = fb.arange(3.0), [fb.empty(3)]
        dist.all_reduce(x, dist.ReduceOp.AVG)
        dist.all_gather(out, x)
        dist.reduce_scatter_tensor(out[0], x * 2)
        dist.barrier()
        found = [None]
        dist.all_gather_object(found, "alone")
        assert out[0].tolist() == [0.0, 2.0, 4.0] and found == ["alone"]
        with pytest.raises(ValueError, match="the rank of this process"):
            dist.send(x, 0)
    finally:
        dist.destroy_process_group()
    assert not dist.is_initialized()


def test_calls_without_a_process_group_raise():
    assert dist.is_available() and not dist.is_initialized() and dist.group.WORLD is None
    for call in (dist.get_rank, dist.barrier, lambda: dist.all_reduce(fb.ones(1)), dist.destroy_process_group):
        with pytest.raises(ValueError, match="Default process group has not been initialized"):
            call()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"backend": "pigeon"}, "backend should be 'gloo', 'mpi', 'nccl'"),
        ({"init_method": "ftp://somewhere", "rank": 0, "world_size": 1}, "should begin with env://, tcp:// or file://"),
        ({"init_method": "tcp://localhost", "rank": 0, "world_size": 1}, "should be tcp://host:port"),
        ({"init_method": "tcp://localhost:1"}, "needs rank=... and world_size=..."),
        ({"store": dist.HashStore()}, "needs rank=... and world_size=..."),
        ({"store": dist.HashStore(), "rank": 2, "world_size": 2}, "rank should be from 0 to world_size - 1, got rank="),
        ({"store": dist.HashStore(), "init_method": "env://"}, "Cannot specify both"),
        ({"timeout": -1.0}, "timeout should be positive"),
        ({}, "does not know its rank: start the program by"),
    ],
)
def test_invalid_arguments_of_init_process_group_are_rejected(monkeypatch, arguments, text):
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match=text):
        dist.init_process_group(**arguments)
    assert not dist.is_initialized()


def _init(rank, size, store, **options):
    dist.init_process_group("gloo", store=store, rank=rank, world_size=size, **options)


def test_missing_processes_raise_after_the_timeout():
    with pytest.raises(
        dist.DistStoreError, match=r"of 3 processes, those of rank 0, 2 did not connect within 0:00:00\.2"
    ):
        _init(1, 3, dist.HashStore(), timeout=0.2)
    assert not dist.is_initialized()


def test_processes_with_contradicting_arguments_are_rejected():
    store = dist.HashStore()
    dist.PrefixStore("rendezvous 0", store).set("world size", "4")
    with pytest.raises(
        dist.DistStoreError, match="rank 1 was started with world_size=2, but another rank with world_size=4"
    ):
        _init(1, 2, store)
    store = dist.HashStore()
    dist.PrefixStore("rendezvous 0", store).add("rank 1", 1)
    with pytest.raises(dist.DistStoreError, match="another process already has rank 1"):
        _init(1, 2, store)


def test_a_store_can_be_reused():
    store = dist.HashStore()
    for _ in range(3):
        _init(0, 1, store)
        dist.destroy_process_group()


def test_collectives_on_a_device_without_a_backend_raise():
    dist.init_process_group("cpu:gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        with pytest.raises(RuntimeError, match="No backend type associated with device type meta"):
            dist.all_reduce(fb.ones(2, device="meta"))
    finally:
        dist.destroy_process_group()


def test_a_process_outside_a_group_is_recognised():
    assert dist.groups._rank_not_in_group(NOBODY)
    assert not dist.groups._rank_not_in_group(None) and not dist.groups._rank_not_in_group(object())
