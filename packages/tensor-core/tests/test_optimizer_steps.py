"""One step of an optimizer's rule over a group of parameters: dtypes, strides, state and errors."""

import numpy as np
import pytest

import flambeau as fb
from flambeau import _core

SGD = {"lr": 0.5, "momentum": 0.9, "dampening": 0.0, "weight_decay": 0.0, "nesterov": False, "maximize": False}
ADAM = {
    "lr": 0.01,
    "betas": (0.8, 0.95),
    "eps": 1e-3,
    "weight_decay": 0.1,
    "amsgrad": True,
    "maximize": False,
    "decoupled_weight_decay": False,
}
SHAPES = [(3, 4), (5,), (), (0,), (70_000,)]  # the last tensor is updated in several chunks


def step(rule, group, params, grads, states):
    _core._optimizer_step(rule, group, params, grads, dict(zip(params, states, strict=True)))


def draw(shape, dtype, seed):
    return np.asarray(np.random.default_rng([seed, *shape]).standard_normal(shape)).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sgd_with_momentum_matches_numpy(dtype):
    values, grads = ([draw(shape, dtype, seed) for shape in SHAPES] for seed in range(2))
    params, states = [fb.tensor(v) for v in values], [{} for _ in SHAPES]
    want, buffers = [v.astype(np.float64) for v in values], [0.0] * len(SHAPES)
    for _ in range(3):
        step("sgd", SGD, params, [fb.tensor(g) for g in grads], states)
        buffers = [0.9 * b + g for b, g in zip(buffers, grads, strict=True)]
        want = [w - 0.5 * b for w, b in zip(want, buffers, strict=True)]
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype == "float32" else {"rtol": 1e-12, "atol": 1e-14}
    for param, state, w, b in zip(params, states, want, buffers, strict=True):
        np.testing.assert_allclose(param.numpy(), w, **tolerance)
        np.testing.assert_allclose(state["momentum_buffer"].numpy(), b, **tolerance)


def test_optimizer_state_is_created_and_counted():
    params, states = [fb.ones(2), fb.ones(3, dtype=fb.float64)], [{}, {}]
    for _ in range(3):
        step("adam", ADAM, params, [fb.ones(2), fb.ones(3, dtype=fb.float64)], states)
    for param, state in zip(params, states, strict=True):
        assert set(state) == {"step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"}
        assert state["step"].item() == 3 and state["step"].dtype is fb.float32
        assert state["exp_avg"].dtype is param.dtype and not state["exp_avg"].requires_grad


def test_sgd_updates_strided_and_half_precision_parameters():
    plain = {**SGD, "momentum": 0}
    for make in (lambda a: fb.tensor(a.T.copy()).t(), lambda a: fb.tensor(a).half()):
        a, g = draw((3, 4), "float32", 0), draw((3, 4), "float32", 1)
        p = make(a)
        step("sgd", plain, [p], [make(g)], [{}])
        np.testing.assert_allclose(p.float().numpy(), a - 0.5 * g, atol=2e-3)


def test_optimizer_steps_do_not_depend_on_the_number_of_threads():
    results, before = [], fb.get_num_threads()
    for threads in (1, 2):
        fb.set_num_threads(threads)
        p = fb.tensor(draw((200_000,), "float32", 0))
        step("adam", ADAM, [p], [fb.tensor(draw((200_000,), "float32", 1))], [{}])
        results.append(p)
    fb.set_num_threads(before)
    assert results[0].equal(results[1])


@pytest.mark.parametrize(
    ("params", "grads", "state", "error", "message"),
    [
        ([fb.zeros(2)], [], {}, ValueError, "1 gradients.*got 0"),
        ([fb.zeros(2)], [fb.zeros(3)], {}, RuntimeError, r"gradient has shape \[3\].*\[2\]"),
        ([fb.zeros(2)], [fb.zeros(2).double()], {}, RuntimeError, "gradient has dtype float64, its parameter float32"),
        ([fb.zeros(2).long()], [fb.zeros(2).long()], {}, NotImplementedError, "int64"),
        ([fb.zeros(2)], [None], {}, TypeError, "NoneType"),
        ([fb.zeros(2)], [fb.zeros(2)], {"exp_avg": 3}, TypeError, "state must be a Tensor, not int"),
        ([fb.zeros(2)], [fb.zeros(2)], {"exp_avg": fb.zeros(3)}, RuntimeError, r"exp_avg has shape \[3\]"),
        ([fb.zeros(2)], [fb.zeros(2)], {"step": fb.zeros(2)}, RuntimeError, r"step must be a float32 number.*\[2\]"),
    ],
)
def test_optimizer_steps_reject_invalid_arguments(params, grads, state, error, message):
    states = [dict(state) for _ in params]
    with pytest.raises(error, match=message):
        step("adam", ADAM, params, grads, states)
    assert states == [state] and not params[0].any()


def test_missing_options_and_unknown_optimizers_raise():
    with pytest.raises(KeyError, match="betas"):
        step("adam", {"lr": 1.0}, [fb.ones(1)], [fb.ones(1)], [{}])
    with pytest.raises(ValueError, match="unknown optimizer: unknown"):
        step("unknown", {}, [fb.ones(1)], [fb.ones(1)], [{}])


def test_a_failed_step_changes_nothing():
    fine, frozen = fb.ones(2), fb.from_numpy(np.frombuffer(bytes(8), np.float32))
    states = [{}, {}]
    for rule, group in (("adam", ADAM), ("sgd", SGD)):
        with pytest.raises(RuntimeError, match="read-only"):
            step(rule, group, [fine, frozen], [fb.ones(2)] * 2, states)
    assert fine.tolist() == [1, 1] and states == [{}, {}]
