"""Probability distributions: sampling, densities, and gradients through both.

A distribution has a ``batch_shape`` (independent distributions that need not be identical) and an ``event_shape`` (the
shape of one draw). ``sample(s)`` has the shape ``s + batch_shape + event_shape``; ``log_prob`` reduces the event
dimensions. ``rsample`` is differentiable in the parameters if ``has_rsample`` is true. The score function
``log_prob(x).backward()`` works for all distributions.

In the formulas for ``rsample``, ``u`` is a uniform variable on (0, 1), and ``epsilon`` is a variable with the standard
parameters, for example a standard normal variable.

Each distribution is one module, which is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from flambeau import _public_names, _suggestions

from .distribution import Distribution

if TYPE_CHECKING:
    from . import constraints as constraints, transforms as transforms
    from .bernoulli import *
    from .beta import *
    from .binomial import *
    from .categorical import *
    from .cauchy import *
    from .chi2 import *
    from .constraint_registry import *
    from .continuous_bernoulli import *
    from .dirichlet import *
    from .exp_family import *
    from .exponential import *
    from .fishersnedecor import *
    from .gamma import *
    from .generalized_pareto import *
    from .geometric import *
    from .gumbel import *
    from .half_cauchy import *
    from .half_normal import *
    from .independent import *
    from .inverse_gamma import *
    from .kl import *
    from .kumaraswamy import *
    from .laplace import *
    from .lkj_cholesky import *
    from .log_normal import *
    from .logistic import *
    from .logistic_normal import *
    from .lowrank_multivariate_normal import *
    from .mixture_same_family import *
    from .multinomial import *
    from .multivariate_normal import *
    from .negative_binomial import *
    from .normal import *
    from .one_hot_categorical import *
    from .pareto import *
    from .poisson import *
    from .relaxed_bernoulli import *
    from .relaxed_categorical import *
    from .studentT import *
    from .transformed_distribution import *
    from .transforms import *
    from .uniform import *
    from .von_mises import *
    from .weibull import *
    from .wishart import *

_SUBMODULES = ("constraints", "distribution", "utils")

# For each module, the public names that it defines.
_NAMES = {
    "bernoulli": "Bernoulli",
    "beta": "Beta",
    "binomial": "Binomial",
    "categorical": "Categorical",
    "cauchy": "Cauchy",
    "chi2": "Chi2",
    "constraint_registry": "biject_to transform_to",
    "continuous_bernoulli": "ContinuousBernoulli",
    "dirichlet": "Dirichlet",
    "exp_family": "ExponentialFamily",
    "exponential": "Exponential",
    "fishersnedecor": "FisherSnedecor",
    "gamma": "Gamma",
    "generalized_pareto": "GeneralizedPareto",
    "geometric": "Geometric",
    "gumbel": "Gumbel",
    "half_cauchy": "HalfCauchy",
    "half_normal": "HalfNormal",
    "independent": "Independent",
    "inverse_gamma": "InverseGamma",
    "kl": "kl_divergence register_kl",
    "kumaraswamy": "Kumaraswamy",
    "laplace": "Laplace",
    "lkj_cholesky": "LKJCholesky",
    "log_normal": "LogNormal",
    "logistic": "Logistic",
    "logistic_normal": "LogisticNormal",
    "lowrank_multivariate_normal": "LowRankMultivariateNormal",
    "mixture_same_family": "MixtureSameFamily",
    "multinomial": "Multinomial",
    "multivariate_normal": "MultivariateNormal",
    "negative_binomial": "NegativeBinomial",
    "normal": "Normal",
    "one_hot_categorical": "OneHotCategorical OneHotCategoricalStraightThrough",
    "pareto": "Pareto",
    "poisson": "Poisson",
    "relaxed_bernoulli": "RelaxedBernoulli",
    "relaxed_categorical": "RelaxedOneHotCategorical",
    "studentT": "StudentT",
    "transformed_distribution": "TransformedDistribution",
    "transforms": """
        AbsTransform AffineTransform CatTransform ComposeTransform CorrCholeskyTransform
        CumulativeDistributionTransform ExpTransform IndependentTransform LowerCholeskyTransform
        PositiveDefiniteTransform PowerTransform ReshapeTransform SigmoidTransform SoftmaxTransform SoftplusTransform
        StackTransform StickBreakingTransform TanhTransform Transform identity_transform""",
    "uniform": "Uniform",
    "von_mises": "VonMises",
    "weibull": "Weibull",
    "wishart": "Wishart",
}
_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = ["Distribution", *_HOME]


if not TYPE_CHECKING:  # type checkers do not see __getattr__, so that they report names that do not exist

    def __getattr__(name: str) -> Any:
        if name in _HOME:
            value = globals()[name] = getattr(import_module(f".{_HOME[name]}", __name__), name)
            return value
        if name in _NAMES or name in _SUBMODULES:
            return import_module(f".{name}", __name__)
        raise _suggestions.unknown_attribute(__name__, name)


def __dir__() -> list[str]:
    return _public_names.public_names(globals(), (*__all__, *_NAMES, *_SUBMODULES))
