"""Test distributions over categories, vectors and matrices against SciPy and by integration."""

import numpy as np
import pytest
import scipy.stats as st

import flambeau as fb
from flambeau import distributions as D
from flambeau.autograd import gradcheck

RNG = np.random.default_rng(0)
WEIGHTS = np.array([[1.0, 2.0, 3.0], [0.5, 0.2, 0.3]])
PROBS = WEIGHTS / WEIGHTS.sum(-1, keepdims=True)
LOC = np.array([0.5, -1.0, 2.0])
FACTOR = np.array([[1.2, 0.0, 0.0], [0.4, 0.8, 0.0], [-0.3, 0.5, 1.5]])
COVARIANCE = FACTOR @ FACTOR.T
LOW_RANK, DIAGONAL = RNG.standard_normal((3, 2)), np.array([0.5, 1.0, 2.0])


def close(actual, expected, tolerance=1e-9):
    np.testing.assert_allclose(actual.detach().numpy(), expected, rtol=tolerance, atol=tolerance)


def tensors(*arrays):
    return [fb.tensor(array, dtype=fb.float64) for array in arrays]


def test_categorical_matches_the_given_probabilities():
    by_weights = D.Categorical(*tensors(WEIGHTS))
    by_logits = D.Categorical(logits=fb.tensor(np.log(PROBS) + 5))
    k = fb.tensor([[0, 1], [2, 0], [1, 1]])
    expected = np.log(PROBS)[[0, 1], k.numpy()]
    for distribution in (by_weights, by_logits):
        close(distribution.log_prob(k), expected)
        close(distribution.log_prob(k.double()), expected)
        close(distribution.probs, PROBS)
        close(distribution.logits, np.log(PROBS))
        close(distribution.entropy(), st.entropy(PROBS, axis=-1))
        close(distribution.perplexity(), np.exp(st.entropy(PROBS, axis=-1)))
        assert distribution.mode.tolist() == [2, 0]
        assert distribution.mean.isnan().all() and distribution.variance.isnan().all()
        assert distribution.param_shape == (2, 3)


def test_log_prob_of_categorical_broadcasts_values_and_batches():
    distribution = D.Categorical(*tensors(WEIGHTS))
    close(distribution.log_prob(fb.tensor(1)), np.log(PROBS)[:, 1])
    close(distribution.log_prob(fb.tensor([[0], [2]])), np.log(PROBS).T[[0, 2]])
    assert D.Categorical(fb.ones(1, 3)).log_prob(fb.zeros(4, dtype=fb.int64)).shape == (4,)


def test_categorical_accepts_integer_weights_and_logits():
    assert D.Categorical(logits=fb.tensor([1, 1])).probs.tolist() == [0.5, 0.5]
    assert D.Categorical(fb.tensor([1, 3])).probs.tolist() == [0.25, 0.75]


def test_categories_of_probability_zero_are_never_drawn():
    distribution = D.Categorical(logits=fb.tensor([0.0, -fb.inf]))
    assert distribution.log_prob(fb.tensor([0, 1])).tolist() == [0.0, -fb.inf]
    assert distribution.entropy() == 0
    assert distribution.sample((50,)).sum() == 0


@pytest.mark.parametrize("kind", ["Categorical", "OneHotCategorical", "Multinomial"])
def test_samples_follow_the_probabilities(kind):
    fb.manual_seed(0)
    n = 6000
    arguments = (10,) if kind == "Multinomial" else ()
    samples = getattr(D, kind)(*arguments, *tensors(WEIGHTS)).sample((n,)).numpy()
    counts = np.stack([np.bincount(samples[:, i], minlength=3) for i in (0, 1)]) if kind == "Categorical" else None
    counts = samples.sum(0) if counts is None else counts
    trials = n * (arguments or (1,))[0]
    for i in (0, 1):
        assert st.chisquare(counts[i], trials * PROBS[i]).pvalue > 1e-3


def test_multinomial_samples_have_the_expected_variance():
    fb.manual_seed(1)
    distribution = D.Multinomial(10, *tensors(WEIGHTS))
    samples = distribution.sample((6000,)).numpy()
    assert (samples.sum(-1) == 10).all() and samples.dtype == np.float64
    np.testing.assert_allclose(samples.var(0), distribution.variance.numpy(), rtol=0.1)


def test_one_hot_categorical_matches_the_probabilities():
    distribution = D.OneHotCategorical(*tensors(WEIGHTS))
    close(distribution.log_prob(fb.eye(3, dtype=fb.float64)[:2]), np.log(PROBS)[[0, 1], [0, 1]])
    close(distribution.mean, PROBS)
    close(distribution.variance, PROBS * (1 - PROBS))
    close(distribution.mode, np.eye(3)[[2, 0]])
    close(distribution.entropy(), st.entropy(PROBS, axis=-1))
    assert distribution.sample((4,)).sum(-1).eq(1).all()


def test_straight_through_passes_the_gradient_to_the_probabilities():
    logits = fb.tensor(np.log(PROBS), requires_grad=True)
    distribution = D.OneHotCategoricalStraightThrough(logits=logits)
    sample = distribution.rsample()
    assert ((sample - sample.round()).abs() < 1e-12).all()
    (gradient,) = fb.autograd.grad(sample[:, 0].sum(), [logits])
    close(gradient, PROBS[:, :1] * (np.array([1.0, 0, 0]) - PROBS))


@pytest.mark.parametrize("n", [1, 5])
def test_multinomial_matches_scipy(n):
    distribution = D.Multinomial(n, *tensors(WEIGHTS))
    reference = [st.multinomial(n, p) for p in PROBS]
    x = np.stack([r.rvs(4, random_state=0) for r in reference], 1).astype(float)
    close(distribution.log_prob(fb.tensor(x)), np.stack([r.logpmf(x[:, i]) for i, r in enumerate(reference)], 1))
    close(distribution.entropy(), [r.entropy() for r in reference])
    close(distribution.mean, n * PROBS)
    close(distribution.variance, np.stack([r.cov().diagonal() for r in reference]))
    assert D.Multinomial(2, fb.tensor([1.0, 0.0])).log_prob(fb.tensor([2.0, 0.0])).abs() < 1e-6


def test_dirichlet_matches_scipy_and_finite_differences():
    distribution = D.Dirichlet(*tensors(WEIGHTS))
    x = np.stack([[0.2, 0.3, 0.5], [0.1, 0.6, 0.3]])
    reference = [st.dirichlet(a) for a in WEIGHTS]
    close(distribution.log_prob(fb.tensor(x)), [r.logpdf(v) for r, v in zip(reference, x, strict=True)])
    close(distribution.entropy(), [r.entropy() for r in reference])
    close(distribution.mean, [r.mean() for r in reference])
    close(distribution.variance, [r.var() for r in reference])
    close(D.Dirichlet(*tensors([2.0, 3.0, 4.0])).mode, [1 / 6, 2 / 6, 3 / 6])
    close(D.Dirichlet(*tensors([0.2, 0.7, 0.4])).mode, [0, 1, 0])
    assert gradcheck(lambda a: D.Dirichlet(a).log_prob(fb.tensor(x)), [fb.tensor(WEIGHTS, requires_grad=True)])
    assert gradcheck(lambda a: D.Dirichlet(a).entropy(), [fb.tensor(WEIGHTS, requires_grad=True)])


def test_each_entry_of_a_dirichlet_sample_is_beta_distributed():
    fb.manual_seed(2)
    samples = D.Dirichlet(*tensors(WEIGHTS)).sample((4000,)).numpy()
    np.testing.assert_allclose(samples.sum(-1), 1)
    for row, a in enumerate(WEIGHTS):
        for i in range(3):
            assert st.kstest(samples[:, row, i], st.beta(a[i], a.sum() - a[i]).cdf).pvalue > 1e-3


def test_the_mean_gradient_of_dirichlet_samples_is_correct():
    """Compare the mean gradient of samples with ``d E[x_i**2] / d a_j`` in closed form."""
    fb.manual_seed(3)
    a = fb.tensor(WEIGHTS[0], requires_grad=True)
    samples = D.Dirichlet(a).rsample((60_000,))
    exact = a * (a + 1) / (a.sum() * (a.sum() + 1))
    for i in range(3):
        (wanted,) = fb.autograd.grad(exact[i], [a], retain_graph=True)
        (got,) = fb.autograd.grad(samples[:, i].square().mean(), [a], retain_graph=True)
        np.testing.assert_allclose(got.numpy(), wanted.numpy(), atol=4e-3)


GAUSSIANS = {
    "covariance": lambda loc: D.MultivariateNormal(loc, *tensors(COVARIANCE)),
    "precision": lambda loc: D.MultivariateNormal(loc, precision_matrix=fb.tensor(np.linalg.inv(COVARIANCE))),
    "factor": lambda loc: D.MultivariateNormal(loc, scale_tril=fb.tensor(FACTOR)),
    "low rank": lambda loc: D.LowRankMultivariateNormal(loc, *tensors(LOW_RANK, DIAGONAL)),
}


@pytest.mark.parametrize("name", GAUSSIANS)
def test_multivariate_normal_matches_scipy(name):
    covariance = LOW_RANK @ LOW_RANK.T + np.diag(DIAGONAL) if name == "low rank" else COVARIANCE
    reference = st.multivariate_normal(LOC, covariance)
    distribution = GAUSSIANS[name](fb.tensor(LOC))
    x = reference.rvs(5, random_state=0)
    close(distribution.log_prob(fb.tensor(x)), reference.logpdf(x))
    close(distribution.log_prob(fb.tensor(x[0])), reference.logpdf(x[0]))
    close(distribution.entropy(), reference.entropy())
    close(distribution.covariance_matrix, covariance)
    close(distribution.precision_matrix, np.linalg.inv(covariance))
    close(distribution.scale_tril, np.linalg.cholesky(covariance))
    close(distribution.variance, covariance.diagonal())
    close(distribution.mean, LOC)
    fb.manual_seed(4)
    samples = distribution.sample((20_000,)).numpy()
    np.testing.assert_allclose(np.cov(samples.T), covariance, atol=0.12)
    white = (samples - LOC) @ np.linalg.inv(np.linalg.cholesky(covariance)).T
    assert all(st.kstest(white[:, i], st.norm.cdf).pvalue > 1e-3 for i in range(3))


@pytest.mark.parametrize("name", GAUSSIANS)
def test_batches_of_means_share_a_covariance(name):
    loc = fb.tensor(RNG.standard_normal((4, 3)))
    distribution = GAUSSIANS[name](loc)
    assert distribution.batch_shape == (4,) and distribution.event_shape == (3,)
    x = fb.tensor(RNG.standard_normal((2, 4, 3)))
    each = fb.stack([GAUSSIANS[name](loc[i]).log_prob(x[:, i]) for i in range(4)], 1)
    close(distribution.log_prob(x), each.numpy())
    assert distribution.entropy().shape == (4,) and distribution.rsample((2,)).shape == (2, 4, 3)
    assert distribution.expand((5, 4)).covariance_matrix.shape == (5, 4, 3, 3)


def test_helpers_of_multivariate_normal_broadcast_their_batches():
    from flambeau.distributions.multivariate_normal import _batch_mahalanobis, _batch_mv, _precision_to_scale_tril

    factors, vectors = RNG.standard_normal((4, 1, 3, 3)), RNG.standard_normal((2, 3))
    factors = np.tril(factors) + 3 * np.eye(3)
    close(_batch_mv(*tensors(factors, vectors)), (factors @ vectors[..., None])[..., 0])
    solved = np.linalg.inv(factors) @ vectors[..., None]
    close(_batch_mahalanobis(*tensors(factors, vectors)), (solved**2).sum((-2, -1)))
    close(_precision_to_scale_tril(*tensors(np.linalg.inv(COVARIANCE))), FACTOR)


def test_log_prob_supports_batches_of_covariances():
    factors = FACTOR * np.array([1.0, 2.0, 0.5, 3.0])[:, None, None]
    x = RNG.standard_normal((2, 4, 3))
    distribution = D.MultivariateNormal(*tensors(LOC), scale_tril=fb.tensor(factors))
    expected = [st.multivariate_normal(LOC, f @ f.T).logpdf(x[:, i]) for i, f in enumerate(factors)]
    close(distribution.log_prob(fb.tensor(x)), np.stack(expected, 1))


@pytest.mark.parametrize("parameter", ["covariance_matrix", "precision_matrix", "scale_tril"])
def test_gradient_of_multivariate_normal_matches_finite_differences(parameter):
    x = fb.tensor(RNG.standard_normal((2, 3)))
    matrix = {"covariance_matrix": COVARIANCE, "precision_matrix": np.linalg.inv(COVARIANCE), "scale_tril": FACTOR}

    def log_prob(loc, matrix, x):
        matrix = matrix.tril() if parameter == "scale_tril" else (matrix + matrix.mT) / 2
        return D.MultivariateNormal(loc, **{parameter: matrix}).log_prob(x)

    assert gradcheck(log_prob, [t.requires_grad_() for t in tensors(LOC, matrix[parameter], x.numpy())])


def test_gradient_of_low_rank_multivariate_normal_matches_finite_differences():
    def log_prob(*parameters):
        return D.LowRankMultivariateNormal(*parameters).log_prob(fb.tensor(LOC) + 1)

    assert gradcheck(log_prob, [t.requires_grad_() for t in tensors(LOC, LOW_RANK, DIAGONAL)])


def test_rsample_of_multivariate_normal_has_parameter_gradients():
    loc, factor = (t.requires_grad_() for t in tensors(LOC, FACTOR))

    def draw(loc, factor):
        fb.manual_seed(6)
        return D.MultivariateNormal(loc, scale_tril=factor.tril()).rsample((2,))

    assert gradcheck(draw, [loc, factor])


def test_wishart_matches_scipy():
    reference = st.wishart(5, COVARIANCE)
    x = reference.rvs(4, random_state=0)
    inverse = fb.tensor(np.linalg.inv(COVARIANCE))
    for given in (
        {"covariance_matrix": fb.tensor(COVARIANCE)},
        {"precision_matrix": (inverse + inverse.mT) / 2},
        {"scale_tril": fb.tensor(FACTOR)},
    ):
        distribution = D.Wishart(fb.tensor(5.0, dtype=fb.float64), **given)
        close(distribution.log_prob(fb.tensor((x + x.swapaxes(1, 2)) / 2)), reference.logpdf(x.transpose(1, 2, 0)))
        close(distribution.entropy(), reference.entropy())
        close(D.ExponentialFamily.entropy(distribution), reference.entropy())
        close(distribution.mean, reference.mean())
        close(distribution.mode, reference.mode())
        close(distribution.variance, reference.var())
    fb.manual_seed(0)
    samples = distribution.sample((8000,)).numpy()
    np.testing.assert_allclose(samples.mean(0), reference.mean(), atol=0.5)
    np.testing.assert_allclose(samples.var(0), reference.var(), rtol=0.15)
    direction = np.array([1.0, -2.0, 0.5])  # v^T X v / v^T V v is chi-squared
    ratio = np.einsum("i,nij,j->n", direction, samples, direction) / (direction @ COVARIANCE @ direction)
    assert st.kstest(ratio, st.chi2(5).cdf).pvalue > 1e-3


def test_gradients_of_wishart_match_finite_differences_and_the_mean():
    x = fb.tensor(st.wishart(5, COVARIANCE).rvs(random_state=0))

    def log_prob(df, factor):
        return D.Wishart(df, scale_tril=factor.tril()).log_prob((x + x.mT) / 2)

    df, factor = (t.requires_grad_() for t in tensors(5.0, FACTOR))
    assert gradcheck(log_prob, [df, factor])
    (gradient,) = fb.autograd.grad(D.Wishart(df, scale_tril=factor.tril()).rsample((4000,)).mean(0).trace(), [df])
    assert abs(gradient.item() / np.trace(COVARIANCE) - 1) < 0.1


def test_entropy_from_the_log_normalizer_equals_the_closed_form():
    df, factor = (t.requires_grad_() for t in tensors(5.0, FACTOR))
    pairs = [
        D.Normal(*tensors(0.5, 2.0)),
        D.Gamma(*tensors(2.0, 3.0)),
        D.Exponential(*tensors(2.0)),
        D.Bernoulli(*tensors(0.3)),
        D.Wishart(df, scale_tril=factor.tril()),
    ]
    for distribution in pairs[:4]:
        bregman = D.ExponentialFamily.entropy(distribution)
        close(bregman, distribution.entropy().numpy())
        assert not bregman.requires_grad
    assert D.ExponentialFamily.entropy(pairs[-1]).requires_grad


@pytest.mark.parametrize("dim", [2, 3, 4])
@pytest.mark.parametrize("eta", [0.5, 1.0, 3.0])
def test_correlations_drawn_by_lkj_are_beta_distributed(dim, eta):
    """Check that each correlation is beta distributed on [-1, 1], with both parameters ``eta - 1 + dim / 2``."""
    fb.manual_seed(1)
    distribution = D.LKJCholesky(dim, fb.tensor(eta, dtype=fb.float64))
    factors = distribution.sample((3000,))
    assert distribution.support.check(factors).all()
    correlations = (factors @ factors.mT).numpy()
    beta = st.beta(eta - 1 + dim / 2, eta - 1 + dim / 2, -1, 2)
    for i in range(1, dim):
        for j in range(i):
            assert st.kstest(correlations[:, i, j], beta.cdf).pvalue > 1e-4
    if dim == 2:
        r = np.linspace(-1, 1, 2001)[1:-1]
        factor = np.zeros((len(r), 2, 2))
        factor[:, 0, 0], factor[:, 1, 0], factor[:, 1, 1] = 1, r, np.sqrt(1 - r * r)
        # For dim = 2, the density of L_10 = r is the density of r.
        close(distribution.log_prob(fb.tensor(factor)), beta.logpdf(r), 1e-8)


def test_logistic_normal_is_the_log_ratio_of_normals():
    distribution = D.LogisticNormal(*tensors([0.3, -0.2], [1.0, 0.5]))
    assert distribution.event_shape == (3,)
    fb.manual_seed(8)
    x = distribution.sample((3000,)).numpy()
    np.testing.assert_allclose(x.sum(-1), 1)
    first = np.log(x[:, 0] / (1 - x[:, 0])) + np.log(2)
    second = np.log(x[:, 1] / x[:, 2])
    assert st.kstest(first, st.norm(0.3, 1).cdf).pvalue > 1e-3
    assert st.kstest(second, st.norm(-0.2, 0.5).cdf).pvalue > 1e-3


def test_log_prob_and_moments_of_a_mixture_match_the_components():
    weights, loc, scale = np.array([0.3, 0.7]), np.array([-1.0, 2.0]), np.array([0.5, 1.5])
    components = D.Normal(*tensors(loc, scale))
    mixture = D.MixtureSameFamily(D.Categorical(*tensors(weights)), components)
    x = np.linspace(-3, 5, 9)
    parts = [st.norm(m, s) for m, s in zip(loc, scale, strict=True)]
    close(mixture.log_prob(fb.tensor(x)), np.log(sum(w * p.pdf(x) for w, p in zip(weights, parts, strict=True))))
    close(mixture.cdf(fb.tensor(x)), sum(w * p.cdf(x) for w, p in zip(weights, parts, strict=True)))
    mean = weights @ loc
    close(mixture.mean, mean)
    close(mixture.variance, weights @ (scale**2 + loc**2) - mean**2)
    fb.manual_seed(9)
    assert st.kstest(mixture.sample((4000,)).numpy(), lambda x: mixture.cdf(fb.tensor(x)).numpy()).pvalue > 1e-3
    parameters = [t.requires_grad_() for t in tensors(weights, loc, scale)]

    def log_prob(weights, loc, scale):
        return D.MixtureSameFamily(D.Categorical(weights), D.Normal(loc, scale)).log_prob(fb.tensor(x))

    assert gradcheck(log_prob, parameters)


def test_mixture_of_vectors_has_the_event_shape_of_its_components():
    loc = fb.tensor(RNG.standard_normal((4, 2, 3)))
    components = D.MultivariateNormal(loc, scale_tril=fb.tensor(FACTOR))
    mixture = D.MixtureSameFamily(D.Categorical(fb.ones(4, 2, dtype=fb.float64)), components)
    assert (mixture.batch_shape, mixture.event_shape) == ((4,), (3,))
    assert mixture.sample((5,)).shape == (5, 4, 3)
    x = mixture.sample()
    each = fb.stack([D.MultivariateNormal(loc[:, k], scale_tril=fb.tensor(FACTOR)).log_prob(x) for k in (0, 1)])
    close(mixture.log_prob(x), np.logaddexp(*each.numpy()) - np.log(2))
    close(mixture.mean, loc.mean(1).numpy())
    assert mixture.expand((2, 4)).log_prob(x).shape == (2, 4)


@pytest.mark.parametrize("temperature", [0.4, 2.0])
def test_relaxed_bernoulli_has_a_normalised_density_and_correct_gradients(temperature):
    """Check that the density integrates to 1, draws exceed 1/2 with probability ``probs``, and gradients are right."""
    t, probs = tensors(temperature, [0.2, 0.7])
    distribution = D.RelaxedBernoulli(t, probs)
    logits = fb.linspace(-60, 60, 40_001, dtype=fb.float64).unsqueeze(-1)
    density = distribution.base_dist.log_prob(logits).exp()
    close(density.sum(0) * 120 / 40_000, [1, 1], 1e-6)
    fb.manual_seed(0)
    above = (distribution.sample((20_000,)) > 0.5).double().mean(0)
    np.testing.assert_allclose(above.numpy(), probs.numpy(), atol=0.015)

    def draw(logits):
        fb.manual_seed(0)
        return D.RelaxedBernoulli(t, logits=logits).rsample((3,))

    assert gradcheck(draw, [fb.tensor([-1.0, 0.5], dtype=fb.float64, requires_grad=True)])


def test_relaxed_one_hot_categorical_has_correct_probabilities_and_gradients():
    """Check that the largest entry has the right distribution, and two categories match RelaxedBernoulli."""
    t, probs = tensors(0.7, [0.2, 0.3, 0.5])
    distribution = D.RelaxedOneHotCategorical(t, probs)
    fb.manual_seed(0)
    sample = distribution.sample((20_000,))
    close(sample.sum(-1), np.ones(20_000))
    counts = np.bincount(sample.argmax(-1).numpy())
    assert st.chisquare(counts, 20_000 * probs.numpy()).pvalue > 1e-3
    two = D.RelaxedOneHotCategorical(t, *tensors([0.3, 0.7]))
    x = fb.tensor([0.1, 0.4, 0.8], dtype=fb.float64)
    expected = D.RelaxedBernoulli(t, *tensors(0.3)).log_prob(x)
    close(two.log_prob(fb.stack([x, 1 - x], -1)), expected.numpy())

    def draw(logits):
        fb.manual_seed(0)
        return D.RelaxedOneHotCategorical(t, logits=logits).rsample((3,))

    assert gradcheck(draw, [fb.tensor([-1.0, 0.5, 0.0], dtype=fb.float64, requires_grad=True)])
