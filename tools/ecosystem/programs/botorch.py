"""BoTorch: Bayesian optimisation."""

import botorch
import torch
from botorch import acquisition
from botorch.models import ModelListGP, SingleTaskGP
from botorch.sampling import SobolQMCNormalSampler  # noqa: F401

from tools.ecosystem.cases import normal, uniform


def _model(outputs=1):
    x = uniform(12, 2, seed=1).double()
    y = torch.stack([(4 * x).sin().sum(-1) + i * x[:, 0] for i in range(outputs)], -1)
    model = SingleTaskGP(x, y)
    return model, x, y


def acquisitions():
    model, _, y = _model()
    points = uniform(5, 1, 2, seed=2).double().requires_grad_()
    best = y.max()
    functions = {
        "expected improvement": acquisition.ExpectedImprovement(model, best),
        "its logarithm": acquisition.LogExpectedImprovement(model, best),
        "probability of improvement": acquisition.ProbabilityOfImprovement(model, best),
        "upper bound": acquisition.UpperConfidenceBound(model, beta=0.2),
        "mean": acquisition.PosteriorMean(model),
        "deviation": acquisition.PosteriorStandardDeviation(model),
        "noisy": acquisition.qUpperConfidenceBound(model, beta=0.2, sampler=_Fixed()),
        "monte carlo": acquisition.qExpectedImprovement(model, best, sampler=_Fixed()),
        "log monte carlo": acquisition.qLogExpectedImprovement(model, best, sampler=_Fixed()),
    }
    results = {}
    for name, function in functions.items():
        value = function(points)
        results[name] = [value, *torch.autograd.grad(value.sum(), points)]
    return results


class _Fixed(botorch.sampling.base.MCSampler):
    """Sampler with base samples that are the same on both frameworks."""

    def __init__(self):
        super().__init__(sample_shape=torch.Size([16]))

    def forward(self, posterior):
        shape = self._get_extended_base_sample_shape(posterior)
        return posterior.rsample_from_base_samples(self.sample_shape, normal(*shape, seed=7).double())


def fitting():
    model = _model()[0]
    likelihood = botorch.fit.ExactMarginalLogLikelihood(model.likelihood, model)
    botorch.fit_gpytorch_mll(likelihood, optimizer_kwargs={"options": {"maxiter": 30}})
    posterior = model.posterior(uniform(4, 2, seed=3).double())
    return {"mean": posterior.mean, "variance": posterior.variance}


def optimisation():
    model = _model()[0]
    starts = uniform(3, 1, 2, seed=4).double()
    bounds = torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    candidate, value = botorch.optim.optimize_acqf(
        acquisition.UpperConfidenceBound(model, beta=0.5),
        bounds=bounds,
        q=1,
        num_restarts=3,
        batch_initial_conditions=starts,
    )
    return {"candidate": candidate, "value": value}


def several_outcomes():
    model, x, y = _model(2)
    points = uniform(4, 2, seed=5).double()
    posterior = model.posterior(points)
    pareto = botorch.utils.multi_objective.is_non_dominated(y)
    volume = botorch.utils.multi_objective.Hypervolume(torch.zeros(2, dtype=torch.float64) - 2).compute(y[pareto])
    boxes = botorch.utils.multi_objective.box_decompositions.NondominatedPartitioning(
        ref_point=torch.zeros(2, dtype=torch.float64) - 2, Y=y
    )
    improvement = acquisition.multi_objective.qExpectedHypervolumeImprovement(
        model, ref_point=[-2.0, -2.0], partitioning=boxes, sampler=_Fixed()
    )
    pair = ModelListGP(*(SingleTaskGP(x, y[:, i : i + 1]) for i in range(2)))
    return {
        "mean": posterior.mean,
        "variance": posterior.variance,
        "pareto": pareto,
        "volume": volume,
        "improvement": improvement(points.unsqueeze(1)),
        "list": pair.posterior(points).mean,
    }


def test_problems_and_sampling():
    branin = botorch.test_functions.Branin()
    points = uniform(6, 2, seed=6).double()
    model, x, y = _model()
    fantasies = model.fantasize(points[:1], sampler=_Fixed())
    return {
        "branin": branin(15 * points - 5),
        "hartmann": botorch.test_functions.Hartmann(dim=6)(uniform(4, 6, seed=7).double()),
        "normalised": botorch.utils.transforms.normalize(points, torch.stack([points.min(0)[0], points.max(0)[0]])),
        "standardised": botorch.utils.transforms.standardize(y),
        "fantasies": fantasies.posterior(points).mean,
        "left out": botorch.cross_validation.gen_loo_cv_folds(x, y).train_X.shape[0],
    }
