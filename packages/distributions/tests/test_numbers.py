"""Test univariate distributions against SciPy: densities, moments, quantiles, samples and gradients."""

import numpy as np
import pytest
import scipy.stats as st
from univariate import CONTINUOUS, DISCRETE, UNIVARIATE, B, C, P, make

import flambeau as fb
from flambeau import distributions as D
from flambeau.autograd import gradcheck

CASES = {name: (parameters, of(*parameters)) for name, (parameters, of) in UNIVARIATE.items()}
# Probabilities at whose quantiles densities are compared.
QUANTILES = np.array([[0.03], [0.4], [0.8], [0.97]])


def values(name):
    """Return values in the support, of shape (4, 3): quantiles of each of three distributions."""
    _, reference = CASES[name]
    x = reference.ppf(QUANTILES)
    if name == "VonMises":
        return (x + np.pi) % (2 * np.pi) - np.pi
    return np.ascontiguousarray(np.broadcast_to(x, (4, 3)))


def close(actual, expected, tolerance=1e-9):
    np.testing.assert_allclose(actual.numpy(), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", CASES)
def test_log_prob_equals_that_of_scipy(name):
    reference, x = CASES[name][1], values(name)
    expected = reference.logpdf(x) if name in CONTINUOUS else reference.logpmf(x)
    close(make(name).log_prob(fb.from_numpy(x)), expected)


@pytest.mark.parametrize("name", CASES)
def test_log_prob_in_float32_matches_float64(name):
    x = values(name).astype(np.float32)
    result = make(name, fb.float32).log_prob(fb.from_numpy(x))
    assert result.dtype == fb.float32
    close(result, make(name).log_prob(fb.from_numpy(x.astype(np.float64))), 2e-4)


@pytest.mark.parametrize("name", CASES)
def test_mean_and_variance_equal_those_of_scipy(name):
    distribution, reference = make(name), CASES[name][1]
    # VonMises has circular moments (see below); the Cauchy distributions have no finite mean.
    if name not in ("VonMises", "Cauchy", "HalfCauchy"):
        close(distribution.mean, reference.mean())
        close(distribution.variance, reference.var())
    close(distribution.stddev, np.sqrt(distribution.variance.numpy()))


def test_the_variance_of_von_mises_is_circular():
    x = np.linspace(-np.pi, np.pi, 4001)[:-1, None]
    density = st.vonmises(B, 0).pdf(x)
    expected = 1 - (density * np.cos(x)).sum(0) / density.sum(0)
    close(make("VonMises").variance, expected)
    close(make("VonMises").mean, C)


@pytest.mark.parametrize("name", CASES)
def test_mode_is_the_most_likely_value(name):
    distribution = make(name)
    if name == "Uniform":
        assert distribution.mode.isnan().all()
        return
    reference = CASES[name][1]
    density = reference.pdf if name in CONTINUOUS else reference.pmf
    levels = np.linspace(1e-3, 1 - 1e-3, 501)[:, None]
    grid = reference.ppf(levels) if name != "VonMises" else (2 * levels - 1) * np.pi
    mode = distribution.mode.numpy()
    inner = ~np.isnan(mode)  # a fair coin has no mode
    with np.errstate(divide="ignore"):
        assert (density(mode) >= density(grid).max(0) * (1 - 1e-9))[inner].all()


@pytest.mark.parametrize("name", CASES)
def test_entropy_matches_scipy(name):
    if name in ("FisherSnedecor", "NegativeBinomial", "Poisson", "VonMises"):
        with pytest.raises(NotImplementedError):
            make(name).entropy()
        return
    close(make(name).entropy(), CASES[name][1].entropy(), 1e-7)


WITHOUT_CDF = {"Beta", "FisherSnedecor", "StudentT", "VonMises", *DISCRETE}
WITHOUT_ICDF = WITHOUT_CDF | {"Chi2", "Gamma", "InverseGamma"}


@pytest.mark.parametrize("name", CASES)
def test_cdf_matches_scipy(name):
    distribution, x = make(name), fb.from_numpy(values(name))
    if name in WITHOUT_CDF:
        with pytest.raises(NotImplementedError):
            distribution.cdf(x)
    else:
        close(distribution.cdf(x), CASES[name][1].cdf(values(name)))


@pytest.mark.parametrize("name", CASES)
def test_icdf_matches_scipy(name):
    distribution, p = make(name), fb.from_numpy(np.ascontiguousarray(np.broadcast_to(QUANTILES, (4, 3))))
    if name in WITHOUT_ICDF:
        with pytest.raises(NotImplementedError):
            distribution.icdf(p)
    else:
        close(distribution.icdf(p), CASES[name][1].ppf(QUANTILES))


@pytest.mark.parametrize("name", CONTINUOUS)
def test_samples_follow_the_distribution(name):
    fb.manual_seed(7)
    samples = make(name).sample((4000,)).numpy()
    for i in range(3):
        parameters = [p[i] if isinstance(p, np.ndarray) else p for p in CASES[name][0]]
        cdf = _cdf(name, parameters)
        assert st.kstest(samples[:, i], cdf).pvalue > 1e-3, parameters


def _cdf(name, parameters):
    """Return SciPy's cumulative distribution function for one element of the batch."""
    if name == "VonMises":  # SciPy's function is 0.5 at the mean, not 0 at -pi
        loc, concentration = parameters
        frozen = st.vonmises(concentration)
        start = frozen.cdf(-np.pi - loc)
        return lambda x: frozen.cdf(x - loc) - start
    frozen = CASES[name][1]
    pick = {float(p): i for i, p in enumerate(CASES[name][0][0])}
    column = pick[float(parameters[0])]
    return lambda x: frozen.cdf(np.repeat(x[:, None], 3, 1))[:, column]


@pytest.mark.parametrize("name", DISCRETE)
def test_sampled_counts_follow_the_distribution(name):
    fb.manual_seed(3)
    n = 6000
    samples = make(name).sample((n,)).numpy()
    top = int(samples.max()) + 1
    expected = n * CASES[name][1].pmf(np.arange(top)[:, None])
    for i in range(3):
        observed = np.bincount(samples[:, i].astype(int), minlength=top).astype(float)
        likely = expected[:, i] >= 5
        observed = np.append(observed[likely], n - observed[likely].sum())
        wanted = np.append(expected[likely, i], max(n - expected[likely, i].sum(), 1e-9))
        if wanted[-1] < 5:  # too few for the chi-squared test: merge with the previous class
            observed, wanted = np.append(observed[:-2], observed[-2:].sum()), np.append(wanted[:-2], wanted[-2:].sum())
        assert st.chisquare(observed, wanted * observed.sum() / wanted.sum()).pvalue > 1e-3


@pytest.mark.parametrize("name", CASES)
def test_gradient_of_log_prob_matches_finite_differences(name):
    x = fb.from_numpy(values(name))
    parameters = [p for p in CASES[name][0] if isinstance(p, np.ndarray)]
    if name == "GeneralizedPareto":
        parameters[2] = np.array([0.2, 0.1, -0.4])
        x = fb.from_numpy(st.genpareto(parameters[2], C, B).ppf(QUANTILES))
    fixed = [p for p in CASES[name][0] if not isinstance(p, np.ndarray)]
    inputs = [fb.tensor(p, requires_grad=True) for p in parameters]

    def log_prob(*parameters):
        return getattr(D, name)(*fixed, *parameters).log_prob(x)

    assert gradcheck(log_prob, inputs)
    if name in CONTINUOUS:
        distribution = getattr(D, name)(*fixed, *(fb.tensor(p) for p in parameters))
        assert gradcheck(
            distribution.log_prob, [x[1:].clone().requires_grad_()]
        )  # without the first row, where the density may be too steep for finite differences


SMOOTH = [name for name in CONTINUOUS if make(name).has_rsample]


@pytest.mark.parametrize("name", SMOOTH)
def test_gradient_of_rsample_matches_the_derivative_of_the_quantile(name):
    """Compare with ``dx/dtheta = -(dF/dtheta)(x) / p(x)``, which holds for one-dimensional reparametrisations."""
    fb.manual_seed(1)
    parameters = [fb.tensor(p, requires_grad=True) for p in CASES[name][0]]
    sample = getattr(D, name)(*parameters).rsample()
    gradients = fb.autograd.grad(sample.sum(), parameters)
    x, step = sample.detach().numpy(), 1e-5
    for k, gradient in enumerate(gradients):
        if name in ("FisherSnedecor", "StudentT"):
            continue  # these use two random numbers per sample; the next test covers them
        moved = []
        for sign in (1, -1):
            shifted = [p.copy() for p in CASES[name][0]]
            shifted[k] = shifted[k] + sign * step
            moved.append(CONTINUOUS[name][1](*shifted).cdf(x))
        slope = -(moved[0] - moved[1]) / (2 * step) / CONTINUOUS[name][1](*CASES[name][0]).pdf(x)
        close(gradient, slope, 1e-5)


@pytest.mark.parametrize("name", ["Beta", "FisherSnedecor", "StudentT"])
def test_the_mean_gradient_of_rsample_is_correct(name):
    """Compare the mean gradient of ``log(1 + x**2)`` with the gradient of its mean under SciPy's density."""
    fb.manual_seed(5)
    parameters = [fb.tensor(p, requires_grad=True) for p in CASES[name][0]]
    sample = getattr(D, name)(*parameters).rsample((40_000,))
    gradients = fb.autograd.grad(sample.square().log1p().mean(0).sum(), parameters)
    _, reference = CONTINUOUS[name]
    for k, gradient in enumerate(gradients):
        for i in range(3):
            means = []
            for sign in (1, -1):
                shifted = [p[i] + sign * 1e-4 * (k == j) for j, p in enumerate(CASES[name][0])]
                means.append(reference(*shifted).expect(lambda x: np.log1p(x * x), epsabs=1e-10))
            assert abs(gradient[i].item() - (means[0] - means[1]) / 2e-4) < 0.02, (k, i)


@pytest.mark.parametrize("name", ["Beta", "Gamma", "Laplace", "Normal", "StudentT", "Bernoulli", "Geometric"])
def test_gradient_of_entropy_matches_finite_differences(name):
    inputs = [fb.tensor(p, requires_grad=True) for p in CASES[name][0]]
    assert gradcheck(lambda *parameters: getattr(D, name)(*parameters).entropy(), inputs)


@pytest.mark.parametrize("name", ["Bernoulli", "Binomial", "Geometric", "NegativeBinomial", "ContinuousBernoulli"])
def test_logits_and_probs_are_equivalent(name):
    fixed = {"Binomial": (9,), "NegativeBinomial": (2.5,)}.get(name, ())
    kind = getattr(D, name)
    by_probs, by_logits = kind(*fixed, probs=fb.tensor(P)), kind(*fixed, logits=fb.tensor(np.log(P / (1 - P))))
    x = fb.tensor([[0.0, 1.0, 1.0]], dtype=fb.float64)
    close(by_logits.log_prob(x), by_probs.log_prob(x).numpy())
    close(by_logits.probs, P)
    close(by_probs.logits, np.log(P / (1 - P)))
    assert by_logits.param_shape == by_probs.param_shape == (3,)


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64])
def test_saturated_logits_have_a_finite_density(dtype):
    # Probabilities are clamped to [eps, 1 - eps].
    probs = 1 - fb.finfo(dtype).eps
    density = 2 * np.arctanh(1 - 2 * probs) / (1 - 2 * probs)
    for sign, x in ((1, 1.0), (-1, 0.0)):
        logits = fb.tensor(sign * 1e30, dtype=dtype, requires_grad=True)
        log_prob = D.ContinuousBernoulli(logits=logits).log_prob(fb.tensor(x, dtype=dtype))
        close(log_prob.detach(), np.log(density), 1e-5)
        log_prob.backward()
        assert logits.grad == 0


def test_heavy_tailed_distributions_have_infinite_or_nan_moments():
    inf, nan = fb.inf, fb.nan
    close(D.StudentT(fb.tensor([0.5, 1.5, 3.0])).mean, [nan, 0, 0])
    close(D.StudentT(fb.tensor([0.5, 1.5, 3.0])).variance, [nan, inf, 3])
    close(D.Pareto(2.0, fb.tensor([0.5, 1.5, 3.0])).mean, [inf, 6, 3], 1e-6)
    close(D.Pareto(2.0, fb.tensor([0.5, 1.5, 3.0])).variance, [inf, inf, 3], 1e-6)
    close(D.InverseGamma(fb.tensor([0.5, 1.5, 3.0]), 2.0).mean, [inf, 4, 1], 1e-6)
    close(D.FisherSnedecor(2.0, fb.tensor([1.0, 3.0])).mean, [nan, 3], 1e-6)
    close(D.GeneralizedPareto(0.0, 1.0, fb.tensor([0.2, 0.7, 1.5])).mean, [1.25, 1 / 0.3, inf], 1e-6)
    close(D.GeneralizedPareto(0.0, 1.0, fb.tensor([0.7, 1.5])).variance, [inf, inf])
    close(D.GeneralizedPareto(0.0, 1.0, fb.tensor([0.0, 0.5])).icdf(fb.tensor(1.0)), [inf, inf])
    assert D.HalfCauchy(1.0).mean == inf


def test_generalized_pareto_is_continuous_at_the_exponential_case():
    x = fb.tensor([0.5, 2.0], dtype=fb.float64)
    k = fb.zeros(2, dtype=fb.float64, requires_grad=True)
    distribution = D.GeneralizedPareto(fb.zeros(2, dtype=fb.float64), 1.0, k)
    (gradient,) = fb.autograd.grad(distribution.log_prob(x).sum(), [k])
    close(gradient, (x.square() / 2 - x).numpy())
    (gradient,) = fb.autograd.grad(distribution.icdf(fb.tensor([0.1, 0.9], dtype=fb.float64)).sum(), [k])
    close(gradient, np.log1p([-0.1, -0.9]) ** 2 / 2)
    close(distribution.log_cdf(x).detach(), np.log(-np.expm1(-x.numpy())))
    close(distribution.log_survival_function(x).detach(), -x.numpy())


def test_moments_of_kumaraswamy_and_continuous_bernoulli_match_integrals():
    grid = np.linspace(0, 1, 200_001)
    middle = fb.from_numpy((grid[1:] + grid[:-1]) / 2)
    for distribution in (
        D.Kumaraswamy(2.0, 3.0),
        D.Kumaraswamy(1.5, 1.2),
        *map(D.ContinuousBernoulli, (0.1, 0.5, 0.8)),
    ):
        density = distribution.log_prob(middle).exp().numpy() / len(middle)
        mean = (density * middle.numpy()).sum()
        assert abs(density.sum() - 1) < 1e-6
        assert abs(distribution.mean.item() - mean) < 1e-5
        assert abs(distribution.variance.item() - (density * (middle.numpy() - mean) ** 2).sum()) < 1e-5
        entropy = -(density * np.log(density * len(middle))).sum()
        assert abs(distribution.entropy().item() - entropy) < 1e-5
        cdf = distribution.cdf(middle[::1000].float()).numpy()
        np.testing.assert_allclose(cdf, density.cumsum()[::1000], atol=1e-5)
        np.testing.assert_allclose(distribution.icdf(fb.from_numpy(cdf)).numpy(), middle[::1000].numpy(), atol=1e-4)
        fb.manual_seed(2)
        assert (
            st.kstest(
                distribution.sample((3000,)).numpy(), lambda x, d=distribution: d.cdf(fb.from_numpy(x)).numpy()
            ).pvalue
            > 1e-3
        )
    close(D.Kumaraswamy(2.0, 3.0).mode, 0.2**0.5, 1e-6)


def test_discrete_distributions_accept_probabilities_of_zero_and_one():
    certain = D.Bernoulli(probs=fb.tensor([0.0, 1.0]))
    assert certain.sample((5,)).tolist() == [[0.0, 1.0]] * 5
    assert (certain.log_prob(fb.tensor([0.0, 1.0])) > -1e-6).all()
    probs = fb.tensor([1.0], requires_grad=True)
    D.Geometric(probs=probs).log_prob(fb.tensor([0.0])).sum().backward()
    assert probs.grad.tolist() == [1.0]
    assert D.Poisson(fb.tensor([0.0])).log_prob(fb.tensor([0.0, 1.0])).tolist() == [0.0, -fb.inf]
    assert D.Binomial(3, fb.tensor(1.0)).sample() == 3
