"""Test DistributedDataParallel in processes with different numbers of inputs."""

import numpy as np
import pytest
from small_models import Branches, batch, descend, gradients, loss, made
from test_ddp import TINY, Counting, assert_alike

import flambeau as fb
from flambeau import distributed as dist
from flambeau.distributed.algorithms.join import Join
from flambeau.nn.parallel import DistributedDataParallel

STEPS = [2, 4]  # number of steps of each process


def _uneven(by_initial, options):
    rank = dist.get_rank()
    model = DistributedDataParallel(made(Branches, rank), bucket_cap_mb=TINY, **options)
    found = []
    with model.join(divide_by_initial_world_size=by_initial):
        for step in range(STEPS[rank]):
            loss(model, *batch(rank, step)).backward()
            found.append(gradients(model))
            descend(model)
    values = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    loss(model, *batch(rank)).backward()  # all processes take part again
    return found, values, gradients(model)


def _expected(by_initial):
    """Train in one process. Gradients are means over all ranks if ``by_initial``, else over those with inputs."""
    model, found = made(Branches, 0), []
    for step in range(max(STEPS)):
        active = [rank for rank in range(2) if step < STEPS[rank]]
        model.zero_grad()
        for rank in active:
            (loss(model, *batch(rank, step)) / (2 if by_initial else len(active))).backward()
        found.append(gradients(model))
        descend(model)
    return found, {f"module.{name}": tensor.numpy() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("options", [{}, {"find_unused_parameters": True}, {"gradient_as_bucket_view": True}], ids=str)
@pytest.mark.parametrize("by_initial", [True, False])
def test_processes_without_inputs_contribute_nothing(ranks, by_initial, options):
    expected, values = _expected(by_initial)
    for rank, (found, at_last, together) in enumerate(ranks.run(_uneven, by_initial, options)):
        for step in range(STEPS[rank]):
            assert_alike(found[step], expected[step])
        assert_alike(at_last, values)
        assert np.isfinite(together["first.weight"]).all()


def _skipping():
    rank = dist.get_rank()
    model = DistributedDataParallel(made(Branches, 0))
    with model.join():
        for step in range(1 + 2 * rank):
            if step == 1:
                with model.no_sync():
                    loss(model, *batch(rank, step)).backward()
            else:
                loss(model, *batch(rank, step)).backward()
                model.zero_grad()
    return True


def test_join_with_no_sync_skips_the_averages(ranks):
    assert ranks.run(_skipping) == [True, True]


def _buffers():
    model = DistributedDataParallel(Counting())
    rank = dist.get_rank()
    with model.join():
        for _ in range(1 + 2 * rank):
            loss(model, *batch(0)).backward()
            descend(model)
    return model.module.seen, int(model.module.count)


def test_join_keeps_the_buffers_of_the_last_process_with_inputs(ranks):
    assert ranks.run(_buffers) == [([0], 6), ([0, 2, 4], 6)]


def _throwing():
    rank = dist.get_rank()
    model = DistributedDataParallel(made(Branches, 0))
    try:
        with model.join(throw_on_early_termination=True):
            for step in range(STEPS[rank]):
                loss(model, *batch(rank, step)).backward()
    except RuntimeError as error:
        return str(error)
    return "nothing was raised"


def test_join_can_raise_when_the_first_process_runs_out_of_inputs(ranks):
    first, second = ranks.run(_throwing)
    assert first == "Rank 0 exhausted all inputs." and second.startswith("Detected at least one rank that exhausted")


def test_invalid_joinables_are_rejected(one_process):
    with pytest.raises(ValueError, match="at least one joinable"):
        Join([])
    with pytest.raises(AssertionError, match="calls the ``Joinable`` constructor"):
        Join.notify_join_context(fb.nn.Linear(1, 1))
    model = DistributedDataParallel(Branches())
    with pytest.raises(KeyError), model.join():
        raise KeyError
    with model.join(enable=False):
        assert Join.notify_join_context(model) is None
