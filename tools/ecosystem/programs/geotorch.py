"""GeoTorch: parameters that stay on manifolds."""

import geotorch
import torch

from tools.ecosystem.cases import gradients, normal

_KINDS = {
    "orthogonal": geotorch.orthogonal,
    "skew": geotorch.skew,
    "symmetric": geotorch.symmetric,
    "positive definite": geotorch.positive_definite,
    "invertible": geotorch.invertible,
    "almost orthogonal": lambda layer, name: geotorch.almost_orthogonal(layer, name, 0.5),
    "low rank": lambda layer, name: geotorch.low_rank(layer, name, 2),
    "fixed rank": lambda layer, name: geotorch.fixed_rank(layer, name, 2),
    "sphere": geotorch.sphere,
    "grassmannian": lambda layer, name: geotorch.grassmannian(layer, name),
}


def _start(layer, name):
    """Set the parameters to the same point of the manifold in both frameworks."""
    with torch.no_grad():
        for i, parameter in enumerate(layer.parameters()):
            parameter.copy_(0.3 * normal(*parameter.shape, seed=i))
        for key, buffer in layer.named_buffers():
            if key.endswith("base"):
                buffer.copy_(torch.eye(*buffer.shape[-2:]) if buffer.dim() > 1 else torch.eye(buffer.numel())[0])


def manifolds():
    results = {}
    for name, constrain in _KINDS.items():
        layer = torch.nn.Linear(6, 6)
        constrain(layer, "weight")
        _start(layer, name)
        output = layer(normal(4, 6, seed=1))
        (output * normal(4, 6, seed=2)).sum().backward()
        results[name] = {"weight": layer.weight, "gradients": gradients(layer)}
    return results


def training():
    layer = torch.nn.Linear(5, 5, bias=False)
    geotorch.orthogonal(layer, "weight")
    _start(layer, "orthogonal")
    target = torch.linalg.qr(normal(5, 5, seed=2))[0]
    optimizer, losses = torch.optim.Adam(layer.parameters(), lr=0.05), []
    for _ in range(6):
        loss = (layer.weight - target).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return {"losses": losses, "identity": layer.weight @ layer.weight.mT}


def recurrent_cell():
    cell = torch.nn.RNNCell(4, 6, nonlinearity="relu")
    geotorch.orthogonal(cell, "weight_hh")
    _start(cell, "orthogonal")
    with torch.no_grad():
        for i, parameter in enumerate(cell._parameters.values()):
            parameter.copy_(0.3 * normal(*parameter.shape, seed=10 + i))
    state = torch.zeros(2, 6)
    with torch.nn.utils.parametrize.cached():
        for step in range(4):
            state = cell(normal(2, 4, seed=step), state)
    state.sum().backward()
    return {"state": state, "gradients": gradients(cell)}


def drawn():
    manifold = geotorch.Sphere((4,))
    point = manifold.sample()
    return bool(manifold.in_manifold(point))
