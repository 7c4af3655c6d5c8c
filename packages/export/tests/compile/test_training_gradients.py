"""Gradients of training steps under `flambeau.compile`: accumulation, hooks, and other ways to differentiate."""

import pytest

import flambeau as fb
from flambeau import nn
from flambeau.nn import functional as F

from .training_steps import OPTIMIZERS, bytes_of, perceptron, require_same, usual_step

optim = pytest.importorskip("flambeau.optim")


def test_compiled_steps_support_zero_grad_without_set_to_none():
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
def test_compiled_steps_clip_gradients(clip):
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


def test_existing_gradients_select_the_compiled_program():
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


def test_compiled_steps_support_frozen_parameters_and_replaced_gradients():
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


def test_compiled_steps_support_several_losses_and_retained_graphs():
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


def test_compiled_steps_compute_gradients_of_inputs_and_selected_leaves():
    weight = fb.randn(3, requires_grad=True)

    def step(x):
        (weight * x).sum().backward(inputs=[x])
        return x.grad * 2

    compiled = fb.compile(step, fullgraph=True)
    for _ in range(3):
        x = fb.randn(3, requires_grad=True)
        assert fb.equal(compiled(x), weight * 2)
    assert weight.grad is None and len(compiled.captured) == 1


def test_compiled_steps_compute_second_derivatives():
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


def test_memory_of_the_graph_is_freed():
    model, batch = perceptron()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    compiled = fb.compile(usual_step(model, optimizer))
    for _ in range(3):
        loss = compiled(*batch())
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def test_unsupported_ways_to_differentiate_run_uncompiled():
    weight = fb.ones(3, requires_grad=True)

    def step(x):
        weight.grad = None
        fb.autograd.backward([(weight * x).sum()])
        return weight.grad * 2

    compiled = fb.compile(step)
    for _ in range(3):
        x = fb.randn(3)
        assert fb.equal(compiled(x), x * 2)
    assert compiled.captured == [] and "only with Tensor.backward()" in compiled.failures[0]


def test_a_compiled_function_may_create_and_differentiate_leaves():
    def makes_a_leaf(x):
        w = fb.ones(3, requires_grad=True)
        (w * x).sum().backward()
        return w.grad

    compiled = fb.compile(makes_a_leaf)
    for _ in range(3):
        x = fb.randn(3)
        assert fb.equal(compiled(x), x)
    assert compiled.captured == [] and compiled.failures


def test_a_different_batch_size_does_not_recompile_the_backward_pass():
    model, _ = perceptron()
    optimizer = optim.Adam(model.parameters())
    compiled = fb.compile(usual_step(model, optimizer), fullgraph=True)
    for n in (3, 4, 9, 1):
        compiled(fb.randn(n, 8), fb.randint(0, 3, (n,)))
    assert len(compiled.captured) == 1


def test_a_checkpoint_recomputes_a_compiled_module():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.LayerNorm(8), nn.Linear(8, 3))
    compiled = fb.compile(model)
    for _ in range(3):
        x = fb.randn(2, 4, requires_grad=True)
        (expected,) = fb.autograd.grad(model(x).sum(), x)
        result = fb.utils.checkpoint.checkpoint(compiled, x, use_reentrant=False)
        assert fb.equal(fb.autograd.grad(result.sum(), x)[0], expected)
