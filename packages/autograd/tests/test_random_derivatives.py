"""Gradients through random numbers: implicit derivatives of gamma variates, and zeros for discrete ones."""

import numpy as np
import pytest
from scipy import special

import flambeau as fb
from flambeau._core import _standard_log_gamma


def moved(concentration, sample, step):
    """Return the value that has the quantile of ``sample`` if the concentration is increased by ``step``."""
    lower = special.gammainc(concentration, sample) < 0.5
    inverse, tail = (special.gammaincinv, special.gammainc) if lower else (special.gammainccinv, special.gammaincc)
    return inverse(concentration + step, tail(concentration, sample))


@pytest.mark.parametrize("concentration", [0.05, 0.5, 1.0, 3.0, 20.0, 300.0, 999.0, 1001.0, 3e4])
def test_gradient_of_standard_gamma_matches_finite_differences_of_the_quantile(concentration):
    alpha = fb.full((200,), concentration, dtype=fb.float64, requires_grad=True)
    sample = fb._standard_gamma(alpha)
    sample.sum().backward()
    z, h = sample.detach().numpy(), 1e-5 * concentration
    usable = z > 1e-200
    want = np.array([(moved(concentration, v, h) - moved(concentration, v, -h)) / (2 * h) for v in z])
    np.testing.assert_allclose(alpha.grad.numpy()[usable], want[usable], rtol=2e-6)


@pytest.mark.parametrize("concentration", [1e-3, 0.5, 3.0, 300.0, 3e4])
def test_gradient_of_log_gamma_variates_matches_finite_differences_of_the_quantile(concentration):
    """Compare with the derivative of the variate z, divided by z; for tiny z, its CDF is ``z**a / gamma(a + 1)``."""
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


def test_the_sum_of_a_dirichlet_sample_has_zero_gradient():
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
def test_draws_without_parameters_have_zero_gradient(draw):
    p = fb.full((3,), 0.5, requires_grad=True)
    draw(p).sum().backward()
    assert p.grad.tolist() == [0, 0, 0]


def test_sampled_indices_do_not_require_grad():
    assert not fb.multinomial(fb.ones(3, requires_grad=True), 2).requires_grad


def beta_slope(a, b, x, y):
    """Return dx/da of a beta variate x = 1 - y at a constant quantile, by finite differences of the smaller tail."""
    h = 1e-4 * a
    tails = (lambda a: special.betainc(a, b, x)), (lambda a: -special.betainc(b, a, y))
    differences = [(8 * (f(a + h) - f(a - h)) - (f(a + 2 * h) - f(a - 2 * h))) / (12 * h) for f in tails]
    density = np.exp((a - 1) * np.log(x) + (b - 1) * np.log(y) - special.betaln(a, b))
    return -np.where(x < a / (a + b), *differences) / density


@pytest.mark.parametrize("b", [1e-2, 0.3, 1.0, 40.0, 1e4])
@pytest.mark.parametrize("a", [1e-2, 0.3, 1.0, 40.0, 1e4])
def test_coordinates_of_dirichlet_variates_follow_their_marginal_distribution(a, b):
    alpha = fb.tensor([a, b], dtype=fb.float64).expand(200, 2).clone().requires_grad_()
    x = fb._sample_dirichlet(alpha)[:, 0]
    x.sum().backward()
    points = x.detach().numpy()
    usable = (points > 1e-200) & (points < 1 - 1e-9)  # closer to 1, 1 - x is inaccurate
    x, y = points[usable], 1 - points[usable]
    want = beta_slope(a, b, x, y)
    np.testing.assert_allclose(alpha.grad.numpy()[usable, 0], want, rtol=1e-5, atol=1e-14)
    want = -beta_slope(b, a, y, x)
    np.testing.assert_allclose(alpha.grad.numpy()[usable, 1], want, rtol=1e-5, atol=1e-14)


def test_dirichlet_gradient_is_correct_for_large_concentrations():
    alpha = fb.full((100, 2), 3e7, dtype=fb.float64, requires_grad=True)
    fb._sample_dirichlet(alpha)[:, 0].sum().backward()
    np.testing.assert_allclose(alpha.grad.numpy()[:, 0], 0.25 / 3e7, rtol=1e-3)


def test_the_mean_gradient_of_dirichlet_variates_is_that_of_the_mean():
    """Compare with ``d (a_0 / sum a) / d a``, for concentrations at which the underlying gamma variates underflow."""
    values = [0.02, 0.05, 0.01]
    alpha = fb.tensor(values, dtype=fb.float64).expand(200_000, 3).clone().requires_grad_()
    fb._sample_dirichlet(alpha, generator=fb.Generator().manual_seed(0))[:, 0].sum().backward()
    total = sum(values)
    want = [(total - values[0]) / total**2, *[-values[0] / total**2] * 2]
    got, error = alpha.grad.numpy().mean(0), alpha.grad.numpy().std(0) / np.sqrt(len(alpha))
    assert (np.abs(got - want) < 4 * error).all() and (error < 0.2).all()


def test_the_derivative_of_a_dirichlet_variate_has_no_derivative():
    alpha = fb.ones(2, 3, requires_grad=True)
    gradient = fb.autograd.grad(fb._sample_dirichlet(alpha)[:, 0].sum(), alpha, create_graph=True)[0]
    with pytest.raises(NotImplementedError, match="_sample_dirichlet is not differentiable itself"):
        gradient.sum().backward()
