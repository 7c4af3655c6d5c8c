"""Neural operators: maps between functions."""

import torch
from neuralop import H1Loss, LpLoss
from neuralop.layers.spectral_convolution import SpectralConv
from neuralop.models import FNO

from tools.ecosystem.cases import fill, gradients, normal


def _filled(model):
    """Fill the parameters of a model, including complex ones, which `fill` does not change."""
    with torch.no_grad():
        for i, parameter in enumerate(fill(model).parameters()):
            if parameter.is_complex():
                parameter.copy_(
                    0.3 * torch.complex(normal(*parameter.shape, seed=i), normal(*parameter.shape, seed=50 + i))
                )
    return model


def _learned(model, x):
    output = _filled(model).eval()(x)
    output.square().sum().backward()
    return {"output": output, "gradients": gradients(model)}


def fourier():
    return {
        "line": _learned(
            FNO(n_modes=(6,), hidden_channels=8, in_channels=2, out_channels=1, n_layers=2), normal(2, 2, 16)
        ),
        "plane": _learned(
            FNO(n_modes=(6, 6), hidden_channels=8, in_channels=1, out_channels=1, n_layers=2), normal(2, 1, 12, 12)
        ),
    }


def layer_and_losses():
    x, y = normal(2, 1, 12, 12, seed=1), normal(2, 1, 12, 12, seed=2)
    return {
        "layer": _learned(SpectralConv(3, 4, n_modes=(6, 6)), normal(2, 3, 12, 12)),
        "lp": LpLoss(d=2, p=2)(x, y),
        "h1": H1Loss(d=2)(x, y),
    }


def training():
    model = _filled(FNO(n_modes=(6,), hidden_channels=8, in_channels=1, out_channels=1, n_layers=2))
    optimizer, losses = torch.optim.AdamW(model.parameters(), lr=1e-2), []
    for step in range(4):
        x = normal(4, 1, 16, seed=step)
        loss = LpLoss(d=1, p=2)(model(x), x.cumsum(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
