"""Tests that a step of every optimizer on the GPU equals the step on the CPU."""

import ctypes
import os

import pytest

import flambeau as fb
from flambeau import _core
from flambeau.testing import assert_close

BETAS = {"betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1, "maximize": False}
GROUPS = {
    "sgd": {"lr": 0.5, "momentum": 0.9, "dampening": 0.1, "weight_decay": 0.1, "nesterov": False, "maximize": True},
    "adam": {**BETAS, "lr": 0.01, "amsgrad": True, "decoupled_weight_decay": False},
    "adadelta": {"lr": 0.5, "rho": 0.9, "eps": 1e-3, "weight_decay": 0.1, "maximize": False},
    "adagrad": {
        "lr": 0.5,
        "lr_decay": 0.1,
        "eps": 1e-3,
        "weight_decay": 0.1,
        "initial_accumulator_value": 0.1,
        "maximize": False,
    },
    "adamax": {**BETAS, "lr": 0.01},
    "asgd": {"lr": 0.1, "lambd": 0.1, "alpha": 0.7, "t0": 1.0, "weight_decay": 0.1, "maximize": False},
    "nadam": {**BETAS, "lr": 0.01, "momentum_decay": 0.01, "decoupled_weight_decay": True},
    "radam": {**BETAS, "lr": 0.01, "decoupled_weight_decay": False},
    "rmsprop": {
        "lr": 0.1,
        "alpha": 0.9,
        "eps": 1e-2,
        "weight_decay": 0.1,
        "momentum": 0.9,
        "centered": True,
        "maximize": False,
    },
    "rprop": {"lr": 0.1, "etas": (0.5, 1.2), "step_sizes": (1e-6, 50.0), "maximize": False},
}


def steps(rule, values, grads, device):
    params, states = [v.clone().to(device) for v in values], [{} for _ in values]
    for grad in grads:
        group = dict(zip(params, states, strict=True))
        _core._optimizer_step(rule, GROUPS[rule], params, [g.to(device) for g in grad], group)
    return params, states


@pytest.mark.parametrize("rule", list(GROUPS))
def test_every_optimizer_rule_equals_the_cpu(rule, host_calls):
    shapes = [(3, 4), (5,), (), (0,), (5000,)]
    values, grads = [fb.randn(s) for s in shapes], [[fb.randn(s) for s in shapes] for _ in range(3)]
    here, of_here = steps(rule, values, grads, "cpu")
    there, of_there = steps(rule, values, grads, "cuda")
    assert not host_calls()
    for p, q, s, t in zip(here, there, of_here, of_there, strict=True):
        assert q.is_cuda
        assert_close(q.cpu(), p, rtol=1e-4, atol=1e-5)
        assert s.keys() == t.keys()
        for name in s:
            assert t[name].is_cuda == (s[name].dim() == p.dim() and name not in ("step", "eta", "mu", "mu_product"))
            assert_close(t[name].cpu(), s[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [fb.float64, fb.bfloat16, fb.complex64])
def test_optimizer_steps_of_many_parameters_in_every_dtype_match_the_cpu(dtype, host_calls):
    values, grads = [fb.randn(i % 7 + 1, dtype=dtype) for i in range(70)], []
    grads = [[fb.randn(v.shape, dtype=dtype) for v in values] for _ in range(2)]
    for p, q in zip(steps("adam", values, grads, "cpu")[0], steps("adam", values, grads, "cuda")[0], strict=True):
        assert_close(
            q.cpu(), p, rtol=2e-2 if dtype == fb.bfloat16 else 1e-4, atol=1e-2 if dtype == fb.bfloat16 else 1e-5
        )
    assert not host_calls()


def test_optimizer_steps_of_strided_parameters_match_the_cpu(host_calls):
    values, grads = [fb.randn(6, 5).mT], [[fb.randn(5, 6)]]
    (p,), (q,) = (steps("adam", values, grads, device)[0] for device in ("cpu", "cuda"))
    assert_close(q.cpu(), p, rtol=1e-4, atol=1e-5)
    assert not host_calls()


@pytest.mark.skipif("FLAMBEAU_CUDA_DRIVER" not in os.environ, reason="needs an emulated GPU")
def test_one_synchronisation_checks_the_finiteness_of_many_gradients():
    emulator = ctypes.CDLL(os.environ["FLAMBEAU_CUDA_DRIVER"])
    grads = [fb.ones(3, dtype=fb.float32 if i % 2 else fb.float64, device="cuda") for i in range(200)]
    before = emulator.emulated_counts(b"cuMemcpyDtoHAsync_v2")
    assert _core._scale_gradients(grads, 0.5)
    assert emulator.emulated_counts(b"cuMemcpyDtoHAsync_v2") == before + 1
    grads[100][1] = float("nan")
    assert not _core._scale_gradients(grads, 1.0)


def test_optimizer_steps_of_parameters_at_any_address_match_the_cpu(host_calls):
    """Test aligned tensors, which use vector instructions, and others. Sizes are not multiples of the vector length."""
    for n, dtype in ((5003, fb.float32), (4099, fb.bfloat16), (13, fb.float16)):
        value, grad, results = fb.randn(n + 1).to(dtype), fb.randn(n).to(dtype), []
        for device in ("cpu", "cuda"):
            for first in (0, 1):
                p = value.clone().to(device)[first : first + n]
                _core._optimizer_step("sgd", GROUPS["sgd"], [p], [grad.to(device)], {p: {}})
                results.append(p.cpu())
        tolerance = 1e-5 if dtype == fb.float32 else 2 * fb.finfo(dtype).eps
        for here, there in zip(results[:2], results[2:], strict=True):
            assert_close(there, here, rtol=tolerance, atol=tolerance)
    assert not host_calls()


def test_gradients_are_unscaled_and_checked_for_infinities(host_calls):
    grads = [fb.randn(shape).cuda() for shape in [(5000,), (3, 4), (0,)]] + [fb.randn(4999).cuda()[1:]]
    want = [g.cpu() * 0.25 for g in grads]
    assert _core._scale_gradients(grads, 0.25)
    for g, w in zip(grads, want, strict=True):
        assert_close(g.cpu(), w)
    grads[0][4999] = float("inf")
    assert not _core._scale_gradients(grads, 1.0)
    assert not host_calls()
