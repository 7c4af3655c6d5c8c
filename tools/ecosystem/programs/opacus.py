"""Opacus: per-sample gradients, and differentially private training steps."""

import warnings

import opacus
import torch
from opacus import GradSampleModule, PrivacyEngine
from opacus.accountants import RDPAccountant
from opacus.layers import DPGRU, DPLSTM, DPMultiheadAttention
from opacus.optimizers import DPOptimizer
from opacus.validators import ModuleValidator
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from tools.ecosystem.cases import fill, integers, normal


def _of_samples(model, loss):
    model = GradSampleModule(fill(model))
    loss(model).backward()
    return {name: parameter.grad_sample for name, parameter in model.named_parameters()}


def layers():
    images, points, words = normal(3, 4, 8, 8), normal(3, 6), integers(10, 3, 5)

    def squares(x):
        return lambda model: (model(x) - 0.5).pow(3).mean(0).sum()

    return {
        "linear": _of_samples(nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2)), squares(points)),
        "convolution": _of_samples(
            nn.Sequential(nn.Conv2d(4, 6, 3, padding=1, stride=2, groups=2), nn.GroupNorm(2, 6)), squares(images)
        ),
        "lines": _of_samples(nn.Conv1d(4, 3, 3), squares(images[..., 0])),
        "norms": _of_samples(nn.Sequential(nn.LayerNorm(8), nn.InstanceNorm2d(4, affine=True)), squares(images)),
        "words": _of_samples(nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 2)), squares(words)),
    }


def recurrent_layers():
    sequences = normal(2, 5, 3)
    return {
        kind.__name__: _of_samples(
            kind(3, 4, batch_first=True), lambda model: model(sequences)[0].square().mean(0).sum()
        )
        for kind in (DPLSTM, DPGRU)
    }


def attention():
    x = normal(5, 2, 8)
    model = GradSampleModule(fill(DPMultiheadAttention(8, 2)), batch_first=False)
    model(x, x, x)[0].square().sum().backward()
    # A bias of keys does not change the result of attention, so its gradient is zero up to rounding.
    parameters = [(name, parameter) for name, parameter in model.named_parameters() if "klinear.bias" not in name]
    return {name: parameter.grad_sample for name, parameter in parameters}


def other_ways_to_gradients_of_samples():
    x, y = normal(4, 6), integers(3, 4)
    results = {}
    for mode in ("hooks", "functorch"):
        net = fill(nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)))
        wrapped = opacus.grad_sample.wrap_model(net, grad_sample_mode=mode)
        nn.functional.cross_entropy(wrapped(x), y).backward()
        results[mode] = [parameter.grad_sample for parameter in wrapped.parameters()]
    return results


def steps_without_noise():
    model = GradSampleModule(fill(nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))))
    inner = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    optimizer = DPOptimizer(inner, noise_multiplier=0.0, max_grad_norm=0.3, expected_batch_size=8)
    losses = []
    for step in range(4):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(normal(8, 6, seed=step)), integers(3, 8, seed=step))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return {"losses": losses, "parameters": model.state_dict()}


def the_engine():
    torch.manual_seed(0)
    net = ModuleValidator.fix(nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(288, 2)))
    loader = DataLoader(TensorDataset(normal(32, 1, 8, 8), integers(2, 32)), batch_size=8)
    engine = PrivacyEngine(accountant="rdp")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model, optimizer, private = engine.make_private(
            module=fill(net),
            optimizer=torch.optim.Adam(net.parameters()),
            data_loader=loader,
            noise_multiplier=1.1,
            max_grad_norm=1.0,
        )
        for x, y in private:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
        spent = engine.get_epsilon(delta=1e-5)
    finite = all(bool(parameter.isfinite().all()) for parameter in model.parameters())
    return {
        "layers": [type(layer).__name__ for layer in net],
        "spent": spent,
        "finite": finite,
        "batches": len(private),
    }


def accounting():
    accountant = RDPAccountant()
    for _ in range(100):
        accountant.step(noise_multiplier=1.1, sample_rate=0.01)
    return accountant.get_epsilon(delta=1e-5)
