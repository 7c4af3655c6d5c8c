"""Tests of training in several processes against training in one, with divided models, optimizers and data."""

import numpy as np
import pytest

import flambeau as fb
from flambeau import distributed as dist, nn, optim
from flambeau.data import DataLoader, DistributedSampler, TensorDataset
from flambeau.distributed.algorithms.join import Join
from flambeau.distributed.optim import ZeroRedundancyOptimizer
from flambeau.nn.parallel import DistributedDataParallel
from flambeau.optim.swa_utils import AveragedModel

OPTIMIZERS = {"SGD": (optim.SGD, {"lr": 0.1, "momentum": 0.9}), "Adam": (optim.Adam, {"lr": 0.02})}
ROWS = 16


def _model(seed):
    fb.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(27, 2)).double()


def _data():
    generator = fb.Generator().manual_seed(5)
    x = fb.randn(ROWS, 1, 5, 5, dtype=fb.float64, generator=generator)
    return x, (x.mean((1, 2, 3)) > 0).long()


def _learn(model, optimizer, batches):
    for x, y in batches:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return [parameter.detach().numpy().copy() for parameter in model.parameters()]


def _divided(name, divides_state):
    kind, options = OPTIMIZERS[name]
    model = nn.SyncBatchNorm.convert_sync_batchnorm(_model(dist.get_rank()))
    model = DistributedDataParallel(model)
    if divides_state:
        optimizer = ZeroRedundancyOptimizer(model.parameters(), kind, **options)
    else:
        optimizer = kind(model.parameters(), **options)
    data = TensorDataset(*_data())
    sampler = DistributedSampler(data, shuffle=False)
    batches = list(DataLoader(data, batch_size=4, sampler=sampler)) * 3
    return _learn(model, optimizer, batches), [buffer.double().numpy() for buffer in model.buffers()]


@pytest.mark.parametrize("divides_state", [False, True])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_image_classifier_learns_as_on_one_process(ranks, name, divides_state):
    kind, options = OPTIMIZERS[name]
    x, y = _data()
    order = [list(range(start, start + 8)) for start in (0, 8)]  # rows of all samplers, for each step
    model = _model(0)
    expected = _learn(model, kind(model.parameters(), **options), [(x[rows], y[rows]) for rows in order] * 3)
    assert all(np.isfinite(each).all() for each in expected)
    for found, buffers in ranks.run(_divided, name, divides_state):
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-9)
        for one, other in zip(buffers, model.buffers(), strict=True):
            np.testing.assert_allclose(one, other.double().numpy(), rtol=1e-7)


def _linear(seed):
    fb.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()


def _inputs(rank):
    generator = fb.Generator().manual_seed(rank)
    return [fb.randn(4, 3, dtype=fb.float64, generator=generator) for _ in range(2 + 2 * rank)]


def _joined(name):
    kind, options = OPTIMIZERS[name]
    model = DistributedDataParallel(_linear(dist.get_rank()))
    optimizer = ZeroRedundancyOptimizer(model.parameters(), kind, **options)
    with Join([model, optimizer]):
        for x in _inputs(dist.get_rank()):
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
    return [parameter.detach().numpy() for parameter in model.parameters()]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_join_with_a_zero_redundancy_optimizer_handles_uneven_inputs(ranks, name):
    kind, options = OPTIMIZERS[name]
    model, inputs = _linear(0), [_inputs(rank) for rank in range(2)]
    optimizer = kind(model.parameters(), **options)
    for step in range(4):
        optimizer.zero_grad()
        for own in inputs:
            if step < len(own):
                (model(own[step]).square().mean() / 2).backward()
        optimizer.step()
    for found in ranks.run(_joined, name):
        for one, other in zip(found, model.parameters(), strict=True):
            np.testing.assert_allclose(one, other.detach().numpy(), rtol=1e-9)


def _averaged_model():
    model = DistributedDataParallel(_linear(dist.get_rank()))
    averaged = AveragedModel(model)
    averaged.update_parameters(model)
    return [parameter.detach().numpy() for parameter in averaged.parameters()]


def test_averaged_model_copies_the_synchronised_parameters(ranks):
    for found in ranks.run(_averaged_model):
        for one, other in zip(found, _linear(0).parameters(), strict=True):
            np.testing.assert_array_equal(one, other.detach().numpy())


def _with_gradient():
    x = fb.ones(2, requires_grad=True)
    dist.all_reduce(x)
    return x.tolist(), x.requires_grad, x.grad_fn is None


def test_collectives_have_no_gradient(ranks):
    assert ranks.run(_with_gradient) == [([2.0, 2.0], True, True)] * 2
