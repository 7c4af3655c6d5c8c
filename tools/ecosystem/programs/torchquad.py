"""Torchquad: integrals over boxes, with gradients."""

import torch
import torchquad

from tools.ecosystem.cases import normal

TOLERANCE = 1e-3


def _wave(x):
    return torch.sin(x[:, 0]) + torch.exp(x[:, 1])


def rules():
    domain = torch.tensor([[0.0, 1.0], [-1.0, 1.0]])
    results = {}
    for name in ("Trapezoid", "Simpson", "Boole", "GaussLegendre"):
        results[name] = getattr(torchquad, name)().integrate(
            _wave, dim=2, N=441, integration_domain=domain, backend="torch"
        )
    return results


def gradients():
    domain = torch.tensor([[0.0, 1.0], [-1.0, 1.0]]).requires_grad_()
    integral = torchquad.Simpson().integrate(_wave, dim=2, N=441, integration_domain=domain)
    integral.backward()
    batched = torchquad.Trapezoid().integrate(
        lambda x: x[:, :1] * normal(1, 4), dim=1, N=101, integration_domain=[[0.0, 1.0]], backend="torch"
    )
    return {"integral": integral, "gradient": domain.grad, "batched": batched}


def sampled():
    close = torchquad.MonteCarlo().integrate(
        _wave, dim=2, N=20000, integration_domain=[[0, 1], [-1, 1]], seed=3, backend="torch"
    )
    adapted = torchquad.VEGAS().integrate(_wave, dim=2, N=20000, integration_domain=[[0, 1], [-1, 1]], seed=3)
    return {"close": bool(abs(close - 3.27) < 0.1), "adapted": bool(abs(adapted - 3.27) < 0.1)}
