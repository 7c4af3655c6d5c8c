"""Schedules, compared with their closed forms."""

import math
import warnings
from collections import Counter

import pytest

import flambeau as fb
from flambeau import optim
from flambeau.optim import lr_scheduler

EPOCHS = 12


def optimizer(*rates, kind=optim.SGD, **options):
    """Create an optimizer and run one step. A schedule warns if it steps before its optimizer."""
    made = kind([{"params": fb.ones(1), "lr": rate} for rate in rates or (0.5,)], **options)
    made.step()
    return made


def rates_of(schedule, epochs):
    rates = []
    for _ in range(epochs):
        rates.append(schedule.get_last_lr()[0])
        schedule.step()
    return rates


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
    "constant": (lambda o, **k: lr_scheduler.ConstantLR(o, 0.3, 4, **k), lambda epoch: 0.3 if epoch < 4 else 1),
    "line": (
        lambda o, **k: lr_scheduler.LinearLR(o, 0.2, 0.8, 6, **k),
        lambda epoch: 0.2 + 0.6 * min(epoch, 6) / 6,
    ),
    "polynomial": (
        lambda o, **k: lr_scheduler.PolynomialLR(o, 8, 2.0, **k),
        lambda epoch: (1 - min(epoch, 8) / 8) ** 2,
    ),
    "product": (lambda o, **k: lr_scheduler.MultiplicativeLR(o, lambda epoch: 0.7, **k), lambda epoch: 0.7**epoch),
    "restarts": (
        lambda o, **k: lr_scheduler.CosineAnnealingWarmRestarts(o, 3, 2, **k),
        lambda epoch: (
            (1 + math.cos(math.pi * (epoch / 3 if epoch < 3 else (epoch - 3) / 6 if epoch < 9 else (epoch - 9) / 12)))
            / 2
        ),
    ),
    "cosine": (
        lambda o, **k: lr_scheduler.CosineAnnealingLR(o, 5, **k),
        lambda epoch: (1 + math.cos(math.pi * epoch / 5)) / 2,
    ),
}
each_schedule = pytest.mark.parametrize(("make", "factor"), SCHEDULES.values(), ids=SCHEDULES)


@each_schedule
def test_schedulers_produce_the_expected_learning_rates(make, factor):
    optimized = optimizer(0.5, 2.0)
    schedule = make(optimized)
    for epoch in range(EPOCHS):
        expected = pytest.approx([0.5 * factor(epoch), 2.0 * factor(epoch)], rel=1e-12, abs=1e-15)
        assert [group["lr"] for group in optimized.param_groups] == expected
        assert schedule.get_last_lr() == expected
        assert schedule.last_epoch == epoch
        schedule.step()


@each_schedule
def test_schedulers_resume_from_a_state_dict(make, factor):
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
def test_passing_an_epoch_to_step_is_deprecated(make, factor):
    schedule = make(optimizer())
    if not isinstance(schedule, lr_scheduler.CosineAnnealingWarmRestarts | lr_scheduler.MultiplicativeLR):
        with pytest.warns(UserWarning, match="epoch parameter"):
            schedule.step(7)
        assert schedule.get_last_lr() == pytest.approx([0.5 * factor(7)], abs=1e-15)


# As in PyTorch, the constructors of these schedulers set the rate of epoch `last_epoch + 1`. The constructors of the
# others keep the optimizer's rate, which they expect to be the rate of this epoch.
UPDATES_ON_RESUME = {"step", "step of default", "milestones", "constant", "lambda", "restarts"}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedulers_resume_from_last_epoch(name):
    make, factor = SCHEDULES[name]
    first = optimizer()
    schedule = make(first)
    for _ in range(3 if name in UPDATES_ON_RESUME else 4):
        schedule.step()
    resumed = make(first, last_epoch=3)
    assert resumed.last_epoch == 4
    assert first.param_groups[0]["lr"] == pytest.approx(0.5 * factor(4), rel=1e-12)
    resumed.step()
    assert first.param_groups[0]["lr"] == pytest.approx(0.5 * factor(5), rel=1e-12, abs=1e-15)


def test_cosine_annealing_continues_from_the_rate_of_the_optimizer():
    first = optimizer()
    first.param_groups[0].update(initial_lr=0.5, lr=0.25)
    resumed = lr_scheduler.CosineAnnealingLR(first, 4, last_epoch=0)
    assert resumed.get_last_lr() == [0.25]
    resumed.step()
    assert resumed.get_last_lr() == pytest.approx([0.25 / (1 + math.cos(math.pi / 4))])


def test_warm_restarts_resume_at_the_remainder_of_the_first_period():
    first = optimizer()
    first.param_groups[0]["initial_lr"] = 0.5
    resumed = lr_scheduler.CosineAnnealingWarmRestarts(first, 3, 2, last_epoch=6)
    assert (resumed.last_epoch, resumed.T_cur, resumed.T_i) == (7, 1, 6)
    assert resumed.get_last_lr() == pytest.approx([0.25 * (1 + math.cos(math.pi / 6))])


def test_cosine_annealing_ends_at_its_minimum():
    optimized = optimizer()
    schedule = lr_scheduler.CosineAnnealingLR(optimized, 4, eta_min=0.1)
    for _ in range(4):
        schedule.step()
    assert optimized.param_groups[0]["lr"] == pytest.approx(0.1)


def test_several_schedulers_multiply_their_factors():
    optimized = optimizer()
    schedules = [lr_scheduler.StepLR(optimized, 2, 0.5), lr_scheduler.ExponentialLR(optimized, 0.9)]
    for epoch in range(EPOCHS):
        assert optimized.param_groups[0]["lr"] == pytest.approx(0.5 * 0.5 ** (epoch // 2) * 0.9**epoch)
        for schedule in schedules:
            schedule.step()


def test_lambda_lr_takes_one_function_per_group():
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


def test_scheduler_state_dicts_equal_those_of_pytorch():
    saved = lr_scheduler.MultiStepLR(optimizer(), [2, 5, 5]).state_dict()
    assert saved["milestones"] == Counter({5: 2, 2: 1})
    assert {"base_lrs", "last_epoch", "gamma", "_last_lr"} <= set(saved)


def test_schedulers_reject_invalid_arguments():
    with pytest.raises(TypeError, match="int is not an Optimizer"):
        lr_scheduler.StepLR(3, 1)
    with pytest.raises(KeyError, match="'initial_lr' is not specified in param_groups"):
        lr_scheduler.StepLR(optimizer(), 1, last_epoch=2)
    with pytest.raises(NotImplementedError, match="LRScheduler does not define get_lr"):
        lr_scheduler.LRScheduler(optimizer())


def test_get_lr_outside_a_step_warns():
    schedule = lr_scheduler.StepLR(optimizer(1.0), 2)
    with pytest.warns(UserWarning, match=r"please use `get_last_lr\(\)`"):
        assert schedule.get_lr() == [1.0]


def test_custom_schedulers_override_get_lr():
    class Halved(lr_scheduler.ExponentialLR):
        def get_lr(self):
            if not self._get_lr_called_within_step:
                warnings.warn("not within step", stacklevel=2)
            return [rate / 2 for rate in super().get_lr()]

    schedule = Halved(optimizer(1.0), 0.5)
    assert schedule.get_last_lr() == [0.5]
    schedule.step()
    assert schedule.get_last_lr() == [0.125]


def test_multistep_lr_accepts_a_milestone_at_epoch_0():
    assert lr_scheduler.MultiStepLR(optimizer(1.0), [0, 1]).get_last_lr() == [0.1]


def test_stepping_the_scheduler_before_the_optimizer_warns():
    made = optim.SGD([fb.ones(1)], lr=0.1)
    schedule = lr_scheduler.ExponentialLR(made, 0.5)
    with pytest.warns(UserWarning, match="in the opposite order"):
        schedule.step()


def test_cyclic_lr_varies_the_learning_rate_and_the_momentum():
    made = optimizer(1.0, momentum=0.5)
    schedule = lr_scheduler.CyclicLR(made, 1.0, 3.0, 2, 4, mode="triangular2")
    assert rates_of(schedule, 13) == pytest.approx([1, 2, 3, 2.5, 2, 1.5, 1, 1.5, 2, 1.75, 1.5, 1.25, 1])
    assert made.param_groups[0]["momentum"] == pytest.approx(0.9 - 0.1 * 0.25 * 0.5)
    adam = optimizer(1.0, kind=optim.Adam)
    lr_scheduler.CyclicLR(adam, 1.0, 3.0, 2).step()
    assert (adam.param_groups[0]["base_momentum"], adam.param_groups[0]["max_momentum"]) == (0.8, 0.9)
    assert adam.param_groups[0]["betas"] == (pytest.approx(0.85), 0.999)
    with pytest.raises(ValueError, match="must support momentum or beta1"):
        lr_scheduler.CyclicLR(optimizer(1.0, kind=optim.Adagrad), 1.0, 3.0)
    heights = {"scale_fn": lambda step: 1 / max(step, 1), "scale_mode": "iterations", "cycle_momentum": False}
    falling = lr_scheduler.CyclicLR(optimizer(), 0.0, 1.0, 1, **heights)
    assert rates_of(falling, 4)[1::2] == pytest.approx([1, 1 / 3])


@pytest.mark.parametrize("kind", [lr_scheduler.CyclicLR, lr_scheduler.OneCycleLR])
def test_schedules_with_momentum_save_which_option_holds_it(kind):
    rates = (1.0, 3.0) if kind is lr_scheduler.CyclicLR else (1.0, 10)
    for made, use_beta1 in ((optimizer(momentum=0.5), False), (optimizer(kind=optim.Adam), True)):
        assert kind(made, *rates).state_dict()["use_beta1"] is use_beta1
        assert "use_beta1" not in kind(made, *rates, cycle_momentum=False).state_dict()


def test_one_cycle_lr_raises_and_lowers_the_learning_rate_once():
    made = optimizer(momentum=0.5)
    schedule = lr_scheduler.OneCycleLR(made, 1.0, total_steps=11, pct_start=0.3, anneal_strategy="linear")
    assert made.param_groups[0]["momentum"] == 0.95
    rates = rates_of(schedule, 10)
    assert rates[0] == 1 / 25 and max(rates) < 1 and rates[2] == pytest.approx(1 / 25 + 24 / 25 * 2 / 2.3)
    assert schedule.get_last_lr() == pytest.approx([1 / 25e4])
    assert made.param_groups[0]["momentum"] == pytest.approx(0.95)
    schedule.step()
    with pytest.raises(ValueError, match="Tried to step 12 times"):
        schedule.step()
    for options, message in (({}, "total_steps OR"), ({"total_steps": 0}, "positive"), ({"epochs": 0,
                             "steps_per_epoch": 2}, "epochs"), ({"total_steps": 9, "pct_start": 2}, "pct_start"),
                             ({"total_steps": 9, "anneal_strategy": "?"}, "anneal_strategy")):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            lr_scheduler.OneCycleLR(optimizer(momentum=0.5), 1.0, **options)


@pytest.mark.parametrize("mode", ["min", "max"])
def test_reduce_lr_on_plateau_halves_the_learning_rate_after_bad_epochs(mode):
    made, sign = optimizer(1.0), 1 if mode == "min" else -1
    schedule = lr_scheduler.ReduceLROnPlateau(made, mode, 0.5, patience=1, cooldown=1, min_lr=0.2, threshold_mode="abs")
    rates = []
    for value in (3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2):
        schedule.step(fb.tensor(sign * float(value)))
        rates += schedule.get_last_lr()
    assert rates == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.2, 0.2]
    other = lr_scheduler.ReduceLROnPlateau(optimizer(), mode)
    other.load_state_dict(schedule.state_dict())
    assert other.best == sign * 2
    with pytest.raises(ValueError, match="Factor should be"):
        lr_scheduler.ReduceLROnPlateau(made, factor=1.0)
    with pytest.raises(ValueError, match="mode middle is unknown"):
        lr_scheduler.ReduceLROnPlateau(made, "middle")


def test_sequential_lr_switches_schedulers_at_the_milestones():
    made = optimizer(1.0)
    parts = [lr_scheduler.ConstantLR(made, 0.1, 2), lr_scheduler.ExponentialLR(made, 0.5)]
    schedule = lr_scheduler.SequentialLR(made, parts, [3])
    assert rates_of(schedule, 6) == pytest.approx([0.1, 0.1, 1, 1, 0.5, 0.25])
    again = lr_scheduler.SequentialLR(
        made, [lr_scheduler.ConstantLR(made, 0.1, 2), lr_scheduler.ExponentialLR(made, 0.5)], [3]
    )
    again.load_state_dict(schedule.state_dict())
    assert again.last_epoch == 6 and again._schedulers[1].last_epoch == parts[1].last_epoch
    with pytest.raises(ValueError, match="one more than the number of milestone points"):
        lr_scheduler.SequentialLR(made, parts, [1, 2])
    with pytest.raises(ValueError, match="belong to the same optimizer"):
        lr_scheduler.SequentialLR(optimizer(), parts, [3])


def test_chained_scheduler_multiplies_the_factors_of_its_schedulers():
    made = optimizer(1.0)
    parts = [lr_scheduler.ConstantLR(made, 0.1, 2), lr_scheduler.ExponentialLR(made, 0.5)]
    schedule = lr_scheduler.ChainedScheduler(parts)
    assert rates_of(schedule, 4) == pytest.approx([0.1, 0.05, 0.25, 0.125])
    plateau = lr_scheduler.ReduceLROnPlateau(made)
    with pytest.raises(ValueError, match="does not support `ReduceLROnPlateau`"):
        lr_scheduler.ChainedScheduler([*parts, plateau])
    with pytest.raises(ValueError, match="at least one scheduler"):
        lr_scheduler.ChainedScheduler([])


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda o: lr_scheduler.ExponentialLR(o, 0.5), 0.25),
        (lambda o: lr_scheduler.LambdaLR(o, lambda epoch: 1 / (1 + epoch)), 0.25),
        (lambda o: lr_scheduler.CyclicLR(o, 0.1, 0.3, step_size_up=2, cycle_momentum=False), 0.2),
        (lambda o: lr_scheduler.SequentialLR(o, [lr_scheduler.ConstantLR(o, 0.5, 3)] * 2, [2]), 0.25),
        (lambda o: lr_scheduler.ChainedScheduler([lr_scheduler.ExponentialLR(o, 0.5)]), 0.25),
    ],
)
def test_tensor_learning_rates_stay_tensors(make, expected):
    rate = fb.tensor(0.5)
    made = optim.SGD([fb.ones(1)], lr=rate)
    schedule = make(made)
    made.step()
    schedule.step()
    assert made.param_groups[0]["lr"] is rate
    assert rate.item() == pytest.approx(expected)
    (last,) = schedule.get_last_lr()
    assert last is not rate
    assert last.item() == rate.item()


def test_a_tensor_learning_rate_is_reduced_on_a_plateau():
    rate = fb.tensor([0.5])
    made = optim.SGD([fb.ones(1)], lr=rate)
    schedule = lr_scheduler.ReduceLROnPlateau(made, factor=0.5, patience=0)
    schedule.step(1.0)
    schedule.step(2.0)
    assert made.param_groups[0]["lr"] is rate
    assert rate.tolist() == schedule.get_last_lr()[0].tolist() == [0.25]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda o: lr_scheduler.StepLR(o, 0), ValueError, "step_size must be a positive int, .* got 0"),
        (lambda o: lr_scheduler.StepLR(o, 2.5), ValueError, r"step_size must be a positive int, .* got 2\.5"),
        (
            lambda o: lr_scheduler.MultiStepLR(o, 5),
            TypeError,
            r"milestones must be a list of epochs, got 5; write \[5\]",
        ),
        (
            lambda o: lr_scheduler.LambdaLR(o, 0.5),
            TypeError,
            "lr_lambda must be a function .* write for example lambda epoch",
        ),
        (lambda o: lr_scheduler.LambdaLR(o, [0.5]), TypeError, "lr_lambda must be a function"),
        (lambda o: lr_scheduler.LambdaLR(fb.ones(1), lambda epoch: 1), TypeError, "Tensor is not an Optimizer"),
    ],
)
def test_errors_of_schedulers_name_arguments_of_the_wrong_type(make, error, message):
    with pytest.raises(error, match=message):
        make(optim.SGD([fb.ones(1)]))


def test_the_epoch_deprecation_warning_can_be_imported():
    schedule = lr_scheduler.StepLR(optim.SGD([fb.ones(1)], lr=0.1), 2)
    schedule.optimizer.step()
    with pytest.warns(UserWarning, match="epoch parameter") as caught:
        schedule.step(2)
    assert str(caught[0].message) == lr_scheduler.EPOCH_DEPRECATION_WARNING


def test_replacing_the_step_method_of_an_optimizer_warns():
    optimizer = optim.SGD([fb.zeros(2)], lr=0.1)
    schedule = optim.lr_scheduler.StepLR(optimizer, 3)
    optimizer.step = lambda: None
    with pytest.warns(UserWarning, match=r"`optimizer.step\(\)` has been overridden"):
        schedule.step()
    assert "_steps_by" not in schedule.state_dict()


def test_an_override_of_reduce_lr_is_called():
    calls = []
    optimizer = optim.SGD([fb.zeros(1)], lr=1.0)
    scheduler = optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
    scheduler._reduce_lr = calls.append
    for metric in (1.0, 2.0, 3.0):
        scheduler.step(metric)
    assert calls == [2, 3] and optimizer.param_groups[0]["lr"] == 1.0


def test_schedules_call_overridden_steps():
    calls = []

    class Own(lr_scheduler.StepLR):
        def step(self, epoch=None):
            calls.append(self.last_epoch)
            super().step(epoch)

    class Linear(lr_scheduler.LRScheduler):
        def step(self, epoch=None):
            self.last_epoch += 1
            for group in self.optimizer.param_groups:
                group["lr"] = group["initial_lr"] * (self.last_epoch + 1) / 10

    schedule = Own(optimizer(0.1), 1)
    lr_scheduler.ChainedScheduler([schedule]).step()
    assert calls == [-1, 0]
    both = optimizer(1.0)
    combined = lr_scheduler.SequentialLR(both, [Own(both, 1), lr_scheduler.ConstantLR(both)], [3])
    calls.clear()
    combined.step()
    assert calls == [0]
    slow = optimizer(1.0)
    Linear(slow)
    assert slow.param_groups[0]["lr"] == 0.1


def test_a_plateau_schedule_warns_about_an_explicit_epoch():
    schedule = lr_scheduler.ReduceLROnPlateau(optimizer())
    with pytest.warns(UserWarning, match="The epoch parameter in `scheduler.step"):
        schedule.step(1.0, epoch=3)
    assert schedule.last_epoch == 3


def test_the_former_name_of_the_base_class_is_a_subclass_as_in_pytorch():
    former = lr_scheduler._LRScheduler

    class Constant(former):
        def get_lr(self):
            return [group["lr"] for group in self.optimizer.param_groups]

    assert isinstance(Constant(optimizer()), lr_scheduler.LRScheduler)
    assert not isinstance(lr_scheduler.ConstantLR(optimizer()), former)
