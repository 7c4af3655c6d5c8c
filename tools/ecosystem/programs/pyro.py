"""Pyro: probabilistic programs. Samples differ between frameworks: densities, traces and guides are compared."""

import pyro
import pyro.distributions as dist
import pyro.distributions.transforms as flows
import torch
from pyro import poutine
from pyro.infer import (
    HMC,
    MCMC,
    NUTS,
    SVI,
    Predictive,
    Trace_ELBO,
    TraceEnum_ELBO,
    TraceMeanField_ELBO,
    config_enumerate,
)
from pyro.infer.autoguide import AutoDelta, AutoLaplaceApproximation, AutoNormal

from tools.ecosystem.cases import fill, normal, uniform


def _regression(x, y=None):
    weight = pyro.sample("weight", dist.Normal(torch.zeros(2), 1.0).to_event(1))
    bias = pyro.sample("bias", dist.Normal(0.0, 2.0))
    scale = pyro.sample("scale", dist.HalfCauchy(1.0))
    with pyro.plate("data", len(x)):
        return pyro.sample("y", dist.Normal(x @ weight + bias, scale), obs=y)


def _data():
    x = normal(20, 2, seed=1)
    return x, x @ torch.tensor([1.0, -2.0]) + 0.5 + 0.1 * normal(20, seed=2)


def traces():
    values = {"weight": torch.tensor([0.5, -1.0]), "bias": torch.tensor(0.2), "scale": torch.tensor(0.7)}
    trace = poutine.trace(poutine.condition(_regression, values)).get_trace(*_data())
    trace.compute_log_prob()
    return {
        "log_prob": trace.log_prob_sum(),
        "sites": {name: site["log_prob"] for name, site in trace.nodes.items() if site["type"] == "sample"},
        "shapes": trace.format_shapes(),
    }


def point_estimate():
    pyro.clear_param_store()
    x, y = _data()
    guide = AutoDelta(_regression, init_loc_fn=lambda site: torch.ones(site["fn"].shape()))
    svi = SVI(_regression, guide, pyro.optim.Adam({"lr": 0.05}), Trace_ELBO())
    losses = [svi.step(x, y) for _ in range(8)]
    return {"losses": losses, "state": guide.median()}


def divergence_in_closed_form():
    pyro.clear_param_store()

    def model(y):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        pyro.sample("y", dist.Normal(0.0, 1.0).expand([len(y)]).to_event(1), obs=y)
        return z

    def guide(y):
        location = pyro.param("location", torch.tensor(0.3))
        scale = pyro.param("scale", torch.tensor(0.5), constraint=dist.constraints.positive)
        pyro.sample("z", dist.Normal(location, scale))

    svi = SVI(model, guide, pyro.optim.ClippedAdam({"lr": 0.1}), TraceMeanField_ELBO())
    losses = [svi.step(normal(4, seed=3)) for _ in range(6)]
    return {"losses": losses, "parameters": dict(pyro.get_param_store().items())}


def enumeration():
    pyro.clear_param_store()

    @config_enumerate
    def model(data):
        weights = pyro.param("weights", torch.tensor([0.3, 0.7]), constraint=dist.constraints.simplex)
        centres = pyro.param("centres", torch.tensor([-1.0, 1.0]))
        with pyro.plate("data", len(data)):
            kind = pyro.sample("kind", dist.Categorical(weights))
            pyro.sample("x", dist.Normal(centres[kind], 0.5), obs=data)

    svi = SVI(model, lambda data: None, pyro.optim.Adam({"lr": 0.05}), TraceEnum_ELBO(max_plate_nesting=1))
    losses = [svi.step(normal(12, seed=4)) for _ in range(5)]
    store = pyro.get_param_store()
    return {"losses": losses, "weights": store["weights"], "centres": store["centres"]}


def hidden_markov():
    start, moves = normal(3, seed=1).log_softmax(-1), normal(3, 3, seed=2).log_softmax(-1)
    chain = dist.DiscreteHMM(start, moves, dist.Normal(torch.tensor([-1.0, 0.0, 1.0]), 0.5), duration=6)
    linear = dist.GaussianHMM(
        dist.MultivariateNormal(torch.zeros(2), torch.eye(2)),
        0.5 * torch.eye(2),
        dist.MultivariateNormal(torch.zeros(2), 0.1 * torch.eye(2)),
        normal(2, 1, seed=5),
        dist.Normal(torch.zeros(1), 1.0).to_event(1),
        duration=5,
    )
    return {"discrete": chain.log_prob(normal(6, seed=3)), "gaussian": linear.log_prob(normal(5, 1, seed=4))}


def densities():
    x, positive = normal(5, seed=1), uniform(5, seed=2) + 0.1
    return {
        "asymmetric": dist.AsymmetricLaplace(0.0, 1.0, 2.0).log_prob(x),
        "beta binomial": dist.BetaBinomial(2.0, 3.0, 10).log_prob(torch.arange(5.0)),
        "gamma poisson": dist.GammaPoisson(2.0, 3.0).log_prob(torch.arange(5.0)),
        "inverse gamma": dist.InverseGamma(2.0, 1.0).log_prob(positive),
        "lkj": dist.LKJCholesky(3, 2.0).log_prob(torch.linalg.cholesky(0.8 * torch.eye(3) + 0.2)),
        "mixture": dist.MaskedMixture(x > 0, dist.Normal(0.0, 1.0), dist.Normal(1.0, 1.0)).log_prob(x),
        "zero inflated": dist.ZeroInflatedPoisson(torch.tensor(2.0), gate=torch.tensor(0.3)).log_prob(
            torch.arange(5.0)
        ),
        "ordered": dist.OrderedLogistic(torch.tensor(0.3), torch.tensor([-1.0, 0.5])).log_prob(torch.arange(3)),
        "student": dist.MultivariateStudentT(3.0, torch.zeros(2), torch.eye(2)).log_prob(normal(4, 2, seed=3)),
        "stable": dist.SkewLogistic(torch.tensor(0.0), torch.tensor(1.0), torch.tensor(2.0)).log_prob(x),
        "truncated": dist.TruncatedPolyaGamma(positive).log_prob(positive),
        "sphere": dist.ProjectedNormal(torch.tensor([1.0, 0.5, 0.2])).log_prob(
            torch.nn.functional.normalize(normal(4, 3, seed=5), dim=-1)
        ),
        "divergence": torch.distributions.kl_divergence(
            dist.Normal(0.0, 1.0).expand([3]).to_event(1), dist.Normal(1.0, 2.0).expand([3]).to_event(1)
        ),
        "masked": dist.Normal(0.0, 1.0).expand([5]).mask(x > 0).log_prob(x),
    }


def flows_of_distributions():
    base = dist.Normal(torch.zeros(3), torch.ones(3)).to_event(1)
    results = {}
    for name, transform in {
        "planar": flows.Planar(3),
        "radial": flows.Radial(3),
        "affine": flows.AffineAutoregressive(pyro.nn.AutoRegressiveNN(3, [8], permutation=torch.arange(3))),
        "spline": fill(flows.spline_coupling(3, hidden_dims=[8], count_bins=4)),
        "householder": flows.Householder(3, count_transforms=2),
        "sylvester": flows.Sylvester(3, count_transforms=2),
    }.items():
        if isinstance(transform, torch.nn.Module):
            with torch.no_grad():
                for i, parameter in enumerate(transform.parameters()):
                    parameter.copy_(0.1 * normal(*parameter.shape, seed=i))
        x = normal(4, 3, seed=8)
        y = transform(x)
        results[name] = {"y": y, "determinant": transform.log_abs_det_jacobian(x, y)}
    moved = dist.TransformedDistribution(base, [fill(flows.affine_coupling(3, hidden_dims=[8]))])
    results["density"] = moved.log_prob(normal(4, 3, seed=9))
    return results


def modules():
    pyro.clear_param_store()
    model = pyro.nn.PyroModule[torch.nn.Linear](2, 1)
    model.weight = pyro.nn.PyroSample(dist.Normal(0.0, 1.0).expand([1, 2]).to_event(2))
    with torch.no_grad():
        model.bias.fill_(0.25)
    trace = poutine.trace(poutine.condition(model, {"weight": torch.tensor([[1.0, -1.0]])})).get_trace(
        normal(3, 2, seed=1)
    )
    return {"output": trace.nodes["_RETURN"]["value"], "log_prob": trace.log_prob_sum(), "names": sorted(trace.nodes)}


def laplace():
    pyro.clear_param_store()
    x, y = _data()

    def model(x, y):
        weight = pyro.sample("weight", dist.Normal(torch.zeros(2), 1.0).to_event(1))
        pyro.sample("y", dist.Normal(x @ weight, 0.5).to_event(1), obs=y)

    guide = AutoLaplaceApproximation(model, init_loc_fn=lambda site: torch.zeros(site["fn"].shape()))
    svi = SVI(model, guide, pyro.optim.Adam({"lr": 0.1}), Trace_ELBO())
    for _ in range(20):
        svi.step(x, y)
    gaussian = guide.laplace_approximation(x, y)
    return {"location": gaussian.loc, "scale": gaussian.scale_tril}


def _sampled(kernel):
    pyro.clear_param_store()
    pyro.set_rng_seed(0)

    def model(y):
        location = pyro.sample("location", dist.Normal(0.0, 10.0))
        pyro.sample("y", dist.Normal(location, 1.0).expand([len(y)]).to_event(1), obs=y)

    y = 3 + 0.5 * normal(50, seed=6)
    chain = MCMC(kernel(model), num_samples=60, warmup_steps=40, disable_progbar=True)
    chain.run(y)
    drawn = chain.get_samples()["location"]
    # The posterior is a normal distribution with the standard deviation 0.14 around the mean of y.
    return {
        "count": len(drawn),
        "mean": bool((drawn.mean() - y.mean()).abs() < 0.15),
        "spread": bool(0.07 < drawn.std() < 0.28),
    }


def nuts():
    return _sampled(lambda model: NUTS(model))


def hamiltonian():
    return _sampled(lambda model: HMC(model, step_size=0.1, num_steps=4))


def prediction():
    pyro.clear_param_store()
    x, y = _data()
    samples = {"weight": normal(5, 1, 2, seed=1), "bias": normal(5, 1, seed=2), "scale": uniform(5, 1, seed=3) + 0.1}
    guide = AutoNormal(_regression, init_loc_fn=lambda site: torch.ones(site["fn"].shape()))
    guide(x, y)
    predicted = Predictive(
        poutine.uncondition(_regression), {name: value.squeeze(1) for name, value in samples.items()}
    )(x)
    return {"shape": str(tuple(predicted["y"].shape)), "quantiles": guide.quantiles([0.25, 0.75])}
