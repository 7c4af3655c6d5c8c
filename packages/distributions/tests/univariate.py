"""Table of univariate distributions and their equivalents in SciPy. A new row adds a distribution to the tests."""

import numpy as np
import scipy.stats as st

import flambeau as fb
from flambeau import distributions as D

A, B, C = np.array([0.6, 2.0, 7.5]), np.array([1.5, 0.7, 3.0]), np.array([-1.0, 0.3, 2.0])
P = np.array([0.15, 0.5, 0.85])

# By name: the parameters, and a function from these parameters to SciPy's distribution.
CONTINUOUS = {
    "Beta": ((A, B), st.beta),
    "Cauchy": ((C, B), st.cauchy),
    "Chi2": ((A,), st.chi2),
    "Exponential": ((A,), lambda rate: st.expon(scale=1 / rate)),
    "FisherSnedecor": ((A + 2, B + 4), st.f),
    "Gamma": ((A, B), lambda a, rate: st.gamma(a, scale=1 / rate)),
    "GeneralizedPareto": ((C, B, np.array([0.2, 0.0, -0.4])), lambda loc, scale, k: st.genpareto(k, loc, scale)),
    "Gumbel": ((C, B), st.gumbel_r),
    "HalfCauchy": ((B,), lambda scale: st.halfcauchy(scale=scale)),
    "HalfNormal": ((B,), lambda scale: st.halfnorm(scale=scale)),
    "InverseGamma": ((A + 2, B), lambda a, rate: st.invgamma(a, scale=rate)),
    "Laplace": ((C, B), st.laplace),
    "Logistic": ((C, B), st.logistic),
    "LogNormal": ((C, B), lambda loc, scale: st.lognorm(scale, scale=np.exp(loc))),
    "Normal": ((C, B), st.norm),
    "Pareto": ((B, A + 2), lambda scale, alpha: st.pareto(alpha, scale=scale)),
    "StudentT": ((A + 2, C, B), st.t),
    "Uniform": ((C, C + B), lambda low, high: st.uniform(low, high - low)),
    "VonMises": ((C, B), lambda loc, concentration: st.vonmises(concentration, loc)),
    "Weibull": ((A, B), lambda scale, k: st.weibull_min(k, scale=scale)),
}
DISCRETE = {
    "Bernoulli": ((P,), st.bernoulli),
    "Binomial": ((9, P), st.binom),
    "Geometric": ((P,), lambda p: st.geom(p, loc=-1)),
    "NegativeBinomial": ((A, P), lambda count, p: st.nbinom(count, 1 - p)),
    "Poisson": ((A,), st.poisson),
}
UNIVARIATE = CONTINUOUS | DISCRETE


def make(name, dtype=fb.float64):
    """Create the distribution of a row, with batch shape (3,)."""
    parameters, _ = UNIVARIATE[name]
    return getattr(D, name)(*(fb.tensor(p, dtype=dtype) if isinstance(p, np.ndarray) else p for p in parameters))
