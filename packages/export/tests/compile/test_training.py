"""Training steps under `flambeau.compile`: what is captured, and identical losses, gradients and states."""

import copy

import pytest

import flambeau as fb
from flambeau import nn
from flambeau._compile import UnsupportedError
from flambeau.nn import functional as F

optim = pytest.importorskip("flambeau.optim")


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.norm, self.head = nn.Embedding(11, 8), nn.LayerNorm(8), nn.Linear(8, 11)
        self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 8)
        self.grow, self.shrink = nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, tokens):
        x = self.embed(tokens)
        q, k, v = self.qkv(self.norm(x)).chunk(3, -1)
        x = x + self.out(F.scaled_dot_product_attention(q, k, v, is_causal=True))
        x = x + F.dropout(self.shrink(F.gelu(self.grow(x))), 0.1, self.training)
        return self.head(x).flatten(0, 1)


def perceptron():
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 3))
    return model, lambda: (fb.randn(6, 8), fb.randint(0, 3, (6,)))


def lenet():
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25), nn.Flatten(),
        nn.Linear(36, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 3),
    )  # fmt: skip
    return model, lambda: (fb.randn(5, 1, 8, 8), fb.randint(0, 3, (5,)))


def transformer():
    return Attention(), lambda: (fb.randint(0, 11, (2, 5)), fb.randint(0, 11, (10,)))


OPTIMIZERS = {
    "SGD": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.01),
    "Adam": lambda p: optim.Adam(p, lr=0.01),
    "amsgrad": lambda p: optim.Adam(p, lr=0.01, amsgrad=True, betas=(0.8, 0.99)),
    "AdamW": lambda p: optim.AdamW(p, lr=0.01),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.01),
    "Adadelta": lambda p: optim.Adadelta(p),
    "Adamax": lambda p: optim.Adamax(p, lr=0.01),
    "NAdam": lambda p: optim.NAdam(p, lr=0.01),
    "RAdam": lambda p: optim.RAdam(p, lr=0.01),
    "ASGD": lambda p: optim.ASGD(p, lr=0.01),
    "Rprop": lambda p: optim.Rprop(p, lr=0.01),
    "Lion": lambda p: optim.Lion(p, lr=0.001),
}


def usual_step(model, optimizer):
    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def bytes_of(value):
    """Replace each tensor in a structure with its dtype, shape and bytes, for exact comparison."""
    if isinstance(value, fb.Tensor):
        return value.dtype, tuple(value.shape), value.detach().numpy().tobytes()
    if isinstance(value, dict):
        return {key: bytes_of(item) for key, item in value.items()}
    return [bytes_of(item) for item in value] if isinstance(value, list | tuple) else value


def train(make, optimizer_of, compiled, steps=20, make_step=usual_step, between=None):
    """Return losses, parameters, gradients and the optimizer's state after some steps, and the compiled step."""
    fb.manual_seed(0)
    model, batch = make()
    optimizer = optimizer_of(model.parameters())
    step = make_step(model, optimizer)
    run = fb.compile(step) if compiled else step
    losses = []
    for number in range(steps):
        losses.append(run(*batch()))
        if between is not None:
            between(number, model, optimizer)
    gradients = [p.grad for p in model.parameters()]
    return bytes_of([losses, model.state_dict(), gradients, optimizer.state_dict()]), run


def require_same(make, optimizer_of, programs=1, **options):
    """Train with and without compilation and require identical results; return the compiled step."""
    expected, _ = train(make, optimizer_of, False, **options)
    found, run = train(make, optimizer_of, True, **options)
    assert found == expected
    assert run.refusals == [] and len(run.captured) == programs
    return run


@pytest.mark.parametrize("make", [perceptron, lenet, transformer])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_is_identical_to_that_of_the_function(make, name):
    run = require_same(make, OPTIMIZERS[name])
    text = run.captured[0].text
    assert "run_backward(" in text and "clear_gradients(" in text
    assert ("step_optimizer(" in text) == (name != "Lion")  # the update of Lion is recorded as separate operators


def test_gradients_may_be_filled_with_zeros():
    def make_step(model, optimizer):
        def step(x, y):
            optimizer.zero_grad(set_to_none=False)
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        return step

    require_same(perceptron, OPTIMIZERS["Adam"], programs=1, make_step=make_step)


@pytest.mark.parametrize("clip", ["norm", "inf", "value"])
def test_gradients_are_clipped(clip):
    def make_step(model, optimizer):
        def step(x, y):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            if clip == "value":
                nn.utils.clip_grad_value_(model.parameters(), 0.01)
            else:
                nn.utils.clip_grad_norm_(model.parameters(), 0.1, norm_type=2.0 if clip == "norm" else float("inf"))
            optimizer.step()
            return loss

        return step

    require_same(perceptron, OPTIMIZERS["SGD"], make_step=make_step)


def test_gradients_accumulate_over_several_calls():
    def make_step(model, optimizer):
        def step(x, y):
            loss = F.cross_entropy(model(x), y) / 4
            loss.backward()
            return loss

        return step

    def between(number, model, optimizer):
        if number % 4 == 3:
            optimizer.step()
            optimizer.zero_grad()

    require_same(perceptron, OPTIMIZERS["Adam"], make_step=make_step, steps=12, between=between)


def test_whether_leaves_have_gradients_selects_the_program():
    weight = fb.ones(3, requires_grad=True)

    def step(x):
        before = weight.grad
        (weight * x).sum().backward()
        return fb.zeros(3) if before is None else before * 1

    compiled = fb.compile(step, fullgraph=True)
    seen = []
    for cleared in (True, False, False, True, False):
        if cleared:
            weight.grad = None
        seen.append(compiled(fb.ones(3))[0].item())
    assert seen == [0.0, 2.0, 3.0, 0.0, 2.0] and len(compiled.captured) == 2


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


def test_a_momentum_that_becomes_zero_needs_another_program():
    def between(number, model, optimizer):
        optimizer.param_groups[0]["momentum"] = 0.0 if number >= 5 else 0.9

    require_same(perceptron, lambda p: optim.SGD(p, lr=0.1, momentum=0.9), programs=2, steps=10, between=between)


def test_groups_are_added_and_states_are_loaded():
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


def test_frozen_parameters_and_replaced_gradients():
    def between(number, model, optimizer):
        if number == 5:
            model[0].weight.requires_grad_(False)
        if number == 10:
            model[0].weight.requires_grad_(True)
        model[2].weight.grad = fb.ones_like(model[2].weight)

    require_same(perceptron, OPTIMIZERS["Adam"], programs=2, between=between, steps=15)


def test_hooks_on_leaves_run_at_each_step():
    def run(compiled):
        fb.manual_seed(0)
        model, batch = perceptron()
        seen = []
        model[0].weight.register_hook(lambda g: seen.append(g.abs().sum().item()) or g * 0.5)
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        step = usual_step(model, optimizer)
        step = fb.compile(step) if compiled else step
        losses = [step(*batch()) for _ in range(6)]
        return bytes_of([losses, model.state_dict()]), seen

    expected, found = run(False), run(True)
    assert found == expected and len(found[1]) == 6


def test_hooks_after_accumulation_run_uncompiled():
    model, batch = perceptron()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    compiled = fb.compile(usual_step(model, optimizer))
    for _ in range(3):
        compiled(*batch())
    assert len(compiled.captured) == 1
    before = model[0].weight.detach().clone()
    model[0].weight.register_post_accumulate_grad_hook(lambda p: setattr(p, "grad", None))
    compiled(*batch())
    assert fb.equal(model[0].weight, before)


def test_hooks_of_optimizers_and_modules_are_seen():
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


def test_a_closure_is_captured_and_lbfgs_runs_uncompiled():
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
    assert found == expected and run.captured == [] and run.refusals


def test_a_step_in_python_runs_as_operators():
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
    assert "set_grad_mode(False)" in run.captured[0].text and "gradient_of(" in run.captured[0].text


def test_a_scaler_and_autocast_run_uncompiled_if_they_are_enabled():
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
    assert found == expected and "autocast" in run.refusals[0]


def test_two_optimizers_step_in_turn():
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
            assert call.refusals == [] and len(call.captured) == 3  # one for each size: it is compared after a change
        return bytes_of([losses, generator.state_dict(), critic.state_dict(), of_generator.state_dict()])

    assert run(True) == run(False)


def test_several_losses_and_graphs_that_are_kept():
    def make_step(model, optimizer):
        def step(x, y):
            optimizer.zero_grad()
            out = model(x)
            loss, penalty = F.cross_entropy(out, y), out.square().mean()
            loss.backward(retain_graph=True)
            penalty.backward(fb.full((), 0.5))
            optimizer.step()
            return loss, penalty

        return step

    require_same(perceptron, OPTIMIZERS["momentum"], make_step=make_step)


def test_gradients_of_inputs_and_of_chosen_leaves():
    weight = fb.randn(3, requires_grad=True)

    def step(x):
        (weight * x).sum().backward(inputs=[x])
        return x.grad * 2

    compiled = fb.compile(step, fullgraph=True)
    for _ in range(3):
        x = fb.randn(3, requires_grad=True)
        assert fb.equal(compiled(x), weight * 2)
    assert weight.grad is None and len(compiled.captured) == 1


def test_gradients_that_are_differentiated_again():
    def run(compiled):
        fb.manual_seed(0)
        weight = fb.randn(4, requires_grad=True)

        def step(x):
            weight.grad = None
            (weight.tanh() * x).sum().backward(create_graph=True)
            penalty = weight.grad.square().sum()
            weight.grad = None
            penalty.backward()
            return penalty

        step = fb.compile(step, fullgraph=True) if compiled else step
        return [bytes_of([step(fb.randn(4)), weight.grad]) for _ in range(4)]

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


def test_memory_of_the_graph_is_freed():
    model, batch = perceptron()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    compiled = fb.compile(usual_step(model, optimizer))
    for _ in range(3):
        loss = compiled(*batch())
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


@pytest.mark.parametrize("kind", ["nothing", "number", "dict"])
def test_a_step_returns_anything(kind):
    def make_step(model, optimizer):
        def step(x, y):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            return {"nothing": None, "number": loss.item(), "dict": {"loss": loss, "name": "train"}}[kind]

        return step

    require_same(perceptron, OPTIMIZERS["Adam"], make_step=make_step)


def test_other_ways_to_differentiate_run_uncompiled():
    weight = fb.ones(3, requires_grad=True)

    def step(x):
        weight.grad = None
        fb.autograd.backward([(weight * x).sum()])
        return weight.grad * 2

    compiled = fb.compile(step)
    for _ in range(3):
        x = fb.randn(3)
        assert fb.equal(compiled(x), x * 2)
    assert compiled.captured == [] and "only with Tensor.backward()" in compiled.refusals[0]


def test_results_and_leaves_made_in_the_function():
    def makes_a_leaf(x):
        w = fb.ones(3, requires_grad=True)
        (w * x).sum().backward()
        return w.grad

    compiled = fb.compile(makes_a_leaf)
    for _ in range(3):
        x = fb.randn(3)
        assert fb.equal(compiled(x), x)
    assert compiled.captured == [] and compiled.refusals


def test_a_gradient_of_another_size_of_batch_needs_no_new_program():
    model, _ = perceptron()
    optimizer = optim.Adam(model.parameters())
    compiled = fb.compile(usual_step(model, optimizer), fullgraph=True)
    for n in (3, 4, 9, 1):
        compiled(fb.randn(n, 8), fb.randint(0, 3, (n,)))
    assert len(compiled.captured) == 1


def test_a_changed_hyperparameter_of_a_wrong_type_raises_what_the_function_raises():
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
