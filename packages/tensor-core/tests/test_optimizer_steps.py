"""The fused optimizer kernels against their update rules in NumPy float64."""

import itertools

import numpy as np
import pytest

import flambeau as fb
from flambeau import _core

SHAPES = [(3, 4), (5,), (), (0,), (70_000,)]


def draw(shape, dtype, seed):
    return np.asarray(np.random.default_rng([seed, *shape]).standard_normal(shape)).astype(dtype)


def lists(dtype, count):
    return [[draw(shape, dtype, seed) for shape in SHAPES] for seed in range(count)]


def tensors(arrays):
    return [fb.tensor(a) for a in arrays]


def check(actual, wanted, dtype):
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype == "float32" else {"rtol": 1e-12, "atol": 1e-14}
    for a, w in zip(actual, wanted, strict=True):
        np.testing.assert_allclose(a.numpy(), w, **tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("momentum", "dampening", "decay", "nesterov", "maximize"),
    [
        (0, 0, 0, False, False),
        (0, 0, 0.1, False, True),
        (0.9, 0, 0, False, False),
        (0.9, 0.3, 0.1, False, False),
        (0.9, 0, 0.1, True, True),
    ],
)
def test_sgd(momentum, dampening, decay, nesterov, maximize, dtype):
    params, grads = lists(dtype, 2)
    p, buffers = tensors(params), [fb.full(s, np.nan, dtype=getattr(fb, dtype)) for s in SHAPES] if momentum else []
    want, state = [a.astype(np.float64) for a in params], [None] * len(SHAPES)
    for step in range(3):
        _core.sgd_(p, tensors(grads), buffers, 0.1, momentum, dampening, decay, nesterov, maximize, step == 0)
        for i, g in enumerate(grads):
            d = (-1 if maximize else 1) * g.astype(np.float64) + decay * want[i]
            if momentum:
                state[i] = d if step == 0 else momentum * state[i] + (1 - dampening) * d
                d = d + momentum * state[i] if nesterov else state[i]
            want[i] = want[i] - 0.1 * d
    check(p, want, dtype)
    if momentum:
        check(buffers, state, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("amsgrad", "maximize", "decoupled"), list(itertools.product([False, True], repeat=3)))
def test_adam(amsgrad, maximize, decoupled, dtype):
    params, first, second = lists(dtype, 3)
    p = tensors(params)
    m, v, largest = ([fb.zeros(s, dtype=getattr(fb, dtype)) for s in SHAPES] for _ in range(3))
    steps = [fb.tensor(0.0) for _ in SHAPES]
    lr, b1, b2, eps, decay = 0.01, 0.8, 0.95, 1e-3, 0.1
    want = [a.astype(np.float64) for a in params]
    mean, square, top = ([np.zeros(s) for s in SHAPES] for _ in range(3))
    for t, grads in enumerate((first, second, first), 1):
        _core.adam_(
            p,
            tensors(grads),
            m,
            v,
            largest if amsgrad else [],
            steps,
            lr,
            b1,
            b2,
            eps,
            decay,
            amsgrad,
            maximize,
            decoupled,
        )
        for i, g in enumerate(grads):
            d = (-1 if maximize else 1) * g.astype(np.float64)
            if decoupled:
                want[i] = want[i] * (1 - lr * decay)
            else:
                d = d + decay * want[i]
            mean[i] = b1 * mean[i] + (1 - b1) * d
            square[i] = b2 * square[i] + (1 - b2) * d**2
            top[i] = np.maximum(top[i], square[i])
            root = np.sqrt((top if amsgrad else square)[i] / (1 - b2**t))
            want[i] = want[i] - lr * mean[i] / (1 - b1**t) / (root + eps)
    check(p, want, dtype)
    check(m, mean, dtype)
    check(v, square, dtype)
    assert [s.item() for s in steps] == [3] * len(SHAPES)


def test_strided_and_half_parameters():
    for make in (lambda a: fb.tensor(a.T.copy()).t(), lambda a: fb.tensor(a).half()):
        a, g = draw((3, 4), "float32", 0), draw((3, 4), "float32", 1)
        p = make(a)
        _core.sgd_([p], [make(g)], [], 0.5, 0, 0, 0, False, False, False)
        np.testing.assert_allclose(p.float().numpy(), a - 0.5 * g, atol=2e-3)


@pytest.mark.parametrize(
    ("params", "grads", "message"),
    [
        ([fb.zeros(2)], [], "1 grads.*got 0"),
        ([fb.zeros(2)], [fb.zeros(3)], r"\[3\].*\[2\]"),
        ([fb.zeros(2)], [fb.zeros(2, dtype=fb.float64)], "float64.*float32"),
        ([fb.zeros(2, dtype=fb.int64)], [fb.zeros(2, dtype=fb.int64)], "int64"),
    ],
)
def test_errors(params, grads, message):
    with pytest.raises(RuntimeError, match=message):
        _core.sgd_(params, grads, [], 0.1, 0, 0, 0, False, False, False)
    steps = [fb.tensor(0.0)]
    with pytest.raises(RuntimeError, match=message):
        _core.adam_(params, grads, params, params, [], steps, 0.1, 0.9, 0.99, 1e-8, 0, False, False, False)
    assert steps[0].item() == 0


def test_a_failed_step_changes_nothing():
    fine, frozen = fb.ones(2), fb.from_numpy(np.frombuffer(bytes(8), np.float32))
    steps = [fb.tensor(0.0), fb.tensor(0.0)]
    state = [[fb.zeros(2), fb.zeros(2)] for _ in range(2)]
    with pytest.raises(RuntimeError, match="read-only"):
        _core.adam_([fine, frozen], [fb.ones(2)] * 2, *state, [], steps, 0.1, 0.9, 0.99, 1e-8, 0, False, False, False)
    with pytest.raises(RuntimeError, match="read-only"):
        _core.sgd_([fine, frozen], [fb.ones(2)] * 2, [], 0.1, 0, 0, 0, False, False, False)
    assert fine.tolist() == [1, 1] and steps[0].item() == 0 and state[0][0].tolist() == [0, 0]
