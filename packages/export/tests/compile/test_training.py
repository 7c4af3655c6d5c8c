"""Training steps under `flambeau.compile`: what is captured, and identical losses, gradients and states."""

import copy

import pytest

import flambeau as fb
from flambeau import nn
from flambeau._compile import UnsupportedError
from flambeau.nn import functional as F

from .training_steps import (
    OPTIMIZERS,
    bytes_of,
    lenet,
    perceptron,
    require_same,
    train,
    transformer,
    usual_step,
)

optim = pytest.importorskip("flambeau.optim")


@pytest.mark.parametrize("make", [perceptron, lenet, transformer])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_compiled_training_step_equals_the_uncompiled_one(make, name):
    run = require_same(make, OPTIMIZERS[name])
    text = run.captured[0].part.text
    assert "run_backward(" in text and "clear_gradients(" in text
    assert ("step_optimizer(" in text) == (name != "Lion")  # the update of Lion is recorded as separate operators


def test_hyperparameters_are_read_at_each_step():
    def of(params):
        return optim.SGD(params, lr=0.1, momentum=0.9)

    def between(number, model, optimizer):
        optimizer.param_groups[0]["lr"] *= 0.9
        optimizer.param_groups[0]["momentum"] = 0.9 - 0.01 * number

    require_same(perceptron, of, between=between)


def test_a_scheduler_changes_the_learning_rate():
    schedulers = {}

    def of(params):
        optimizer = optim.AdamW(params, lr=0.1)
        schedulers[optimizer] = optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
        return optimizer

    require_same(perceptron, of, between=lambda number, model, optimizer: schedulers[optimizer].step())


def test_options_that_the_function_reads_are_guarded():
    def make_step(model, optimizer):
        def step(x, y):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y) * optimizer.param_groups[0]["lr"]
            loss.backward()
            optimizer.step()
            return loss

        return step

    def between(number, model, optimizer):
        optimizer.param_groups[0]["lr"] = 0.5 if number < 6 else 0.25

    require_same(perceptron, OPTIMIZERS["SGD"], programs=2, make_step=make_step, between=between)


def test_changing_the_momentum_to_zero_recompiles():
    def between(number, model, optimizer):
        optimizer.param_groups[0]["momentum"] = 0.0 if number >= 5 else 0.9

    require_same(perceptron, lambda p: optim.SGD(p, lr=0.1, momentum=0.9), programs=2, steps=10, between=between)


def test_compiled_steps_follow_added_groups_and_loaded_states():
    def make():
        model = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 3)])
        model.forward = lambda x: model[1](model[0](x))
        return model, lambda: (fb.randn(6, 4), fb.randint(0, 3, (6,)))

    saved = {}

    def between(number, model, optimizer):
        if number == 4:
            optimizer.add_param_group({"params": list(model[1].parameters()), "lr": 0.05})
        if number == 8:
            saved["state"] = copy.deepcopy(optimizer.state_dict())
        if number == 12:
            optimizer.load_state_dict(saved["state"])

    def run(compiled):
        fb.manual_seed(0)
        model, batch = make()
        optimizer = optim.Adam(model[0].parameters(), lr=0.01)
        step = usual_step(model, optimizer)
        step = fb.compile(step) if compiled else step
        losses = []
        for number in range(16):
            losses.append(step(*batch()))
            between(number, model, optimizer)
        return bytes_of([losses, model.state_dict(), optimizer.state_dict()])

    assert run(True) == run(False)


def test_compiled_steps_run_hooks_of_optimizers_and_modules():
    calls = []

    def run(compiled):
        fb.manual_seed(0)
        model, batch = perceptron()
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        step = usual_step(model, optimizer)
        step = fb.compile(step) if compiled else step
        for number in range(9):
            if number == 3:
                optimizer.register_step_post_hook(lambda *_: calls.append("step"))
            if number == 6:
                handle = optim.optimizer.register_optimizer_step_pre_hook(lambda *_: calls.append("all"))
            step(*batch())
        handle.remove()
        return bytes_of(model.state_dict())

    expected = run(False)
    seen = list(calls)
    calls.clear()
    assert run(True) == expected and calls == seen


def test_a_step_with_a_closure_is_compiled_except_for_lbfgs():
    def make_step(model, optimizer):
        def step(x, y):
            def closure():
                optimizer.zero_grad()
                loss = F.cross_entropy(model(x), y)
                loss.backward()
                return loss

            return optimizer.step(closure)

        return step

    require_same(perceptron, OPTIMIZERS["Adam"], make_step=make_step)
    expected, _ = train(perceptron, lambda p: optim.LBFGS(p), False, steps=4, make_step=make_step)
    found, run = train(perceptron, lambda p: optim.LBFGS(p), True, steps=4, make_step=make_step)
    assert found == expected and run.captured == [] and run.failures


def test_a_custom_optimizer_step_in_python_is_compiled():
    def make_step(model, optimizer):
        def step(x, y):
            for p in model.parameters():
                p.grad = None
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            with fb.no_grad():
                for p in model.parameters():
                    p.sub_(p.grad, alpha=0.1)
            return loss

        return step

    run = require_same(perceptron, OPTIMIZERS["SGD"], make_step=make_step)
    assert "set_grad_mode(False)" in run.captured[0].part.text and "gradient_of(" in run.captured[0].part.text


def test_a_step_with_an_enabled_scaler_runs_uncompiled():
    def make_step(model, optimizer):
        scaler = fb.amp.GradScaler("cpu", init_scale=8.0)

        def step(x, y):
            optimizer.zero_grad()
            with fb.autocast("cpu", dtype=fb.bfloat16):
                loss = F.cross_entropy(model(x), y)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            return loss

        return step

    expected, _ = train(perceptron, OPTIMIZERS["SGD"], False, steps=5, make_step=make_step)
    found, run = train(perceptron, OPTIMIZERS["SGD"], True, steps=5, make_step=make_step)
    assert found == expected and "_scale_gradients" in run.failures[0]


@pytest.mark.parametrize("dtype", [fb.bfloat16, fb.float16])
def test_a_compiled_step_with_autocast_equals_the_eager_step(dtype):
    def make_step(model, optimizer):
        def step(x, y):
            optimizer.zero_grad()
            with fb.autocast("cpu", dtype=dtype):
                loss = F.cross_entropy(model(x), y) + F.mse_loss(model(x), model(x) * 0)
            loss.backward()
            optimizer.step()
            return loss

        return step

    run = require_same(perceptron, OPTIMIZERS["AdamW"], make_step=make_step)
    assert str(dtype).rpartition(".")[2] in run.captured[0].part.text


def test_a_compiled_step_with_two_optimizers_equals_the_eager_step():
    def run(compiled):
        fb.manual_seed(0)
        generator = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        critic = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))
        of_generator = optim.Adam(generator.parameters(), lr=0.01)
        of_critic = optim.RMSprop(critic.parameters(), lr=0.01)
        criterion = nn.BCEWithLogitsLoss()

        def step(noise, real):
            of_critic.zero_grad()
            made = generator(noise)
            first = criterion(critic(real), fb.ones(len(real), 1)) + criterion(
                critic(made.detach()), fb.zeros(len(real), 1)
            )
            first.backward()
            of_critic.step()
            of_generator.zero_grad()
            second = criterion(critic(made), fb.ones(len(real), 1))
            second.backward()
            of_generator.step()
            return first, second

        call = fb.compile(step) if compiled else step
        losses = [call(fb.randn(n, 4), fb.randn(n, 2)) for n in (5, 5, 5, 7, 3, 5)]
        if compiled:
            assert call.failures == [] and len(call.captured) == 3  # one program for each number of rows
        return bytes_of([losses, generator.state_dict(), critic.state_dict(), of_generator.state_dict()])

    assert run(True) == run(False)


def test_fullgraph_accepts_a_step_that_creates_state_first():
    model, batch = perceptron()
    optimizer = optim.Adam(model.parameters())
    compiled = fb.compile(usual_step(model, optimizer), fullgraph=True)
    for _ in range(3):
        compiled(*batch())
    assert len(compiled.captured) == 1

    calls = []

    @fb.compile(fullgraph=True)
    def counts(x):
        calls.append(1)
        return x

    for _ in range(2):  # the first calls may fill a cache
        counts(fb.ones(1))
    with pytest.raises(UnsupportedError, match="changes a Python object"):
        counts(fb.ones(1))


@pytest.mark.parametrize("kind", ["nothing", "number", "dict"])
def test_a_compiled_step_may_return_any_structure(kind):
    def make_step(model, optimizer):
        def step(x, y):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            return {"nothing": None, "number": loss.item(), "dict": {"loss": loss, "name": "train"}}[kind]

        return step

    require_same(perceptron, OPTIMIZERS["Adam"], make_step=make_step)


def test_a_hyperparameter_of_a_wrong_type_raises_as_if_uncompiled():
    model, batch = perceptron()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    compiled = fb.compile(usual_step(model, optimizer))
    for _ in range(3):
        compiled(*batch())
    optimizer.param_groups[0]["lr"] = "fast"
    with pytest.raises(TypeError):
        compiled(*batch())
    del optimizer.param_groups[0]["lr"]
    with pytest.raises(KeyError):
        compiled(*batch())
