"""Distributions as in inner loops of reinforcement learning: construction, sampling, log-probabilities, validation."""

from __future__ import annotations

from importlib import import_module

from ..workload import Code, Library, Workload

DISTRIBUTIONS = "distributions"


def case(name: str, statement: str, *, compare: bool = False) -> Workload:
    """Return a workload that runs ``statement`` on small random tensors, such as parameters ``m`` of 6 numbers."""

    def prepare(library: Library) -> Code:
        names = {
            "D": import_module(f"{library.name}.distributions"),
            "m": library.normal(6),
            "s": library.positive(6),
            "l": library.normal(6),
            "L": library.normal(32, 6),
            "x": library.normal(6),
            "k": library.integers(6),
            "g": library.normal(6).requires_grad_(),
        }
        return Code(statement, names, compare=compare)

    return Workload(DISTRIBUTIONS, name, prepare, at_most=0.35)


ROWS = (
    case("Normal(m, s).log_prob(x)", "D.Normal(m, s).log_prob(x)", compare=True),
    case("Normal, draw and log_prob", "d = D.Normal(m, s); a = d.sample(); d.log_prob(a)"),
    case("Normal, backward of log_prob", "D.Normal(g, s).log_prob(x).sum().backward()"),
    case("Independent, rsample and log_prob", "d = D.Independent(D.Normal(m, s), 1); a = d.rsample(); d.log_prob(a)"),
    case(
        "tanh of Normal, rsample and log_prob",
        "d = D.TransformedDistribution(D.Normal(m, s), [D.TanhTransform(cache_size=1)]); d.log_prob(d.rsample())",
    ),
    case("Categorical(logits=l).log_prob(k)", "D.Categorical(logits=l).log_prob(k)", compare=True),
    case("Categorical, draw, log_prob, entropy", "d = D.Categorical(logits=l); d.log_prob(d.sample()); d.entropy()"),
    case("32 Categoricals, the same", "d = D.Categorical(logits=L); d.log_prob(d.sample()); d.entropy()"),
    case("Bernoulli, draw and log_prob", "d = D.Bernoulli(logits=l); d.log_prob(d.sample())"),
    case("Beta, rsample and log_prob", "d = D.Beta(s, s); d.log_prob(d.rsample())"),
    case("Gamma, rsample and log_prob", "d = D.Gamma(s, s); d.log_prob(d.rsample())"),
    case("kl_divergence of Normals", "D.kl_divergence(D.Normal(m, s), D.Normal(x, s))", compare=True),
)
