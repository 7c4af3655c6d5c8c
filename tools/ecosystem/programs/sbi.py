"""sbi: posteriors of simulators, from networks that learn densities."""

import torch
from sbi.neural_nets import posterior_nn
from sbi.utils import BoxUniform, process_prior

from tools.ecosystem.cases import fill, gradients, normal, uniform


def _estimator(model, **options):
    theta, x = normal(40, 2, seed=1), normal(40, 3, seed=2)
    density = fill(posterior_nn(model, hidden_features=16, num_transforms=2, **options)(theta, x)).eval()
    for name, buffer in density.named_buffers():
        if name.endswith("_permutation"):  # the fixed order replaces a random permutation
            buffer.copy_(torch.arange(len(buffer)).flip(0))
    loss = density.loss(theta, x)
    loss.mean().backward()
    return {"log_prob": density.log_prob(theta[:5].unsqueeze(0), x[:5]), "loss": loss, "gradients": gradients(density)}


def flows():
    return {model: _estimator(model) for model in ("maf", "nsf", "zuko_maf", "zuko_nsf")}


def mixtures():
    return _estimator("mdn", num_components=3)


def priors():
    prior = process_prior(BoxUniform(torch.zeros(2), 2 * torch.ones(2)))[0]
    return prior.log_prob(uniform(5, 2, seed=3))
