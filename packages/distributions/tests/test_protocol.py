"""Test the common interface of distributions: shapes, expansion, validation and its messages, repr, subclasses."""

import copy
import pickle
from functools import partial
from typing import ClassVar

import numpy as np
import pytest
import scipy.stats as st
import univariate

import flambeau as fb
from flambeau import distributions as D
from flambeau.distributions import constraints, utils
from flambeau.func import vmap

EYE = fb.eye(2)
# Function that creates a distribution of batch shape (3,) or (), and the event shape.
ALL = {
    **{name: (partial(univariate.make, name, fb.float32), ()) for name in univariate.UNIVARIATE},
    "Bernoulli logits": (lambda: D.Bernoulli(logits=fb.zeros(3)), ()),
    "Categorical": (lambda: D.Categorical(fb.ones(3, 4)), ()),
    "Categorical logits": (lambda: D.Categorical(logits=fb.zeros(3, 4)), ()),
    "ContinuousBernoulli": (lambda: D.ContinuousBernoulli(fb.tensor([0.2, 0.5, 0.7])), ()),
    "Dirichlet": (lambda: D.Dirichlet(fb.ones(3, 2)), (2,)),
    "Independent": (lambda: D.Independent(D.Normal(fb.zeros(3, 2), 1.0), 1), (2,)),
    "Kumaraswamy": (lambda: D.Kumaraswamy(fb.full((3,), 2.0), 3.0), ()),
    "LKJCholesky": (lambda: D.LKJCholesky(2, fb.ones(3)), (2, 2)),
    "LogisticNormal": (lambda: D.LogisticNormal(fb.zeros(3, 1), 1.0), (2,)),
    "LowRank": (lambda: D.LowRankMultivariateNormal(fb.zeros(3, 2), fb.ones(2, 1), fb.ones(2)), (2,)),
    "Mixture": (lambda: D.MixtureSameFamily(D.Categorical(fb.ones(3, 2)), D.Normal(fb.zeros(3, 2), 1.0)), ()),
    "Multinomial": (lambda: D.Multinomial(4, fb.ones(3, 2)), (2,)),
    "MultivariateNormal": (lambda: D.MultivariateNormal(fb.zeros(3, 2), EYE), (2,)),
    "OneHotCategorical": (lambda: D.OneHotCategorical(fb.ones(3, 2)), (2,)),
    "StraightThrough": (lambda: D.OneHotCategoricalStraightThrough(fb.ones(3, 2)), (2,)),
    "RelaxedBernoulli": (lambda: D.RelaxedBernoulli(fb.tensor(0.5), fb.full((3,), 0.3)), ()),
    "RelaxedOneHot": (lambda: D.RelaxedOneHotCategorical(fb.tensor(0.5), fb.ones(3, 2)), (2,)),
    "Transformed": (lambda: D.TransformedDistribution(D.Normal(fb.zeros(3), 1.0), [D.SigmoidTransform()]), ()),
    "Wishart": (lambda: D.Wishart(fb.full((3,), 4.0), EYE), (2, 2)),
}


def make(name):
    return ALL[name][0]()


@pytest.mark.parametrize("name", ALL)
def test_samples_have_the_sample_batch_and_event_shape(name):
    distribution, event = make(name), ALL[name][1]
    assert (distribution.batch_shape, distribution.event_shape) == ((3,), event)
    assert isinstance(distribution.batch_shape, fb.Size) and isinstance(distribution.event_shape, fb.Size)
    for sample_shape in ((), (5,), [5, 2], fb.Size((0,))):
        sample = distribution.sample(sample_shape)
        assert sample.shape == (*sample_shape, 3, *event)
        assert not sample.requires_grad and distribution.support.check(sample).all()
        if sample_shape != (0,) or name not in ("LKJCholesky", "Wishart"):
            assert distribution.log_prob(sample).shape == (*sample_shape, 3)
    if distribution.has_rsample:
        assert distribution.rsample((5,)).shape == (5, 3, *event)
    else:
        with pytest.raises(NotImplementedError):
            distribution.rsample()


@pytest.mark.parametrize("name", ALL)
def test_expand_changes_the_batch_shape(name):
    distribution, event = make(name), ALL[name][1]
    expanded = distribution.expand((2, 3))
    assert type(expanded) is type(distribution)
    assert (expanded.batch_shape, expanded.event_shape) == ((2, 3), event)
    sample = expanded.sample((4,))
    assert sample.shape == (4, 2, 3, *event)
    log_prob = expanded.log_prob(sample)
    fb.testing.assert_close(log_prob[:, 1], distribution.log_prob(sample[:, 1]))
    assert expanded.expand((5, 2, 3)).sample().shape == (5, 2, 3, *event)
    with pytest.raises(RuntimeError):
        distribution.expand((4,)).sample()
    try:
        mean = distribution.mean
    except NotImplementedError:
        return
    assert expanded.mean.shape == (2, *mean.shape)
    assert expanded.variance.shape == (2, *distribution.variance.shape)


@pytest.mark.parametrize("name", ALL)
def test_distributions_can_be_copied_and_pickled(name):
    distribution = make(name)
    x = distribution.sample()
    for other in (copy.deepcopy(distribution), pickle.loads(pickle.dumps(distribution))):
        assert fb.equal(other.log_prob(x), distribution.log_prob(x))


@pytest.mark.parametrize("name", ALL)
def test_samples_depend_only_on_the_seed(name):
    draws = []
    for seed in (1, 1, 2):
        fb.manual_seed(seed)
        draws.append(make(name).sample((20,)))
    assert fb.equal(draws[0], draws[1]) and not fb.equal(draws[0], draws[2])


@pytest.mark.parametrize("name", ALL)
def test_log_prob_checks_the_support(name):
    distribution = make(name)
    with pytest.raises(ValueError, match="The value argument to log_prob must be a Tensor"):
        distribution._validate_sample(0.5)
    event = ALL[name][1]
    nan = fb.full((3, *event), fb.nan)
    with pytest.raises(ValueError, match=r"Expected value argument \(Tensor of shape .*to be within the support"):
        distribution.log_prob(nan)
    if event:
        with pytest.raises(ValueError, match="right-most size of value must match event_shape"):
            distribution._validate_sample(fb.ones(3, *event[:-1], 5))
    with pytest.raises(ValueError, match="not broadcastable with batch_shape"):
        distribution._validate_sample(fb.ones(4, *event))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: D.Normal(fb.zeros(2), fb.tensor([1.0, -1.0])), r"parameter scale .*shape \(2,\).*GreaterThan"),
        (lambda: D.Normal(fb.tensor(fb.nan), 1.0), r"parameter loc .*Real\(\)"),
        (lambda: D.Gamma(-1.0, 1.0), "parameter concentration "),
        (lambda: D.Bernoulli(1.5), r"probs .*Bernoulli\(probs: 1.5\).*Interval\(lower_bound=0.0, upper_bound=1.0\)"),
        (lambda: D.Uniform(1.0, 0.0), r"low .*LessThan\(upper_bound=0.0\)"),
        (lambda: D.Dirichlet(fb.tensor([1.0, 0.0])), "concentration "),
        (lambda: D.Categorical(fb.tensor([1.0, -0.5])), r"probs .*Simplex\(\)"),
        (lambda: D.Categorical(logits=fb.tensor([1.0, fb.nan])), "logits "),
        (lambda: D.Binomial(2.5, fb.tensor(0.5)), "total_count "),
        (lambda: D.Multinomial(-2, fb.ones(2)), "total_count to be a nonnegative int, got -2"),
        (lambda: D.Geometric(0.0), "to be positive but found invalid values"),
        (lambda: D.NegativeBinomial(2, fb.tensor(1.0)), "HalfOpenInterval"),
        (lambda: D.Chi2(fb.tensor(-1.0)), "df "),
        (lambda: D.MultivariateNormal(fb.zeros(2), -EYE), r"covariance_matrix .*PositiveDefinite\(\)"),
        (lambda: D.MultivariateNormal(fb.zeros(2), scale_tril=fb.ones(2, 2)), "scale_tril "),
        (lambda: D.Wishart(0.5, EYE), "expected to be greater than ndim - 1 = 1"),
        (lambda: D.LKJCholesky(1), "Found dim=1"),
        (lambda: D.Categorical(), "Either `probs` or `logits` must be specified, but not both"),
        (lambda: D.Bernoulli(0.5, 0.5), "Either `probs` or `logits` must be specified, but not both"),
        (lambda: D.Categorical(fb.tensor(1.0)), "`probs` parameter must be at least one-dimensional"),
        (lambda: D.Categorical(logits=fb.tensor(1.0)), "`logits` parameter must be at least one-dimensional"),
        (lambda: D.Dirichlet(fb.tensor(1.0)), "`concentration` parameter must be at least one-dimensional"),
        (lambda: D.MultivariateNormal(fb.zeros(2)), "Exactly one of covariance_matrix or precision_matrix"),
        (lambda: D.MultivariateNormal(fb.tensor(1.0), EYE), "loc must be at least one-dimensional"),
        (lambda: D.MultivariateNormal(fb.zeros(2), fb.ones(2)), "covariance_matrix must be at least two-dimensional"),
        (lambda: D.LowRankMultivariateNormal(fb.zeros(3), fb.ones(4, 2), fb.ones(3)), "shape 3 x m"),
        (lambda: D.LowRankMultivariateNormal(fb.zeros(3), fb.ones(3, 2), fb.ones(4)), "cov_diag must be"),
        (lambda: D.LowRankMultivariateNormal(fb.zeros(5, 3), fb.ones(2, 3, 2), fb.ones(3)), "Incompatible batch"),
        (lambda: D.Independent(D.Normal(fb.zeros(3), 1.0), 2), "actual 2 vs 1"),
        (lambda: D.Normal("0", 1.0), "must all be instances of Number"),
        (lambda: D.TransformedDistribution(D.Normal(0.0, 1.0), 3), "must be a Transform or a list"),
        (lambda: D.TransformedDistribution(D.Normal(0.0, 1.0), D.StickBreakingTransform()), "at least 1, but got"),
        (lambda: D.MixtureSameFamily(3, D.Normal(fb.zeros(2), 1.0)), "instance of Categorical, got int"),
        (lambda: D.MixtureSameFamily(D.Categorical(fb.ones(2)), 3), "instance of Distribution, got int"),
        (lambda: D.MixtureSameFamily(D.Categorical(fb.ones(2)), D.Normal(0.0, 1.0)), "must have a batch dimension"),
        (lambda: D.MixtureSameFamily(D.Categorical(fb.ones(2)), D.Normal(fb.zeros(3), 1.0)), r"\(2\) does not equal"),
        (lambda: D.MixtureSameFamily(D.Categorical(fb.ones(3, 2)), D.Normal(fb.zeros(4, 2), 1.0)), "not compatible"),
        (lambda: D.Distribution.set_default_validate_args(3), "got 3"),
    ],
)
def test_invalid_parameters_are_rejected(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_inconsistent_parameters_are_rejected():
    with pytest.raises(RuntimeError, match="must match"):
        D.Normal(fb.zeros(2), fb.ones(3))
    with pytest.raises(NotImplementedError, match="total_count"):
        D.Multinomial(fb.tensor(3), fb.ones(2))
    for use in ("entropy", "enumerate_support"):
        with pytest.raises(NotImplementedError, match=f"not supported by `{use}`"):
            getattr(D.Binomial(fb.tensor([2, 3]), probs=fb.tensor(0.5)), use)()
    with pytest.raises(AssertionError, match="Exactly one"):
        D.Wishart(3.0)
    with pytest.warns(UserWarning, match="Low df values detected"):
        D.Wishart(1.5, EYE)


def test_validation_can_be_turned_off():
    assert D.Normal(0.0, -1.0, validate_args=False).scale == -1
    assert D.Uniform(0.0, 1.0, validate_args=False).log_prob(fb.tensor(2.0)) == -fb.inf
    assert D.HalfNormal(1.0, validate_args=False).log_prob(fb.tensor(-1.0)) == -fb.inf
    D.Distribution.set_default_validate_args(False)
    try:
        assert D.Normal(0.0, -1.0).scale == -1
    finally:
        D.Distribution.set_default_validate_args(True)
    with pytest.raises(ValueError, match="scale"):
        D.Normal(0.0, -1.0)
    assert D.Normal(0.0, 1.0, validate_args=False).expand((2,))._validate_args is False


def test_repr_shows_numbers_and_shapes_of_parameters():
    assert repr(D.Normal(0.0, 1.0)) == "Normal(loc: 0.0, scale: 1.0)"
    assert repr(D.Normal(fb.zeros(2), 1.0)) == "Normal(loc: flambeau.Size([2]), scale: flambeau.Size([2]))"
    assert repr(D.Categorical(logits=fb.ones(2, 3))) == "Categorical(logits: flambeau.Size([2, 3]))"
    assert repr(D.Independent(D.Bernoulli(fb.ones(2)), 1)) == "Independent(Bernoulli(probs: flambeau.Size([2])), 1)"
    assert repr(D.TransformedDistribution(D.Normal(0.0, 1.0), [])) == "TransformedDistribution()"
    mixture = D.MixtureSameFamily(D.Categorical(fb.ones(2)), D.Normal(fb.zeros(2), 1.0))
    assert repr(mixture).startswith("MixtureSameFamily(\n  Categorical(probs: ")


def test_number_parameters_take_the_dtype_of_tensor_parameters():
    half, wide = D.Normal(fb.zeros(2, dtype=fb.float64), 1), D.Normal(0, fb.ones((), dtype=fb.float64))
    assert half.scale.dtype == wide.loc.dtype == fb.float64
    assert D.Normal(0, 1).loc.dtype == fb.get_default_dtype()
    for dtype in (fb.float16, fb.bfloat16, fb.float64):
        normal = D.Normal(fb.zeros(2, dtype=dtype), fb.ones(2, dtype=dtype))
        assert normal.sample().dtype == normal.rsample().dtype == normal.log_prob(normal.sample()).dtype == dtype


def test_enumerate_support_returns_all_values():
    assert D.Bernoulli(fb.full((2,), 0.5)).enumerate_support().tolist() == [[0, 0], [1, 1]]
    assert D.Bernoulli(fb.full((2,), 0.5)).enumerate_support(expand=False).shape == (2, 1)
    assert D.Categorical(fb.ones(2, 3)).enumerate_support().tolist() == [[0, 0], [1, 1], [2, 2]]
    assert D.Binomial(3, fb.tensor(0.5)).enumerate_support().tolist() == [0, 1, 2, 3]
    assert D.OneHotCategorical(fb.ones(4, 2)).enumerate_support().shape == (2, 4, 2)
    assert D.Independent(D.Bernoulli(fb.ones(2)), 0).enumerate_support().shape == (2, 2)
    with pytest.raises(NotImplementedError, match="cartesian product"):
        D.Independent(D.Bernoulli(fb.ones(2)), 1).enumerate_support()
    for name in ("Bernoulli", "Categorical", "Binomial", "OneHotCategorical"):
        distribution = make(name)
        total = distribution.log_prob(distribution.enumerate_support()).exp().sum(0)
        fb.testing.assert_close(total, fb.ones(3))


def test_independent_sums_over_its_event():
    base = D.Normal(fb.zeros(4, 3, 2), fb.arange(1.0, 3.0))
    for n in range(4):
        distribution = D.Independent(base, n)
        assert distribution.batch_shape == (4, 3, 2)[: 3 - n] and distribution.event_shape == (4, 3, 2)[3 - n :]
        x = base.sample()
        dims = list(range(-n, 0))
        expected = base.log_prob(x).sum(dims) if n else base.log_prob(x)
        fb.testing.assert_close(distribution.log_prob(x), expected)
        fb.testing.assert_close(distribution.entropy(), base.entropy().sum(dims) if n else base.entropy())
    assert distribution.has_rsample and distribution.support.event_dim == 3
    assert (distribution.mean.shape, distribution.mode.shape, distribution.variance.shape) == ((4, 3, 2),) * 3


def test_transformed_distributions_have_the_shapes_of_their_transforms():
    normal = D.Normal(fb.zeros(3), 1.0)
    simplex = D.TransformedDistribution(normal.expand((2, 3)), [D.StickBreakingTransform()])
    assert (simplex.batch_shape, simplex.event_shape) == ((2,), (4,))
    reshaped = D.TransformedDistribution(D.Normal(fb.zeros(5, 6), 1.0), [D.ReshapeTransform((6,), (2, 3))])
    assert (reshaped.batch_shape, reshaped.event_shape) == ((5,), (2, 3))
    broadcast = D.TransformedDistribution(normal, [D.AffineTransform(fb.zeros(4, 1), 2.0)])
    assert broadcast.sample().shape == (4, 3) and broadcast.log_prob(fb.zeros(4, 3)).shape == (4, 3)
    for distribution in (simplex, reshaped, broadcast):
        expanded = distribution.expand((7, *distribution.batch_shape))
        assert expanded.log_prob(expanded.sample((2,))).shape == (2, *expanded.batch_shape)


def test_cdf_of_a_decreasing_transform_is_reversed():
    falling = D.TransformedDistribution(D.Normal(0.0, 1.0), [D.AffineTransform(1.0, -2.0), D.ExpTransform()])
    x = fb.tensor([0.5, 1.0, 4.0])
    expected = 1 - D.Normal(0.0, 1.0).cdf((1 - x.log()) / 2)
    fb.testing.assert_close(falling.cdf(x), expected)
    fb.testing.assert_close(falling.icdf(expected), x)


def test_a_cached_transform_makes_log_prob_of_a_saturated_sample_finite():
    policy = D.TransformedDistribution(D.Normal(fb.tensor([20.0]), 1.0), [D.TanhTransform(cache_size=1)])
    action = policy.rsample()
    assert action == 1 and fb.isfinite(policy.log_prob(action)).all()


def test_undefined_members_raise_not_implemented():
    bare = D.Distribution(validate_args=False)
    for name in ("mean", "mode", "variance", "support", "arg_constraints"):
        with pytest.raises(NotImplementedError):
            getattr(bare, name)
    for name in ("rsample", "entropy", "enumerate_support"):
        with pytest.raises(NotImplementedError):
            getattr(bare, name)()
    with pytest.raises(NotImplementedError, match=r"Distribution defines neither sample\(\) nor rsample\(\)"):
        bare.sample()
    for name in ("log_prob", "cdf", "icdf", "expand"):
        with pytest.raises(NotImplementedError):
            getattr(bare, name)(fb.zeros(1))
    with pytest.warns(UserWarning, match="does not define `arg_constraints`"):
        D.Distribution()
    with pytest.warns(FutureWarning, match="sample_n"):
        assert D.Normal(0.0, 1.0).sample_n(3).shape == (3,)


class Triangular(D.Distribution):
    """User-defined distribution with a triangular density on [0, 2 width]."""

    arg_constraints = {"width": constraints.positive}  # noqa: RUF012
    has_rsample = True

    def __init__(self, width, validate_args=None):
        (self.width,) = utils.broadcast_all(width)
        super().__init__(self.width.shape, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self):
        return constraints.interval(0.0, 2 * self.width)

    def expand(self, batch_shape, _instance=None):
        new = self._get_checked_instance(Triangular, _instance)
        new.width = self.width.expand(batch_shape)
        super(Triangular, new).__init__(batch_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def rsample(self, sample_shape=()):
        return self.width * fb.rand((2, *self._extended_shape(sample_shape))).sum(0)

    @utils.lazy_property
    def log_width(self):
        return self.width.log()


def test_custom_distributions_inherit_the_protocol():
    distribution = Triangular(fb.ones(2))
    assert distribution.expand([3, 2]).sample((5,)).shape == (5, 3, 2)
    assert repr(distribution) == "Triangular(width: flambeau.Size([2]))"
    with pytest.raises(ValueError, match="parameter width"):
        Triangular(-1.0)
    with pytest.raises(ValueError, match="within the support"):
        distribution._validate_sample(fb.tensor([1.0, 3.0]))

    class Fixed(Triangular):
        def __init__(self):
            super().__init__(1.0)

    with pytest.raises(NotImplementedError, match="Subclass Fixed of Triangular that defines a custom __init__"):
        Fixed().expand((2,))


def test_a_lazy_property_first_read_under_no_grad_is_recorded():
    width = fb.tensor([2.0], requires_grad=True)
    distribution = Triangular(width)
    with fb.no_grad():
        assert distribution.log_width.requires_grad
    assert distribution.log_width is distribution.log_width
    (gradient,) = fb.autograd.grad(distribution.log_width.sum(), [width])
    assert gradient == 0.5


def test_vectors_convert_to_triangular_matrices_and_back():
    vector = fb.arange(1.0, 7.0)
    matrix = utils.vec_to_tril_matrix(vector)
    assert matrix.tolist() == [[1, 0, 0], [2, 3, 0], [4, 5, 6]]
    assert fb.equal(utils.tril_matrix_to_vec(matrix), vector)
    below = utils.vec_to_tril_matrix(vector.expand(2, 6), diag=-1)
    assert below.shape == (2, 4, 4) and below[1, 3].tolist() == [4, 5, 6, 0]
    assert fb.equal(utils.tril_matrix_to_vec(below, diag=-1), vector.expand(2, 6))
    with pytest.raises(ValueError, match=r"diag \(3\) provided is outside \[-3, 2\]"):
        utils.tril_matrix_to_vec(matrix, 3)
    np.testing.assert_allclose(utils.clamp_probs(fb.tensor([0.0, 1.0])).numpy(), [0, 1], atol=2e-7)


@pytest.mark.parametrize(
    ("create", "sample", "expected"),
    [
        (lambda x: D.Normal(x, x), 0.5, [st.norm(x, x).logpdf(0.5) for x in (0.2, 0.6)]),
        (lambda x: D.Geometric(x), 2.0, [st.geom(x, loc=-1).logpmf(2) for x in (0.2, 0.6)]),
        (lambda x: D.Binomial(fb.tensor(4), x), 2.0, [st.binom(4, x).logpmf(2) for x in (0.2, 0.6)]),
        (
            lambda x: D.MultivariateNormal(fb.zeros(2), EYE * x),
            [2.0, 1.0],
            [st.multivariate_normal([0, 0], np.eye(2) * x).logpdf([2, 1]) for x in (0.2, 0.6)],
        ),
    ],
)
def test_vmap_over_a_parameter_computes_log_prob_of_each_example(create, sample, expected):
    computed = vmap(lambda x: create(x).log_prob(fb.tensor(sample)))(fb.tensor([0.2, 0.6]))
    np.testing.assert_allclose(computed.numpy(), expected, rtol=1e-5)


def test_vmap_checks_the_parameters_and_the_sample_of_each_example():
    with pytest.raises(ValueError, match="Expected parameter scale"):
        vmap(lambda x: D.Normal(0.0, x))(fb.tensor([1.0, -1.0]))
    with pytest.raises(ValueError, match="Expected value argument"):
        vmap(lambda x: D.Exponential(1.0).log_prob(x))(fb.tensor([1.0, -1.0]))


def test_numpy_scalars_are_accepted_as_parameters():
    assert D.Normal(np.float32(1.0), np.int64(2)).scale == 2


def test_a_subclass_with_its_own_parameters_can_extend_expand():
    class Ranked(D.Categorical):
        arg_constraints: ClassVar = {"rank": constraints.real_vector}

        def __init__(self, rank):
            self.rank = rank
            super().__init__(rank.softmax(-1))

        def expand(self, batch_shape, _instance=None):
            new = self._get_checked_instance(Ranked, _instance)
            new.rank = self.rank.expand((*batch_shape, -1))
            return super().expand(batch_shape, new)

    expanded = Ranked(fb.zeros(3)).expand((2,))
    assert expanded.rank.shape == expanded.probs.shape == (2, 3)
