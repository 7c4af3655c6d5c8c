"""Torchopt: optimizers as functions of a state."""

import torch
import torchopt

from tools.ecosystem.cases import fill, normal


def _model():
    return fill(torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)))


def optimizers():
    results = {}
    for name in ("Adam", "AdamW", "SGD", "RMSProp", "AdaGrad"):
        model = _model()
        optimizer = getattr(torchopt, name)(model.parameters(), lr=1e-2)
        for i in range(4):
            optimizer.zero_grad()
            model(normal(16, 4, seed=i)).square().mean().backward()
            optimizer.step()
        results[name] = model.state_dict()
    return results


def functional():
    model = _model()
    function, parameters = torch.func.functional_call, dict(model.named_parameters())
    optimizer = torchopt.chain(
        torchopt.clip.clip_grad_norm(1.0), torchopt.adam(lr=torchopt.schedule.linear_schedule(1e-1, 1e-2, 4, 0))
    )
    state = optimizer.init(parameters)
    for i in range(4):
        loss = function(model, parameters, normal(16, 4, seed=i)).square().mean()
        grads = dict(zip(parameters, torch.autograd.grad(loss, tuple(parameters.values())), strict=True))
        updates, state = optimizer.update(grads, state, inplace=False)
        parameters = torchopt.apply_updates(parameters, updates, inplace=False)
    return {"loss": loss, "parameters": parameters}
