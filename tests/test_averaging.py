"""Tests of averages of a model during training with flambeau.optim.swa_utils, which need flambeau-nn."""

import doctest

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn, optim
from flambeau.optim import swa_utils
from flambeau.optim.swa_utils import SWALR, AveragedModel, update_bn

VALUES = [np.random.default_rng(seed).standard_normal((2, 3)) for seed in range(5)]


def averaged_over(values, **options):
    model = nn.Linear(3, 2).double()
    averaged = AveragedModel(model, **options)
    for value in values:
        model.load_state_dict({"weight": fb.tensor(value), "bias": fb.tensor(value[:, 0])})
        averaged.update_parameters(model)
    assert averaged.n_averaged == len(values)
    return averaged


def running(decay):
    mean = VALUES[0]
    for value in VALUES[1:]:
        mean = decay * mean + (1 - decay) * value
    return mean


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, np.mean(VALUES, 0)),
        ({"avg_fn": swa_utils.get_swa_avg_fn()}, np.mean(VALUES, 0)),
        ({"multi_avg_fn": swa_utils.get_ema_multi_avg_fn(0.9)}, running(0.9)),
        ({"avg_fn": swa_utils.get_ema_avg_fn(0.5)}, running(0.5)),
        ({"avg_fn": lambda mean, value, count: value}, VALUES[-1]),
    ],
)
def test_averaged_model_computes_swa_and_ema_averages(options, wanted):
    averaged = averaged_over(VALUES, **options)
    np.testing.assert_allclose(averaged.module.weight.detach().numpy(), wanted, rtol=1e-12)
    assert list(averaged.state_dict()) == ["n_averaged", "module.weight", "module.bias"]
    x = fb.ones(1, 3).double()
    assert averaged(x).equal(averaged.module(x))


@pytest.mark.parametrize("use_buffers", [False, True])
def test_averaged_model_copies_or_averages_buffers(use_buffers):
    model = nn.BatchNorm1d(2)
    averaged = AveragedModel(model, use_buffers=use_buffers)
    for value in (1.0, 3.0):
        model.running_mean.fill_(value)
        averaged.update_parameters(model)
    assert averaged.module.running_mean.tolist() == [2.0 if use_buffers else 3.0] * 2


def test_update_bn_recomputes_batch_statistics():
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)).eval()
    batches = [fb.randn(8, 3) for _ in range(4)]
    update_bn([(batch, "label") for batch in batches], model)
    seen = fb.stack([model[0](batch).mean(0) for batch in batches]).mean(0)
    fb.testing.assert_close(model[1].running_mean, seen.detach())
    assert model[1].momentum == 0.1 and not model.training


def test_swa_lr_anneals_to_its_target():
    made = optim.SGD([fb.ones(1)], lr=1.0)
    made.step()
    schedule = SWALR(made, swa_lr=0.2, anneal_epochs=4, anneal_strategy="linear")
    rates = []
    for _ in range(6):
        rates += schedule.get_last_lr()
        schedule.step()
    assert rates == pytest.approx([1, 0.8, 0.6, 0.4, 0.2, 0.2])


def test_invalid_arguments_are_rejected():
    with pytest.raises(ValueError, match="Invalid decay value 2"):
        swa_utils.get_ema_avg_fn(2)
    with pytest.raises(AssertionError, match="Only one of"):
        AveragedModel(nn.Identity(), avg_fn=max, multi_avg_fn=max)
    with pytest.raises(ValueError, match="anneal_strategy"):
        SWALR(optim.SGD([fb.ones(1)], lr=1.0), 0.1, anneal_strategy="square")


def test_examples_of_swa_utils_run():
    finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner()
    for example in finder.find(swa_utils, extraglobs={"fb": fb}):
        assert runner.run(example).failed == 0, example.name
