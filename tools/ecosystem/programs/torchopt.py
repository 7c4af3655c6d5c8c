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


def differentiable():
    """Differentiate the result of several steps with respect to the target of their losses."""
    results = {}
    for name in ("MetaAdam", "MetaSGD"):
        model, target = _model(), torch.tensor(1.5, requires_grad=True)
        optimizer = getattr(torchopt, name)(model, lr=1e-1)
        start = torchopt.extract_state_dict(model)
        for i in range(3):
            optimizer.step((model(normal(16, 4, seed=i)) - target).square().mean())
        loss = model(normal(16, 4, seed=3)).square().mean()
        results[name] = {"loss": loss, "gradient": torch.autograd.grad(loss, target)[0]}
        torchopt.recover_state_dict(model, start)
        results[name]["start"] = model.state_dict()
    return results
