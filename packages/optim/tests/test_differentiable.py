"""Values and derivatives of recorded steps (``differentiable=True``), compared with the update rules in NumPy."""

import inspect

import numpy as np
import pytest
from update_rules import RULES, STEPS, assert_close, gradients, parameters, set_gradients, starting_values

import flambeau as fb
from flambeau import optim

RECORDED = [rule for rule in RULES if "differentiable" in inspect.signature(rule.kind).parameters]
each_rule = pytest.mark.parametrize("rule", RECORDED, ids=lambda rule: f"{rule.kind.__name__}-{rule.options}")


@each_rule
def test_differentiable_steps_equal_the_update_rule(rule):
    values = starting_values()
    params = parameters(values)
    optimizer = rule.kind(params, **rule.options, differentiable=True)
    states = [{} for _ in values]
    for step in range(1, STEPS + 1):
        grads = gradients(step)
        set_gradients(params, grads)
        optimizer.step()
        rows = zip(values, grads, states, strict=True)
        values = [rule.reference(value, grad, state, step, **rule.options) for value, grad, state in rows]
        assert_close(params, values)


def numeric_slopes(function, point):
    """Return the gradient of a function of an array by central differences."""
    slopes = np.empty_like(point)
    for index in np.ndindex(point.shape):
        ends = []
        for move in (1e-6, -1e-6):
            moved = point.copy()
            moved[index] += move
            ends.append(function(moved))
        slopes[index] = (ends[0] - ends[1]) / 2e-6
    return slopes


@each_rule
def test_gradients_flow_through_steps_to_parameters_and_gradients(rule):
    autograd = pytest.importorskip("flambeau.autograd")
    random = np.random.default_rng(3)
    start, first, second, weights = random.standard_normal((4, 5)) + 0.1

    def weighed(start, first, second):
        state = {}
        value = rule.reference(start, first, state, 1, **rule.options)
        return (rule.reference(value, second, state, 2, **rule.options) * weights).sum()

    leaves = [fb.tensor(value, requires_grad=True) for value in (start, first, second)]
    param = leaves[0].clone()
    optimizer = rule.kind([param], **rule.options, differentiable=True)
    for grad in leaves[1:]:
        param.grad = grad
        optimizer.step()
    loss = (param * fb.tensor(weights)).sum()
    found = autograd.grad(loss, leaves, allow_unused=True)
    arrays = [start, first, second]
    for index, slope in enumerate(found):

        def along(moved, index=index):
            return weighed(*(moved if at == index else value for at, value in enumerate(arrays)))

        given = np.zeros(5) if slope is None else slope.numpy()
        np.testing.assert_allclose(given, numeric_slopes(along, arrays[index]), rtol=2e-5, atol=2e-7)


def test_gradients_flow_to_a_learning_rate():
    """Check that ``d/dlr (p - lr * g)`` is ``-g``."""
    pytest.importorskip("flambeau.autograd")
    rate = fb.tensor(0.1, requires_grad=True)
    param = fb.ones(3, requires_grad=True).clone()
    param.grad = fb.tensor([1.0, 2.0, 4.0])
    optim.SGD([param], lr=rate, differentiable=True).step()
    param.sum().backward()
    assert rate.grad.item() == -7.0


def test_differentiable_steps_reject_leaf_parameters():
    pytest.importorskip("flambeau.autograd")
    param = fb.ones(2, requires_grad=True)
    param.grad = fb.ones(2)
    with pytest.raises(RuntimeError, match="leaf"):
        optim.SGD([param], lr=0.1, differentiable=True).step()
    assert param.tolist() == [1.0, 1.0]


def test_differentiable_steps_treat_complex_parameters_as_real_pairs():
    start = np.random.default_rng(0).standard_normal(6)
    params = [fb.tensor(start).view(fb.complex128), fb.tensor(start).reshape(3, 2)]
    for param in params:
        optimizer = optim.Adam([param], lr=0.1, differentiable=True)
        for _ in range(3):
            param.grad = param * 2
            optimizer.step()
    np.testing.assert_allclose(fb.view_as_real(params[0]).numpy(), params[1].numpy(), rtol=1e-12)
