"""Test DistributedDataParallel against one process that trains on the concatenated batches."""

import copy
import pickle

import numpy as np
import pytest
from small_models import Branches, batch, descend, gradients, loss, made, of_all

import flambeau as fb
from flambeau import distributed as dist, nn
from flambeau.nn.parallel import DistributedDataParallel

TINY = 64 / 2**20  # bucket size in MiB: eight float64 numbers
OPTIONS = {
    "default": {},
    "small buckets": {"bucket_cap_mb": TINY},
    "listed buckets": {"bucket_cap_mb_list": [TINY, 4 * TINY]},
    "views": {"gradient_as_bucket_view": True, "bucket_cap_mb": TINY},
    "unused": {"find_unused_parameters": True, "bucket_cap_mb": TINY},
    "static": {"static_graph": True},
    "skipping": {"find_unused_parameters": True, "skip_all_reduce_unused_params": True},
}


def assert_alike(found, expected, **tolerance):
    assert found.keys() == expected.keys()
    for name in expected:
        if expected[name] is None:
            assert found[name] is None, name
        else:
            np.testing.assert_allclose(found[name], expected[name], err_msg=name, **{"rtol": 1e-6, **tolerance})


def _train(options, steps):
    rank = dist.get_rank()
    model = DistributedDataParallel(made(Branches, rank), **options)
    found = []
    for step in range(steps):
        loss(model, *batch(rank, step)).backward()
        found.append(gradients(model))
        descend(model)
    return found


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_gradients_equal_those_of_the_combined_batch(ranks, options):
    model, expected = made(Branches, 0), []
    for step in range(3):
        expected.append(of_all(model, 2, step))
        descend(model)
    for found in ranks.run(_train, options, 3):
        for step in range(3):
            assert_alike(found[step], expected[step])
    assert all(np.isfinite(each).all() for each in expected[-1].values() if each is not None)


def _without_buffers():
    model = DistributedDataParallel(made(Branches, dist.get_rank()), bucket_cap_mb=TINY)
    parameters = [each for each in model.parameters() if each.requires_grad]
    loss(model, *batch(dist.get_rank(), 0)).backward()
    before = [each.grad.data_ptr() for each in parameters]
    loss(model, *batch(dist.get_rank(), 0)).backward()  # adds to the existing gradients
    assert [each.grad.data_ptr() for each in parameters] == before
    return any("buffer" in vars(bucket) for bucket in model.reducer.buckets), gradients(model)


def test_gradients_are_averaged_without_a_copy_in_buckets(ranks):
    expected = of_all(made(Branches, 0), 2, 0)
    for copied, found in ranks.run(_without_buffers):
        assert not copied
        assert_alike(found, {name: None if each is None else 2 * each for name, each in expected.items()})


def test_gradients_of_three_processes_are_averaged(three_ranks):
    expected = of_all(made(Branches, 0), 3)
    first, *others = three_ranks.run(_train, {"bucket_cap_mb": TINY}, 1)
    assert_alike(first[0], expected)
    for other in others:  # must be bitwise equal
        assert all(np.array_equal(first[0][name], other[0][name]) for name in expected if expected[name] is not None)


def test_training_is_deterministic(ranks):
    first, second = (ranks.run(_train, {"bucket_cap_mb": TINY}, 3)[0] for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert all(np.array_equal(one[name], other[name]) for name in one if one[name] is not None)


def _state_at_first(options):
    model = DistributedDataParallel(made(Branches, dist.get_rank()), **options)
    return {name: tensor.numpy() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("kept", [{"init_sync": False}, {"broadcast_buffers": False}, {"forward_sync_buffers": False}])
def test_parameters_and_buffers_are_broadcast_from_the_first_process(ranks, kept):
    first = {f"module.{name}": tensor.numpy() for name, tensor in made(Branches, 0).state_dict().items()}
    own = made(Branches, 1).state_dict()["shift"].numpy()
    assert_alike(ranks.run(_state_at_first, {})[1], first)
    found = ranks.run(_state_at_first, kept)[1]
    assert np.array_equal(found["module.first.weight"], first["module.first.weight"]) == ("init_sync" not in kept)
    expected = first["module.shift"] if "forward_sync_buffers" in kept else own
    np.testing.assert_array_equal(found["module.shift"], expected)


class Counting(nn.Linear):
    """Layer with a buffer that each process changes differently."""

    def __init__(self):
        super().__init__(3, 2, dtype=fb.float64)
        self.register_buffer("count", fb.zeros(1, dtype=fb.int64))
        self.seen = []

    def forward(self, x):
        self.seen.append(int(self.count))
        self.count += 1 + dist.get_rank()
        return super().forward(x)


def _count(options):
    module = Counting()
    model = DistributedDataParallel(module, **options)
    for _ in range(3):
        loss(model, *batch(0)).backward()
        descend(model)
    return module.seen


def test_each_forward_broadcasts_the_buffers_of_the_first_process(ranks):
    assert ranks.run(_count, {}) == [[0, 1, 2], [0, 1, 2]]
    for options in ({"broadcast_buffers": False}, {"forward_sync_buffers": False}):
        assert ranks.run(_count, options) == [[0, 1, 2], [0, 2, 4]]


def test_gradients_can_be_views_of_their_buckets(one_process):
    model = DistributedDataParallel(made(Branches, 0), gradient_as_bucket_view=True)
    for drops in (True, False, False):
        model.zero_grad(set_to_none=drops)
        loss(model, *batch(0)).backward()
        for bucket in model.reducer.buckets:
            start, end = bucket.buffer.data_ptr(), bucket.buffer.data_ptr() + bucket.buffer.nbytes
            assert all(start <= parameter.grad.data_ptr() < end for parameter in bucket.parameters)
    assert_alike(gradients(model), of_all(made(Branches, 0), 1))


def _overlap():
    events = []

    def average(_, bucket):
        events.append(f"bucket {bucket.index()}" + " (last)" * bucket.is_last())
        return dist.all_reduce(bucket.buffer(), dist.ReduceOp.AVG, async_op=True).get_future()

    layers = nn.Sequential(*[nn.Linear(3, 3) for _ in range(3)])
    model = DistributedDataParallel(layers, bucket_cap_mb=9 * 4 / 2**20)
    model.register_comm_hook(None, average)
    for number, layer in enumerate(layers):
        layer.register_full_backward_hook(lambda module, *_, number=number: events.append(f"layer {number}"))
    model(fb.ones(2, 3, requires_grad=True)).sum().backward()
    return events


def test_communication_overlaps_with_the_backward_pass(ranks):
    expected = ["bucket 0", "layer 2", "bucket 1", "layer 1", "bucket 2 (last)", "layer 0"]
    assert ranks.run(_overlap) == [expected, expected]


def _accumulate(views):
    rank = dist.get_rank()
    model = DistributedDataParallel(made(Branches, rank), gradient_as_bucket_view=views)
    with model.no_sync():
        assert not model.require_backward_grad_sync
        for step in range(2):
            loss(model, *batch(rank, step)).backward()
    alone = gradients(model)
    loss(model, *batch(rank, 2)).backward()
    return alone, gradients(model)


@pytest.mark.parametrize("views", [False, True])
def test_no_sync_accumulates_local_gradients(ranks, views):
    model = made(Branches, 0)
    total = [of_all(model, 2, step) for step in range(3)]
    expected = {name: None if total[0][name] is None else sum(each[name] for each in total) for name in total[0]}
    for rank, (alone, together) in enumerate(ranks.run(_accumulate, views)):
        model.zero_grad()
        for step in range(2):
            loss(model, *batch(rank, step)).backward()
        assert_alike(alone, gradients(model))
        assert_alike(together, expected)


def _several_forwards():
    rank = dist.get_rank()
    model = DistributedDataParallel(made(Branches, rank))
    losses = [loss(model, *batch(rank, step)) for step in range(3)]
    with fb.no_grad():
        model(batch(rank)[0])
    (losses[0] + losses[1] + losses[2]).backward()
    return gradients(model)


def test_gradients_are_averaged_after_several_forwards_and_one_backward(ranks):
    model = made(Branches, 0)
    total = [of_all(model, 2, step) for step in range(3)]
    expected = {name: None if total[0][name] is None else sum(each[name] for each in total) for name in total[0]}
    for found in ranks.run(_several_forwards):
        assert_alike(found, expected)


def _of_a_group():
    group = dist.new_group([0, 2])
    if dist.get_rank() == 1:
        return None
    model = DistributedDataParallel(made(Branches, dist.get_rank()), process_group=group)
    loss(model, *batch(group.rank())).backward()
    with pytest.raises(RuntimeError, match="default process group"):
        pickle.dumps(model)
    return gradients(model)


def test_data_parallel_in_a_subgroup_averages_only_over_its_members(three_ranks):
    found = three_ranks.run(_of_a_group)
    for rank in (0, 2):
        assert_alike(found[rank], of_all(made(Branches, 0), 2))


def _copies():
    rank = dist.get_rank()
    found = []
    model = DistributedDataParallel(made(Branches, rank))
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        loss(again, *batch(rank)).backward()
        found.append(gradients(again))
    return found


def test_copies_of_the_wrapper_average_gradients(ranks):
    expected = of_all(made(Branches, 0), 2)
    for rank in ranks.run(_copies):
        for found in rank:
            assert_alike(found, expected)


def _after_the_wrapper():
    rank = dist.get_rank()
    module = made(Branches, 0)
    model = DistributedDataParallel(module)
    model(batch(rank)[0])
    del model
    loss(module, *batch(rank)).backward()
    alone = gradients(module)
    module.zero_grad()
    model = DistributedDataParallel(module)
    loss(model, *batch(rank)).backward()
    return alone, gradients(module)


def test_deleting_the_wrapper_removes_its_hooks(ranks):
    expected = of_all(made(Branches, 0), 2)
    for rank, (alone, together) in enumerate(ranks.run(_after_the_wrapper)):
        model = made(Branches, 0)
        loss(model, *batch(rank)).backward()
        assert_alike(alone, gradients(model))
        assert_alike(together, expected)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_data_parallel_with_one_process_computes_the_gradients_of_the_model(one_process, options):
    model = DistributedDataParallel(made(Branches, 0), **options)
    for _ in range(2):
        model.zero_grad()
        loss(model, *batch(0)).backward()
    assert_alike(gradients(model), of_all(made(Branches, 0), 1))
    assert set(model.state_dict()) == {f"module.{name}" for name in model.module.state_dict()}
    assert isinstance(model.module, Branches) and model.device_ids is None
