"""Zuko: normalizing flows."""

import torch
import zuko

from tools.ecosystem.cases import fill, gradients, normal, uniform


def _density(flow, x, *context):
    fill(flow)
    log_prob = flow(*context).log_prob(x)
    log_prob.mean().backward()
    return {"log_prob": log_prob, "gradients": gradients(flow)}


def autoregressive():
    x, context = normal(16, 3, seed=1), normal(16, 2, seed=2)
    return {
        "maf": _density(zuko.flows.MAF(3, 2, transforms=2, hidden_features=(16, 16)), x, context),
        "nsf": _density(zuko.flows.NSF(3, 2, bins=4, transforms=2, hidden_features=(16,)), x, context),
        "without context": _density(zuko.flows.MAF(3, transforms=2, hidden_features=(16,)), x),
        "randperm": _density(zuko.flows.MAF(3, transforms=2, passes=2, hidden_features=(16,)), x),
    }


def couplings():
    x, context = normal(16, 4, seed=1), normal(16, 2, seed=2)
    return {
        "nice": _density(zuko.flows.NICE(4, 2, transforms=2, hidden_features=(16,)), x, context),
        "realnvp": _density(zuko.flows.RealNVP(4, 2, transforms=2, hidden_features=(16,)), x, context),
        "ncsf": _density(zuko.flows.NCSF(4, 2, transforms=2, hidden_features=(16,)), 0.5 * x, context),
    }


def others():
    x = 0.3 * normal(16, 3, seed=1)
    return {
        "sospf": _density(zuko.flows.SOSPF(3, transforms=2, degree=2, hidden_features=(16,)), x),
        "naf": _density(zuko.flows.NAF(3, transforms=1, signal=4, network={"hidden_features": (8,)}), x),
        "unaf": _density(zuko.flows.UNAF(3, transforms=1, signal=4, network={"hidden_features": (8,)}), x),
        "gf": _density(zuko.flows.GF(3, transforms=2, components=4), x),
        "bpf": _density(zuko.flows.BPF(3, transforms=1, degree=4, hidden_features=(8,)), x),
        "mixture": _density(zuko.mixtures.GMM(3, components=2), x),
    }


def there_and_back():
    flow = fill(zuko.flows.NSF(3, transforms=2, bins=4, hidden_features=(16,)))
    transform = flow().transform
    x = normal(8, 3, seed=3)
    z, ladj = transform.call_and_ladj(x)
    return {"z": z, "ladj": ladj, "x": transform.inv(z), "text": str(transform)[:40]}


def distributions_and_transforms():
    x = uniform(10, 2, seed=4)
    return {
        "box": zuko.distributions.BoxUniform(torch.zeros(2), torch.ones(2)).log_prob(x),
        "diagonal": zuko.distributions.DiagNormal(torch.zeros(2), 2 * torch.ones(2)).log_prob(x),
        "mixture": zuko.distributions.Mixture(
            zuko.distributions.DiagNormal(normal(3, 2, seed=5), torch.ones(3, 2)), normal(3, seed=6)
        ).log_prob(x[:, None, :].squeeze(1)),
        "sort": zuko.distributions.Sort(
            zuko.distributions.DiagNormal(torch.zeros(2), torch.ones(2)).base, n=1, dim=-1
        ).log_prob(x.sort(-1)[0])
        if False
        else None,
        "spline": zuko.transforms.MonotonicRQSTransform(normal(4, seed=7), normal(4, seed=8), normal(3, seed=9))(x),
        "softclip": zuko.transforms.SoftclipTransform(bound=5.0)(10 * x),
        "free": zuko.transforms.FreeFormJacobianTransform(
            lambda t, x: torch.sin(x) * t, torch.tensor(0.0), torch.tensor(1.0)
        )(x),
    }


def continuous():
    # In float32, rounding errors would decide which steps the adaptive solver takes.
    flow = fill(zuko.flows.CNF(2, hidden_features=(16,))).double()
    x = 0.5 * normal(6, 2, seed=10).double()
    log_prob = flow().log_prob(x)
    log_prob.sum().backward()
    return {"log_prob": log_prob, "gradients": gradients(flow)}


def training():
    flow = fill(zuko.flows.MAF(2, 1, transforms=2, hidden_features=(16, 16)))
    optimizer, losses = torch.optim.Adam(flow.parameters(), lr=1e-2), []
    for step in range(5):
        x = normal(32, 2, seed=step)
        loss = -flow(x[:, :1].abs()).log_prob(x).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
