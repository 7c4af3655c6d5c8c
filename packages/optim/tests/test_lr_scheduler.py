"""Schedules against their closed forms."""

import math
from collections import Counter

import pytest

import flambeau as fb
from flambeau import optim
from flambeau.optim import lr_scheduler

EPOCHS = 12


def optimizer(*rates):
    return optim.SGD([{"params": fb.ones(1), "lr": rate} for rate in rates or (0.5,)])


SCHEDULES = {
    "step": (lambda o, **k: lr_scheduler.StepLR(o, 3, gamma=0.5, **k), lambda epoch: 0.5 ** (epoch // 3)),
    "step of default": (lambda o, **k: lr_scheduler.StepLR(o, 1, **k), lambda epoch: 0.1**epoch),
    "milestones": (
        lambda o, **k: lr_scheduler.MultiStepLR(o, [5, 2, 5], gamma=0.5, **k),
        lambda epoch: 0.5 ** ((epoch >= 2) + 2 * (epoch >= 5)),
    ),
    "exponential": (lambda o, **k: lr_scheduler.ExponentialLR(o, 0.8, **k), lambda epoch: 0.8**epoch),
    "lambda": (
        lambda o, **k: lr_scheduler.LambdaLR(o, lambda epoch: 1 / (1 + epoch), **k),
        lambda epoch: 1 / (1 + epoch),
    ),
    "cosine": (
        lambda o, **k: lr_scheduler.CosineAnnealingLR(o, 5, **k),
        lambda epoch: (1 + math.cos(math.pi * epoch / 5)) / 2,
    ),
}
each_schedule = pytest.mark.parametrize(("make", "factor"), SCHEDULES.values(), ids=SCHEDULES)


@each_schedule
def test_rates(make, factor):
    optimized = optimizer(0.5, 2.0)
    schedule = make(optimized)
    for epoch in range(EPOCHS):
        expected = pytest.approx([0.5 * factor(epoch), 2.0 * factor(epoch)], rel=1e-12, abs=1e-15)
        assert [group["lr"] for group in optimized.param_groups] == expected
        assert schedule.get_last_lr() == expected
        assert schedule.last_epoch == epoch
        schedule.step()


@each_schedule
def test_resuming(make, factor):
    first = optimizer()
    schedule = make(first)
    for _ in range(4):
        schedule.step()
    second = optimizer(123.0)
    resumed = make(second)
    second.load_state_dict(first.state_dict())
    resumed.load_state_dict(schedule.state_dict())
    for epoch in range(4, EPOCHS):
        assert second.param_groups[0]["lr"] == pytest.approx(0.5 * factor(epoch), rel=1e-12, abs=1e-15)
        resumed.step()


@each_schedule
def test_resuming_by_number(make, factor):
    first = optimizer()
    schedule = make(first)
    for _ in range(4):
        schedule.step()
    resumed = make(first, last_epoch=3)
    assert resumed.last_epoch == 4
    assert first.param_groups[0]["lr"] == pytest.approx(0.5 * factor(4), rel=1e-12)
    resumed.step()
    assert first.param_groups[0]["lr"] == pytest.approx(0.5 * factor(5), rel=1e-12, abs=1e-15)


def test_cosine_ends_at_its_minimum():
    optimized = optimizer()
    schedule = lr_scheduler.CosineAnnealingLR(optimized, 4, eta_min=0.1)
    for _ in range(4):
        schedule.step()
    assert optimized.param_groups[0]["lr"] == pytest.approx(0.1)


def test_schedules_multiply():
    optimized = optimizer()
    schedules = [lr_scheduler.StepLR(optimized, 2, 0.5), lr_scheduler.ExponentialLR(optimized, 0.9)]
    for epoch in range(EPOCHS):
        assert optimized.param_groups[0]["lr"] == pytest.approx(0.5 * 0.5 ** (epoch // 2) * 0.9**epoch)
        for schedule in schedules:
            schedule.step()


def test_one_lambda_for_each_group():
    optimized = optimizer(1.0, 1.0)
    schedule = lr_scheduler.LambdaLR(optimized, [lambda epoch: 1 + epoch, lambda epoch: 1 - epoch])
    schedule.step()
    assert schedule.get_last_lr() == [2, 0]
    with pytest.raises(ValueError, match="Expected 2 lr_lambdas, but got 1"):
        lr_scheduler.LambdaLR(optimized, [lambda epoch: 1])


class Decay:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, epoch):
        return self.factor**epoch


def test_state_of_callable_objects_is_saved():
    schedule = lr_scheduler.LambdaLR(optimizer(), Decay(0.5))
    saved = schedule.state_dict()
    assert saved["lr_lambdas"] == [{"factor": 0.5}]
    assert "optimizer" not in saved
    other = lr_scheduler.LambdaLR(optimizer(), Decay(0.1))
    other.load_state_dict(saved)
    other.step()
    assert other.get_last_lr() == [0.25]


def test_state_is_that_of_pytorch():
    saved = lr_scheduler.MultiStepLR(optimizer(), [2, 5, 5]).state_dict()
    assert saved["milestones"] == Counter({5: 2, 2: 1})
    assert {"base_lrs", "last_epoch", "gamma", "_last_lr"} <= set(saved)


def test_bad_arguments():
    with pytest.raises(TypeError, match="int is not an Optimizer"):
        lr_scheduler.StepLR(3, 1)
    with pytest.raises(KeyError, match="'initial_lr' is not specified in param_groups"):
        lr_scheduler.StepLR(optimizer(), 1, last_epoch=2)
    with pytest.raises(NotImplementedError, match="LRScheduler does not define get_lr"):
        lr_scheduler.LRScheduler(optimizer())
