"""Samples drawn on a GPU equal the CPU's up to rounding of intermediate results."""

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


def reported(function, *tensors):
    """Check that the error raised on the CPU is raised once at the next synchronisation with the GPU."""
    with pytest.raises(RuntimeError) as here:
        function(*tensors)
    on_gpu = [t.cuda() for t in tensors]
    out = function(*on_gpu)
    with pytest.raises(RuntimeError) as there:
        fb.cuda.synchronize()
    assert type(there.value) is type(here.value)
    name = getattr(function, "__name__", "")
    assert str(there.value) == f"{name}: {here.value} (detected on GPU 0 in an earlier asynchronous call)"
    fb.cuda.synchronize()
    assert fb.ones(3, device="cuda").sum().item() == 3
    return out


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64, fb.bfloat16])
def test_poisson_draws_the_same_numbers_as_the_cpu(dtype, host_calls):
    rates = fb.tensor([0.0, 1e-3, 0.5, 3.0, 9.9, 10.0, 47.0, 1e4]).to(dtype).repeat(100)
    same(fb.poisson, rates, host_calls=host_calls)
    same(fb.poisson, rates[:0], host_calls=host_calls)


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), -float("inf")])
def test_invalid_poisson_rates_are_reported(wrong, host_calls):
    rates = fb.tensor([3.0, wrong, 20.0, float("inf")])
    reported(fb.poisson, rates)
    assert not host_calls()
    fb.manual_seed(3)
    drawn = fb.poisson(rates.cuda())
    with pytest.raises(RuntimeError, match=f"got {wrong:g}"):
        fb.cuda.synchronize()
    fb.manual_seed(3)
    assert_close(
        drawn.cpu()[[0, 2, 3]], fb.poisson(rates.nan_to_num(1, neginf=1, posinf=float("inf")).abs())[[0, 2, 3]]
    )


def test_binomial_draws_the_same_numbers_as_the_cpu(host_calls):
    counts = fb.tensor([0.0, 1.0, 7.0, 30.0, 1000.0, float("nan")], dtype=fb.float64).unsqueeze(1)
    probs = fb.linspace(0, 1, 41, dtype=fb.float64).unsqueeze(0)
    same(fb.binomial, counts.expand(6, 41), probs.expand(6, 41), host_calls=host_calls)


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64])
def test_gamma_and_dirichlet_draw_the_same_numbers_as_the_cpu(dtype, host_calls):
    alphas = fb.tensor([0.0, 1e-3, 0.2, 1.0, 4.5, 300.0, 1e5]).to(dtype).repeat(60)
    same(fb._standard_gamma, alphas, host_calls=host_calls, tolerance=1e-5)
    same(lambda a: fb._sample_dirichlet(a.reshape(-1, 7)[:, 1:]), alphas, host_calls=host_calls, tolerance=1e-5)


@pytest.mark.parametrize("replacement", [False, True])
@pytest.mark.parametrize("shape", [(1,), (50,), (7, 50), (3, 3000)])
def test_multinomial_draws_the_same_categories_as_the_cpu(shape, replacement, host_calls):
    weights = fb.rand(shape)
    weights[..., ::3] = 0.25
    for draws in {1, min(20, shape[-1])}:
        same(lambda w, n=draws: fb.multinomial(w, n, replacement), weights, host_calls=host_calls)


def test_multinomial_never_draws_weights_of_zero(host_calls):
    weights = fb.tensor([0.0, 1.0, 0.0, 2.0, 0.0], device="cuda")
    assert set(fb.multinomial(weights, 500, True).tolist()) == {1, 3}
    assert not host_calls()


@pytest.mark.parametrize("replacement", [False, True])
@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf"), -float("inf"), 0.0])
@pytest.mark.parametrize("categories", [3, 700])
def test_invalid_multinomial_weights_are_reported(wrong, categories, replacement, host_calls):
    def multinomial(weights):
        return fb.multinomial(weights, 2, replacement)

    weights = fb.ones(4, categories)
    weights[2] = wrong
    samples = reported(multinomial, weights)
    if wrong:
        weights[2] = 0.0
        weights[2, categories - 2 :] = wrong
        reported(multinomial, weights)
        reported(multinomial, weights[2])
    assert not host_calls()
    assert samples.min() >= 0 and samples.max() < categories


def test_multinomial_accepts_zero_rows_and_rejects_zero_categories():
    assert fb.multinomial(fb.ones(0, 3, device="cuda"), 2).shape == (0, 2)
    with pytest.raises(RuntimeError, match="sum of probabilities <= 0"):
        fb.multinomial(fb.ones(2, 0, device="cuda"), 2, True)
