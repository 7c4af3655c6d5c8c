"""Laplace-torch: posteriors over the weights of trained networks."""

import torch
from laplace import Laplace
from torch.utils.data import DataLoader, TensorDataset

from tools.ecosystem.cases import fill, integers, normal

TOLERANCE = 2e-3


def _model(outputs):
    return fill(torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.Tanh(), torch.nn.Linear(6, outputs)))


def regression():
    loader = DataLoader(TensorDataset(normal(20, 4), normal(20, 1, seed=1)), batch_size=10)
    results = {}
    for weights, structure in (("all", "full"), ("all", "kron"), ("all", "diag"), ("last_layer", "kron")):
        posterior = Laplace(_model(1), "regression", subset_of_weights=weights, hessian_structure=structure)
        posterior.fit(loader)
        mean, variance = posterior(normal(3, 4, seed=2))
        evidence = posterior.log_marginal_likelihood(torch.tensor(2.0), torch.tensor(0.5))
        results[f"{weights}_{structure}"] = {"mean": mean, "variance": variance, "evidence": evidence}
    return results


def classification():
    loader = DataLoader(TensorDataset(normal(20, 4), integers(3, 20)), batch_size=10)
    posterior = Laplace(_model(3), "classification", subset_of_weights="last_layer", hessian_structure="full")
    posterior.fit(loader)
    posterior.optimize_prior_precision(method="marglik", n_steps=5, lr=0.1)
    return {
        "probit": posterior(normal(3, 4, seed=2), link_approx="probit"),
        "bridge": posterior(normal(3, 4, seed=2), link_approx="bridge"),
        "precision": posterior.prior_precision,
    }
