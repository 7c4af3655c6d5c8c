"""Samples that a GPU draws are the CPU's, but for the rounding of what they are computed with."""

import pytest

import flambeau as fb
from flambeau.testing import assert_close


def drawn(function, *tensors):
    results = []
    for device in ("cpu", "cuda"):
        fb.manual_seed(3)
        results.append(function(*(t.to(device) for t in tensors)))
    return results


def same(function, *tensors, host_calls, tolerance=0.0):
    here, there = drawn(function, *tensors)
    assert there.is_cuda and there.dtype == here.dtype and not host_calls()
    assert_close(there.cpu(), here, rtol=tolerance, atol=tolerance, equal_nan=True)


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64, fb.bfloat16])
def test_poisson(dtype, host_calls):
    rates = fb.tensor([0.0, 1e-3, 0.5, 3.0, 9.9, 10.0, 47.0, 1e4]).to(dtype).repeat(100)
    same(fb.poisson, rates, host_calls=host_calls)
    same(fb.poisson, rates[:0], host_calls=host_calls)


def test_rates_that_are_none():
    with pytest.raises(RuntimeError, match=r"non-negative, got -1"):
        fb.poisson(fb.tensor([3.0, -1.0], device="cuda"))


def test_binomial(host_calls):
    counts = fb.tensor([0.0, 1.0, 7.0, 30.0, 1000.0, float("nan")], dtype=fb.float64).unsqueeze(1)
    probs = fb.linspace(0, 1, 41, dtype=fb.float64).unsqueeze(0)
    same(fb.binomial, counts.expand(6, 41), probs.expand(6, 41), host_calls=host_calls)


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64])
def test_gamma(dtype, host_calls):
    alphas = fb.tensor([0.0, 1e-3, 0.2, 1.0, 4.5, 300.0, 1e5]).to(dtype).repeat(60)
    same(fb._standard_gamma, alphas, host_calls=host_calls, tolerance=1e-5)
    same(lambda a: fb._sample_dirichlet(a.reshape(-1, 7)[:, 1:]), alphas, host_calls=host_calls, tolerance=1e-5)


@pytest.mark.parametrize("replacement", [False, True])
@pytest.mark.parametrize("shape", [(1,), (50,), (7, 50), (3, 3000)])
def test_multinomial(shape, replacement, host_calls):
    weights = fb.rand(shape)
    weights[..., ::3] = 0.25
    for draws in {1, min(20, shape[-1])}:
        same(lambda w, n=draws: fb.multinomial(w, n, replacement), weights, host_calls=host_calls)


def test_weights_of_zero_are_not_drawn(host_calls):
    weights = fb.tensor([0.0, 1.0, 0.0, 2.0, 0.0], device="cuda")
    assert set(fb.multinomial(weights, 500, True).tolist()) == {1, 3}
    assert not host_calls()


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf"), 0.0])
def test_weights_that_are_none(bad):
    weights = fb.ones(2, 3)
    weights[1] = bad
    texts = []
    for device in ("cpu", "cuda"):
        with pytest.raises(RuntimeError) as error:
            fb.multinomial(weights.to(device), 2)
        texts.append(str(error.value))
    assert texts[0] == texts[1]
