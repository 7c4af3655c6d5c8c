"""Every optimizer, compared with its update rule in NumPy float64."""

import numpy as np
import pytest
from update_rules import RULES, STEPS, adam, assert_close, gradients, parameters, set_gradients, sgd, starting_values

import flambeau as fb
from flambeau import optim

each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.kind.__name__}-{rule.options}")
each_kind = pytest.mark.parametrize("kind", dict.fromkeys(rule.kind for rule in RULES))


@each_rule
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_optimizer_steps_equal_the_update_rules(rule, dtype):
    dtype = getattr(fb, dtype)
    values = starting_values()
    params = parameters(values, dtype)
    optimizer = rule.kind(params, **rule.options)
    states = [{} for _ in values]
    for step in range(1, STEPS + 1):
        grads = gradients(step)
        set_gradients(params, grads)
        assert optimizer.step() is None
        rows = zip(values, grads, states, strict=True)
        values = [rule.reference(value, grad, state, step, **rule.options) for value, grad, state in rows]
        assert_close(params, values, dtype)


@each_rule
def test_parameters_without_gradients_do_not_change(rule):
    """Check that steps without a gradient do not change a parameter or increment its step count."""
    values = starting_values()
    params = parameters(values)
    optimizer = rule.kind(params, **rule.options)
    states, counts = [{} for _ in values], [0] * len(values)
    for step in range(1, STEPS + 1):
        grads = gradients(step)
        if step % 2:
            grads[1] = None
        set_gradients(params, grads)
        optimizer.step()
        for index, grad in enumerate(grads):
            if grad is not None:
                counts[index] += 1
                values[index] = rule.reference(values[index], grad, states[index], counts[index], **rule.options)
        assert_close(params, values)


@each_rule
def test_training_continues_from_a_saved_optimizer_state(rule):
    def run(optimizer, params, steps):
        for step in steps:
            set_gradients(params, gradients(step))
            optimizer.step()

    params = parameters(starting_values())
    optimizer = rule.kind(params, **rule.options)
    run(optimizer, params, [1, 2])
    saved = optimizer.state_dict()
    resumed = parameters([param.detach().numpy() for param in params])
    successor = rule.kind(resumed, lr=123.0)
    successor.load_state_dict(saved)
    run(optimizer, params, [3, 4])
    run(successor, resumed, [3, 4])
    assert_close(resumed, [param.detach().numpy() for param in params])


def test_parameter_groups_have_separate_options():
    values = starting_values([(3,), (3,)])
    params = parameters(values)
    optimizer = optim.SGD([{"params": params[0]}, {"params": [params[1]], "lr": 0.5}], lr=0.1, weight_decay=0.2)
    grads = [np.ones(3), np.ones(3)]
    set_gradients(params, grads)
    optimizer.step()
    rows = zip(values, grads, (0.1, 0.5), strict=True)
    assert_close(params, [sgd(value, grad, {}, 1, lr=lr, weight_decay=0.2) for value, grad, lr in rows])


def test_optimizer_options_can_change_between_steps():
    (value,) = starting_values([(3,)])
    (param,) = parameters([value])
    optimizer = optim.Adam([param], lr=0.1)
    state = {}
    for step, rate in enumerate((0.1, 0.01, 1.0), start=1):
        optimizer.param_groups[0]["lr"] = rate
        set_gradients([param], [np.full(3, 2.0 * step)])
        optimizer.step()
        value = adam(value, np.full(3, 2.0 * step), state, step, lr=rate)
        assert_close([param], [value])


@each_rule
def test_cleared_optimizer_state_is_created_again(rule):
    values = starting_values()
    params = parameters(values)
    optimizer = rule.kind(params, **rule.options)
    set_gradients(params, gradients(1))
    optimizer.step()
    optimizer.state.clear()
    values = [param.detach().numpy().copy() for param in params]
    set_gradients(params, gradients(2))
    optimizer.step()
    rows = zip(values, gradients(2), strict=True)
    assert_close(params, [rule.reference(value, grad, {}, 1, **rule.options) for value, grad in rows])


@each_kind
def test_half_precision_parameters_keep_their_dtype(kind):
    (param,) = parameters([np.ones(4)], fb.bfloat16)
    param.grad = fb.ones(4, dtype=fb.bfloat16)
    kind([param], lr=500.0 if kind is optim.Adadelta else 0.5).step()
    assert param.dtype == fb.bfloat16
    assert (param.detach().to(fb.float32).numpy() < 0.6).all()


@each_kind
def test_optimizer_steps_change_parameters_in_place(kind):
    (param,) = parameters([np.ones(4)])
    view = param.detach()
    set_gradients([param], [np.ones(4)])
    kind([param], lr=0.5).step()
    np.testing.assert_array_equal(view.numpy(), param.detach().numpy())
    assert (view.numpy() != 1).all()


@each_kind
def test_optimizer_steps_are_not_recorded_by_autograd(kind):
    pytest.importorskip("flambeau.autograd")
    param = fb.ones(4, requires_grad=True)
    param.grad = fb.ones(4)
    kind([param], lr=0.5).step()
    assert param.is_leaf
    assert param.requires_grad
    with pytest.raises(ValueError, match=r"can't optimize a non-leaf Tensor: one of shape \[4\]"):
        kind([param * 2])


@each_rule
@pytest.mark.parametrize("dtype", [fb.complex64, fb.complex128])
def test_complex_parameters_are_updated_as_real_pairs(rule, dtype):
    pytest.importorskip("flambeau.autograd")
    start = np.random.default_rng(0).standard_normal((3, 4)).view("complex128")
    z = fb.tensor(start, dtype=dtype, requires_grad=True)
    parts = fb.view_as_real(z.detach()).clone().requires_grad_()
    optimizers = [rule.kind([param], **rule.options) for param in (z, parts)]
    for _ in range(3):
        for optimizer in optimizers:
            optimizer.zero_grad()
        (z - (1 + 2j)).abs().square().sum().backward()
        (parts - fb.tensor([1.0, 2.0], dtype=parts.dtype)).square().sum().backward()
        for optimizer in optimizers:
            optimizer.step()
    np.testing.assert_allclose(fb.view_as_real(z.detach()).numpy(), parts.detach().numpy(), rtol=1e-5)
