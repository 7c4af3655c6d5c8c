"""Test ZeroRedundancyOptimizer against the unsharded optimizer in one process."""

import copy
import doctest

import numpy as np
import pytest

import flambeau as fb
from flambeau import distributed as dist, optim
from flambeau.distributed.optim import ZeroRedundancyOptimizer, zero_redundancy_optimizer

SIZES = [(3, 4), (5,), (2, 2), (7,), ()]
OPTIMIZERS = {
    "SGD": (optim.SGD, {"lr": 0.1, "momentum": 0.9}),
    "Adam": (optim.Adam, {"lr": 0.05}),
    "AdamW": (optim.AdamW, {"lr": 0.05, "weight_decay": 0.1}),
    "RMSprop": (optim.RMSprop, {"lr": 0.01}),
}


def _parameters():
    generator = fb.Generator().manual_seed(0)
    return [fb.randn(size, dtype=fb.float64, generator=generator) for size in SIZES]


def _set_gradients(parameters, step):
    generator = fb.Generator().manual_seed(1 + step)
    for each in parameters:
        each.grad = fb.randn(each.shape, dtype=fb.float64, generator=generator)


def _steps(parameters, optimizer, steps, first=0):
    scheduler = optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    for step in range(first, first + steps):
        _set_gradients(parameters, step)
        optimizer.step()
        scheduler.step()
    return [each.numpy() for each in parameters]


def _zero(name, as_views, steps, groups=False):
    kind, options = OPTIMIZERS[name]
    parameters = _parameters()
    given = [{"params": parameters[:3], "lr": 0.2}, {"params": parameters[3:]}] if groups else parameters
    optimizer = ZeroRedundancyOptimizer(given, kind, parameters_as_bucket_view=as_views, **options)
    kept = sum(each.numel() for group in optimizer.optim.param_groups for each in group["params"])
    values = _steps(parameters, optimizer, steps)
    return values, kept, [group["lr"] for group in optimizer.param_groups]


@pytest.mark.parametrize("groups", [False, True])
@pytest.mark.parametrize("as_views", [False, True])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_sharded_steps_equal_those_of_one_process(three_ranks, name, as_views, groups):
    kind, options = OPTIMIZERS[name]
    parameters = _parameters()
    given = [{"params": parameters[:3], "lr": 0.2}, {"params": parameters[3:]}] if groups else parameters
    optimizer = kind(given, **options)
    expected = _steps(parameters, optimizer, 4)
    found = three_ranks.run(_zero, name, as_views, 4, groups)
    for values, _, rates in found:
        for one, other in zip(values, expected, strict=True):
            np.testing.assert_array_equal(one, other)
        assert rates == [group["lr"] for group in optimizer.param_groups]
    kept = [each for _, each, _ in found]
    assert sum(kept) == sum(each.numel() for each in parameters) and max(kept) < 16


def _more_ranks_than_parameters():
    x = fb.ones(2, dtype=fb.float64)
    x.grad = fb.ones(2, dtype=fb.float64)
    ZeroRedundancyOptimizer([x], optim.Adam, lr=0.5).step()
    return x.tolist()


def test_zero_redundancy_works_with_more_processes_than_parameters(three_ranks):
    for found in three_ranks.run(_more_ranks_than_parameters):
        np.testing.assert_allclose(found, [0.5, 0.5])


def _saved(to):
    parameters = _parameters()
    optimizer = ZeroRedundancyOptimizer(parameters, optim.Adam, lr=0.05)
    _steps(parameters, optimizer, 2)
    optimizer.consolidate_state_dict(to)
    if dist.get_rank() != to:
        with pytest.raises(RuntimeError, match="has not been consolidated on this rank"):
            optimizer.state_dict()
        return None
    return optimizer.state_dict()


@pytest.mark.parametrize("to", [0, 2])
def test_the_consolidated_state_equals_that_of_one_process(three_ranks, to):
    parameters = _parameters()
    optimizer = optim.Adam(parameters, lr=0.05)
    _steps(parameters, optimizer, 2)
    expected, found = optimizer.state_dict(), three_ranks.run(_saved, to)[to]
    assert found["param_groups"] == expected["param_groups"]
    assert list(found["state"]) == list(expected["state"])
    for number, entries in expected["state"].items():
        for name, value in entries.items():
            np.testing.assert_array_equal(found["state"][number][name].numpy(), value.numpy())


def _resumed(state, values):
    parameters = [fb.tensor(each) for each in values]
    optimizer = ZeroRedundancyOptimizer(parameters, optim.Adam, lr=99.0)
    optimizer.load_state_dict(state)
    with pytest.raises(ValueError, match="size of optimizer's group"):
        ZeroRedundancyOptimizer(_parameters()[:2], optim.Adam).load_state_dict(state)
    return _steps(parameters, optimizer, 2, first=2), optimizer.param_groups[0]["lr"]


def test_a_state_of_one_process_can_be_loaded_into_shards(ranks):
    parameters = _parameters()
    optimizer = optim.Adam(parameters, lr=0.05)
    values = [each.copy() for each in _steps(parameters, optimizer, 2)]
    state = copy.deepcopy(optimizer.state_dict())
    again = [fb.tensor(each) for each in values]
    reference = optim.Adam(again, lr=0.05)
    reference.load_state_dict(state)
    expected = _steps(again, reference, 2, first=2)
    for found, rate in ranks.run(_resumed, state, values):
        assert rate == reference.param_groups[0]["lr"] < 0.05
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)


def _added():
    parameters = _parameters()
    optimizer = ZeroRedundancyOptimizer(parameters[:3], optim.SGD, lr=0.1, momentum=0.9)
    optimizer.add_param_group({"params": parameters[3:], "lr": 0.3})
    return _steps(parameters, optimizer, 3)


def test_add_param_group_shards_the_new_parameters(ranks):
    parameters = _parameters()
    optimizer = optim.SGD(parameters[:3], lr=0.1, momentum=0.9)
    optimizer.add_param_group({"params": parameters[3:], "lr": 0.3})
    expected = _steps(parameters, optimizer, 3)
    for found in ranks.run(_added):
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)


def test_zero_redundancy_with_one_process_calls_the_closure(one_process):
    x = fb.ones(2)

    def closure():
        x.grad = fb.ones(2)
        return 7.0

    optimizer = ZeroRedundancyOptimizer([x], optim.SGD, lr=0.5)
    assert optimizer.step(closure) == 7.0 and x.tolist() == [0.5, 0.5]
    optimizer.zero_grad()
    assert x.grad is None


def test_invalid_arguments_are_rejected(one_process):
    x = fb.ones(2)
    with pytest.raises(NotImplementedError, match="overlap_with_ddp"):
        ZeroRedundancyOptimizer([x], optim.SGD, overlap_with_ddp=True, lr=1.0)
    with pytest.raises(TypeError, match="iterable of Tensors"):
        ZeroRedundancyOptimizer(x, optim.SGD, lr=1.0)
    with pytest.raises(ValueError, match="empty parameter list"):
        ZeroRedundancyOptimizer([], optim.SGD, lr=1.0)
    with pytest.raises(ValueError, match="same dense type"):
        ZeroRedundancyOptimizer([x, x.double()], optim.SGD, lr=1.0)
    optimizer = ZeroRedundancyOptimizer([x], optim.SGD, lr=1.0)
    with pytest.raises(RuntimeError, match="consolidate_state_dict"):
        optimizer.state_dict()


def test_zero_redundancy_requires_a_process_group():
    with pytest.raises(ValueError, match="init_process_group"):
        ZeroRedundancyOptimizer([fb.ones(2)], optim.SGD, lr=1.0)


def test_the_example_of_zero_redundancy_runs():
    found = doctest.testmod(zero_redundancy_optimizer, extraglobs={"fb": fb})
    assert found.failed == 0 and found.attempted > 0
