"""Gradients through random numbers: of gamma variates by the implicit derivative, of discrete ones zero."""

import numpy as np
import pytest
from scipy import special

import flambeau as fb
from flambeau._core import _standard_log_gamma


def moved(concentration, sample, step):
    """Where the sample would be with another concentration, at the same quantile."""
    lower = special.gammainc(concentration, sample) < 0.5
    inverse, tail = (special.gammaincinv, special.gammainc) if lower else (special.gammainccinv, special.gammaincc)
    return inverse(concentration + step, tail(concentration, sample))


@pytest.mark.parametrize("concentration", [0.05, 0.5, 1.0, 3.0, 20.0, 300.0, 999.0, 1001.0, 3e4])
def test_standard_gamma(concentration):
    alpha = fb.full((200,), concentration, dtype=fb.float64, requires_grad=True)
    sample = fb._standard_gamma(alpha)
    sample.sum().backward()
    z, h = sample.detach().numpy(), 1e-5 * concentration
    usable = z > 1e-200
    want = np.array([(moved(concentration, v, h) - moved(concentration, v, -h)) / (2 * h) for v in z])
    np.testing.assert_allclose(alpha.grad.numpy()[usable], want[usable], rtol=2e-6)


@pytest.mark.parametrize("concentration", [1e-3, 0.5, 3.0, 300.0, 3e4])
def test_logarithms_of_gamma_numbers(concentration):
    """As that of the number itself, divided by it; tiny ones have the distribution function ``z**a / gamma(a + 1)``."""
    alpha = fb.full((200,), concentration, dtype=fb.float64, requires_grad=True)
    sample = _standard_log_gamma(alpha)
    sample.sum().backward()
    log_z = sample.detach().numpy()
    if concentration < 0.01:
        want = (special.digamma(concentration + 1) - log_z) / concentration
        np.testing.assert_allclose(alpha.grad.numpy()[log_z < -30], want[log_z < -30], rtol=1e-9)
    else:
        z = np.exp(log_z)
        h = 1e-5 * concentration
        want = np.array([(moved(concentration, v, h) - moved(concentration, v, -h)) / (2 * h * v) for v in z])
        usable = z > 1e-200
        np.testing.assert_allclose(alpha.grad.numpy()[usable], want[usable], rtol=2e-6)


def test_dirichlet_sums_to_one_whatever_the_concentrations():
    alpha = fb.tensor([[0.5, 2.0, 7.0]], dtype=fb.float64, requires_grad=True)
    fb._sample_dirichlet(alpha).sum().backward()
    np.testing.assert_allclose(alpha.grad.numpy(), 0, atol=1e-12)


@pytest.mark.parametrize(
    "draw",
    [
        fb.bernoulli,
        fb.poisson,
        lambda p: fb.normal(p, 1.0),
        lambda p: fb.normal(0.0, p),
        lambda p: fb.normal(p, p),
        lambda p: fb.binomial(fb.full_like(p, 9), p),
        lambda p: (p * 1).exponential_(),
        lambda p: (p * 1).uniform_(),
        lambda p: (p * 1).bernoulli_(0.5),
    ],
)
def test_what_does_not_move_has_a_gradient_of_zero(draw):
    p = fb.full((3,), 0.5, requires_grad=True)
    draw(p).sum().backward()
    assert p.grad.tolist() == [0, 0, 0]


def test_indices_have_no_history():
    assert not fb.multinomial(fb.ones(3, requires_grad=True), 2).requires_grad
