"""Tests of samplers with fixed seeds: distributions, arguments and gradients."""

import numpy as np
import pytest
from scipy import stats

import flambeau as fb
from flambeau._core import _standard_log_gamma

N = 60_000


def generator(seed=11):
    return fb.Generator().manual_seed(seed)


def draw(name, *args, dtype="float32"):
    """Fill N elements with a random in-place operator and return them as float64."""
    x = fb.empty(N, dtype=getattr(fb, dtype))
    return getattr(x, name)(*args, generator=generator()).double().numpy()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("name", "args", "law"),
    [
        ("exponential_", (), stats.expon()),
        ("exponential_", (2.5,), stats.expon(scale=0.4)),
        ("cauchy_", (), stats.cauchy()),
        ("cauchy_", (3, 0.5), stats.cauchy(3, 0.5)),
        ("log_normal_", (), stats.lognorm(2, scale=np.e)),
        ("log_normal_", (0, 0.5), stats.lognorm(0.5)),
        ("uniform_", (-1, 3), stats.uniform(-1, 4)),
    ],
)
def test_continuous_in_place_samplers_follow_their_distribution(name, args, law, dtype):
    x = draw(name, *args, dtype=dtype)
    assert stats.kstest(x, law.cdf).pvalue > 1e-3
    ranks = law.cdf(x)
    assert abs(np.corrcoef(ranks[1:], ranks[:-1])[0, 1]) < 5 / np.sqrt(N)


def chi_square(x, law, expected=20):
    """Return the p-value of integers under a discrete distribution, with rare values pooled."""
    support = np.arange(int(x.min()), int(x.max()) + 1)
    counts = np.bincount((x - support[0]).astype(int), minlength=support.size).astype(float)
    probabilities = law.pmf(support)
    common = probabilities * x.size > expected
    observed = np.append(counts[common], x.size - counts[common].sum())
    wanted = np.append(probabilities[common], 1 - probabilities[common].sum()) * x.size
    assert (law.pmf(np.unique(x)) > 0).all()
    keep = wanted > expected
    if not keep[-1]:
        observed[-2] += observed[-1]
        wanted[-2] += wanted[-1]
        observed, wanted = observed[:-1], wanted[:-1]
    return stats.chisquare(observed, wanted).pvalue


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int32", "int16", "float16"])
@pytest.mark.parametrize("p", [0.2, 0.5, 0.9])
def test_geometric_numbers_follow_their_distribution(p, dtype):
    assert chi_square(draw("geometric_", p, dtype=dtype), stats.geom(p)) > 1e-3


@pytest.mark.parametrize("rate", [0.1, 1.0, 5.0, 9.9, 10.0, 25.0, 400.0])
def test_poisson_numbers_follow_their_distribution(rate):
    x = fb.poisson(fb.full((N,), rate, dtype=fb.float64), generator=generator()).numpy()
    assert chi_square(x, stats.poisson(rate)) > 1e-3


@pytest.mark.parametrize(
    ("n", "p"),
    [(1, 0.3), (5, 0.5), (20, 0.9), (20, 0.1), (40, 0.4), (100, 0.5), (1000, 0.3), (10**5, 0.97), (30, 1 / 3)],
)
def test_binomial_numbers_follow_their_distribution(n, p):
    x = fb.binomial(fb.tensor(float(n)).expand(N).double(), fb.tensor(p, dtype=fb.float64), generator=generator())
    assert chi_square(x.numpy(), stats.binom(n, p)) > 1e-3


def test_binomial_accepts_extreme_probabilities_and_counts():
    count = fb.tensor([5.0, 5.0, 0.0, -3.0, 7.0])
    prob = fb.tensor([0.0, 1.0, 0.5, 0.5, 2.0])
    assert fb.binomial(count, prob).tolist() == [0, 5, 0, 0, 7]
    assert np.isnan(fb.binomial(fb.tensor([float("nan"), 2.0]), fb.tensor([0.5, float("nan")])).numpy()).all()
    assert fb.binomial(fb.ones(2, 1), fb.ones(3)).shape == (2, 3)


@pytest.mark.parametrize("concentration", [0.01, 0.3, 1.0, 2.5, 60.0, 5e3])
def test_standard_gamma_numbers_follow_their_distribution(concentration):
    x = fb._standard_gamma(fb.full((N,), concentration, dtype=fb.float64), generator=generator()).numpy()
    assert stats.kstest(x, stats.gamma(concentration).cdf).pvalue > 1e-3


@pytest.mark.parametrize("concentration", [1e-4, 0.3, 1.0, 60.0, 5e3])
def test_log_gamma_variates_follow_their_distribution(concentration):
    """Test that the logarithm of gamma(a) is close to log(u) / a for small a, as gamma(a) = gamma(a + 1) u**(1 / a)."""
    concentrations = fb.full((N,), concentration)
    x = _standard_log_gamma(concentrations, generator=generator()).numpy()
    assert x.dtype == np.float64
    if concentration < 1e-3:
        assert stats.kstest(-x * concentration, stats.expon.cdf).pvalue > 1e-3
    else:
        assert stats.kstest(np.exp(x), stats.gamma(concentrations[0].item()).cdf).pvalue > 1e-3


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64, fb.float16, fb.bfloat16])
def test_dirichlet_with_tiny_concentrations_draws_corners(dtype):
    x = fb._sample_dirichlet(fb.full((N, 3), 1e-3, dtype=dtype), generator=generator())
    assert x.dtype == dtype and x.min() > 0 and x.max() < 1
    assert (x.max(-1).values > 0.98).double().mean() > 0.98
    assert stats.chisquare(np.bincount(x.argmax(-1).numpy())).pvalue > 1e-3


def test_dirichlet_samples_follow_their_distribution():
    concentration = fb.tensor([0.5, 2.0, 7.0], dtype=fb.float64)
    x = fb._sample_dirichlet(concentration.expand(N, 3), generator=generator()).numpy()
    np.testing.assert_allclose(x.sum(1), 1, rtol=1e-12)
    for i, alpha in enumerate((0.5, 2.0, 7.0)):
        assert stats.kstest(x[:, i], stats.beta(alpha, 9.5 - alpha).cdf).pvalue > 1e-3


@pytest.mark.parametrize("replacement", [True, False])
def test_multinomial_with_one_sample_follows_the_weights(replacement):
    weights = fb.tensor([1.0, 0.0, 3.0, 6.0])
    x = fb.multinomial(weights.expand(N, 4), 1, replacement, generator=generator()).numpy()[:, 0]
    counts = np.bincount(x, minlength=4)
    assert counts[1] == 0
    assert stats.chisquare(counts[[0, 2, 3]], np.array([0.1, 0.3, 0.6]) * N).pvalue > 1e-3


def test_multinomial_with_replacement_follows_the_weights():
    x = fb.multinomial(fb.tensor([2.0, 3.0, 5.0]), N, True, generator=generator()).numpy()
    assert stats.chisquare(np.bincount(x), np.array([0.2, 0.3, 0.5]) * N).pvalue > 1e-3


def test_multinomial_without_replacement_equals_sequential_draws():
    p = np.array([0.1, 0.2, 0.7])
    x = fb.multinomial(fb.tensor(p).expand(N, 3), 2, generator=generator()).numpy()
    assert (x[:, 0] != x[:, 1]).all()
    pairs = [(i, j) for i in range(3) for j in range(3) if i != j]
    wanted = np.array([p[i] * p[j] / (1 - p[i]) for i, j in pairs]) * N
    counts = np.array([((x[:, 0] == i) & (x[:, 1] == j)).sum() for i, j in pairs])
    assert stats.chisquare(counts, wanted).pvalue > 1e-3
    assert sorted(fb.multinomial(fb.ones(50), 50).tolist()) == list(range(50))
    assert fb.multinomial(fb.tensor([0.0, 2.0, 0.0]), 2).tolist() == [1, 0]


def test_bernoulli_follows_a_tensor_of_probabilities():
    p = fb.tensor([[0.0, 0.1, 0.8, 1.0]], dtype=fb.float64)
    for x in (fb.bernoulli(p.expand(N, 4), generator=generator()), fb.empty(N, 4).bernoulli_(p, generator=generator())):
        mean = x.double().mean(0).numpy()
        assert mean[0] == 0 and mean[3] == 1
        assert (np.abs(mean - p.numpy()[0]) < 5 * np.sqrt(0.16 / N)).all()
    assert fb.bernoulli(fb.zeros(3, dtype=fb.int64), p=1.0).tolist() == [1, 1, 1]
    assert fb.zeros(2, dtype=fb.uint8).bernoulli_(fb.tensor([1.0, 0.0])).tolist() == [1, 0]


def test_normal_accepts_tensors_and_numbers():
    g = generator()
    mean, std = fb.arange(3.0, dtype=fb.float64)[:, None].expand(3, N), fb.tensor([[0.5], [1.0], [2.0]]).double()
    for x in (fb.normal(mean, std, generator=g), fb.normal(mean, std.expand(3, N), generator=g)):
        for row, (m, s) in zip(x.numpy(), [(0, 0.5), (1, 1), (2, 2)], strict=True):
            assert stats.kstest(row, stats.norm(m, s).cdf).pvalue > 1e-3
    assert fb.normal(fb.ones(2, dtype=fb.float16), 2.0).dtype is fb.float16
    assert fb.normal(0.0, fb.ones(2, dtype=fb.float64)).dtype is fb.float64
    assert fb.normal(fb.ones(4), fb.zeros(4)).tolist() == [1] * 4
    assert fb.normal(fb.zeros(2, 1), 1.0).shape == (2, 1)
    assert fb.normal(1, 2, (2, 3), dtype=fb.float64).dtype is fb.float64
    assert fb.normal(0.0, 1.0, (5,), requires_grad=False, out=fb.empty(0, dtype=fb.float64)).shape == (5,)


def test_random_bounds_default_to_the_range_of_the_dtype():
    for dtype, largest in (("uint8", 255), ("int8", 127), ("bool", 1), ("bfloat16", 256)):
        x = draw("random_", dtype=dtype)
        assert x.min() >= 0 and x.max() == largest
    assert draw("random_", dtype="float32").max() <= 2**24
    assert draw("random_", 5, None, dtype="int8").min() == 5
    assert set(draw("random_", 3)) == {0, 1, 2}
    assert set(draw("random_", -2, 1, dtype="int64")) == {-2, -1, 0}
    assert fb.zeros(50).random_(**{"from": 7, "to": 8}).tolist() == [7] * 50


@pytest.mark.parametrize(("dtype", "digits"), [("bfloat16", 8), ("float16", 11), ("float32", 24), ("float64", 53)])
def test_random_warns_of_bounds_between_which_integers_are_rounded(dtype, digits):
    x = fb.zeros(2, dtype=getattr(fb, dtype))
    x.random_(-(2**digits), 2**digits + 1)
    with pytest.warns(UserWarning, match=rf"to - 1 is out of bounds \[-\(2\^{digits}\), 2\^{digits}\]"):
        x.random_(0, 2**digits + 2)
    with pytest.warns(UserWarning, match="from is out of bounds"):
        x.random_(-(2**digits) - 1, 0)


def test_half_precision_uniform_numbers_exclude_the_upper_bound():
    for dtype in ("float16", "bfloat16"):
        assert draw("uniform_", dtype=dtype).max() < 1
        assert draw("uniform_", 1, 2, dtype=dtype).max() < 2
        assert draw("exponential_", dtype=dtype).min() > 0


DRAWS = {
    "exponential": lambda g: fb.empty(70_001).exponential_(generator=g),
    "cauchy": lambda g: fb.empty(70_001, dtype=fb.float64).cauchy_(generator=g),
    "log_normal": lambda g: fb.empty(70_001, dtype=fb.float16).log_normal_(generator=g),
    "geometric": lambda g: fb.empty(70_001, dtype=fb.int32).geometric_(0.3, generator=g),
    "poisson": lambda g: fb.poisson(fb.full((70_001,), 12.0), generator=g),
    "binomial": lambda g: fb.binomial(fb.full((70_001,), 12.0), fb.tensor(0.4), generator=g),
    "gamma": lambda g: fb._standard_gamma(fb.full((70_001,), 0.7), generator=g),
    "dirichlet": lambda g: fb._sample_dirichlet(fb.ones(7_001, 3), generator=g),
    "multinomial": lambda g: fb.multinomial(fb.ones(300, 50), 20, generator=g),
    "replacement": lambda g: fb.multinomial(fb.ones(300, 50), 20, True, generator=g),
    "bernoulli": lambda g: fb.bernoulli(fb.full((70_001,), 0.3), generator=g),
    "normal": lambda g: fb.normal(fb.zeros(70_001), fb.ones(70_001), generator=g),
    "random": lambda g: fb.empty(70_001, dtype=fb.uint8).random_(generator=g),
    "columns": lambda g: fb.empty(300, 301).t().exponential_(generator=g),
}


@pytest.mark.parametrize("name", DRAWS)
def test_samples_do_not_depend_on_the_number_of_threads(name):
    results = []
    for threads in (1, 2, 5):
        fb.set_num_threads(threads)
        g = generator()
        results.append((DRAWS[name](g), g.get_state()))
    for other in results[1:]:
        assert fb.equal(results[0][0], other[0]) and fb.equal(results[0][1], other[1])
    assert not fb.equal(results[0][0], DRAWS[name](generator(12)))
    assert not fb.equal(results[0][0], DRAWS[name](g))  # the position in the stream has advanced


def test_random_streams_of_elements_do_not_overlap():
    """Test that all elements of two calls are different, although each element has a separate stream of numbers."""
    g = generator()
    first, second = (fb._standard_gamma(fb.ones(1000, dtype=fb.float64), generator=g).tolist() for _ in range(2))
    assert len({*first, *second}) == 2000


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: x.uniform_(0, float("inf")), RuntimeError, "to=inf.*float32"),
        (lambda x: x.uniform_(-3e38, 3e38), RuntimeError, r"3e\+38"),
        (lambda x: x.half().uniform_(0, 1e6), RuntimeError, "float16"),
        (lambda x: x.normal_(0, -1), RuntimeError, "-1"),
        (lambda x: x.long().normal_(), NotImplementedError, "int64"),
        (lambda x: x.exponential_(0), RuntimeError, "lambda=0"),
        (lambda x: x.exponential_(float("nan")), RuntimeError, "nan"),
        (lambda x: x.long().exponential_(), RuntimeError, "int64"),
        (lambda x: x.cauchy_(0, 0), RuntimeError, "sigma=0"),
        (lambda x: x.int().cauchy_(), RuntimeError, "int32"),
        (lambda x: x.log_normal_(0, 0), RuntimeError, "std=0"),
        (lambda x: x.bool().log_normal_(), NotImplementedError, "bool"),
        (lambda x: x.geometric_(0), RuntimeError, "p=0"),
        (lambda x: x.geometric_(1), RuntimeError, "p=1"),
        (lambda x: x.geometric_(), TypeError, '"p"'),
        (lambda x: x.bool().geometric_(0.5), NotImplementedError, "bool"),
        (lambda x: x.random_(5, 5), RuntimeError, "from=5.*to=5"),
        (lambda x: x.random_(-1), RuntimeError, "to=-1"),
        (lambda x: x.byte().random_(-1, 5), RuntimeError, "from is out of bounds for uint8, got -1"),
        (lambda x: x.random_(1.5, 4), TypeError, "float"),
        (lambda x: x.bernoulli_(float("nan")), RuntimeError, "nan"),
        (lambda x: x.bernoulli_(fb.tensor([0.5, 1.5])), RuntimeError, r"\[0, 1\]"),
        (lambda x: x.bernoulli_(fb.ones(3)), RuntimeError, r"\[2\].*\[3\]"),
        (lambda x: x.bernoulli_(fb.tensor([1, 0])), NotImplementedError, "int64"),
        (lambda x: fb.multinomial(x, 0), RuntimeError, "n_sample <= 0"),
        (lambda x: fb.multinomial(x + 1, 3), RuntimeError, "3 of 2"),
        (lambda x: fb.multinomial(x, 1), RuntimeError, "sum of probabilities <= 0"),
        (lambda x: fb.multinomial(x - 1, 1), RuntimeError, "-1"),
        (lambda x: fb.multinomial(x / 0, 1, True), RuntimeError, "nan"),
        (lambda x: fb.multinomial(fb.ones(1, 1, 1), 1), RuntimeError, r"\[1, 1, 1\]"),
        (lambda x: fb.multinomial(x.long(), 1), RuntimeError, "int64"),
        (lambda x: fb.poisson(x - 1), RuntimeError, "-1"),
        (lambda x: fb.poisson(x / 0), RuntimeError, "nan"),
        (lambda x: fb.poisson(x.long()), NotImplementedError, "int64"),
        (lambda x: fb.binomial(x.long(), x), ValueError, "count.*int64"),
        (lambda x: fb.binomial(x, x.double()), RuntimeError, "float32 and float64"),
        (lambda x: fb._standard_gamma(x.long()), NotImplementedError, "int64"),
        (lambda x: fb.normal(0.0, 1.0), TypeError, "size"),
        (lambda x: fb.normal(x, 1.0, (2,)), TypeError, "size"),
        (lambda x: fb.normal(x, x - 1), RuntimeError, "std >= 0"),
        (lambda x: fb.normal(x, -1.0), RuntimeError, "std -1"),
        (lambda x: fb.normal(x.long(), 1.0), NotImplementedError, "int64"),
        (lambda x: fb.randperm(300, dtype=fb.uint8), RuntimeError, "300.*uint8"),
        (lambda x: fb.randperm(3000, dtype=fb.float16), RuntimeError, "3000.*float16"),
        (lambda x: fb.randperm(2, dtype=fb.bool), NotImplementedError, "bool"),
        (lambda x: fb.randint(0, 5), TypeError, "size"),
        (lambda x: fb.randint(2**63, (2,)), ValueError, "64 bits"),
        (lambda x: fb.rand(), TypeError, "size"),
        (lambda x: fb.manual_seed(2**64), ValueError, "2\\*\\*64"),
        (lambda x: fb.Generator().manual_seed(1.5), RuntimeError, "float"),
        (lambda x: fb.Generator("cuda"), RuntimeError, "CUDA is not available"),
        (lambda x: fb.Generator().set_state(5), TypeError, "int"),
    ],
)
def test_samplers_reject_invalid_arguments(call, error, message):
    x = fb.zeros(2)
    version, state = x._version, fb.get_rng_state()
    with pytest.raises(error, match=message):
        call(x)
    assert x.tolist() == [0, 0] and x._version == version
    assert fb.equal(state, fb.get_rng_state())
