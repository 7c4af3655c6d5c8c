"""Efficientnet_pytorch: the EfficientNet models."""

import torch
from efficientnet_pytorch import EfficientNet

from tools.ecosystem.cases import fill, gradients, normal


def _model(name="efficientnet-b0", **options):
    return fill(EfficientNet.from_name(name, num_classes=5, **options))


def scores():
    model = _model().eval()
    result = model(normal(2, 3, 64, 64))
    result.square().mean().backward()
    return {"scores": result, "lengths": torch.stack([value.double().norm() for value in gradients(model).values()])}


def features():
    model = _model(in_channels=1, include_top=False).eval()
    images = normal(1, 1, 64, 64)
    return {"top": model(images), "features": model.extract_features(images), **model.extract_endpoints(images)}


def training():
    model = _model(dropout_rate=0.0, drop_connect_rate=0.0).double()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-4)
    for _ in range(2):
        optimizer.zero_grad()
        loss = model(normal(4, 3, 32, 32).double()).square().mean()
        loss.backward()
        optimizer.step()
    return loss
