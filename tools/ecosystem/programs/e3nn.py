"""e3nn: networks that are equivariant under rotations."""

import torch
from e3nn import nn as enn, o3

from tools.ecosystem.cases import fill, gradients, normal

FEATURES = "4x0e + 3x1o + 2x2e"


def _steady(module):
    """Replace the random scale of activations with a constant."""
    for part in module.modules():
        if hasattr(part, "cst"):
            part.cst = 1.5
    return module


def _learned(module, *inputs):
    fill(_steady(module))
    output = module(*inputs)
    (output * normal(*output.shape, seed=9)).sum().backward()
    return {"output": output, "gradients": gradients(module)}


def representations():
    irreps = o3.Irreps(FEATURES)
    turn = o3.angles_to_matrix(torch.tensor(0.3), torch.tensor(1.1), torch.tensor(-0.7))
    return {
        "text": str((irreps + "1x1e").sort().irreps.simplify()),
        "size": irreps.dim,
        "matrix": irreps.D_from_matrix(turn),
        "wigner": o3.wigner_3j(1, 2, 3),
        "angles": list(o3.matrix_to_angles(turn)),
        "quaternion": o3.matrix_to_quaternion(turn),
        "product": [str(each) for each in o3.Irrep("1o") * o3.Irrep("2e")],
    }


def harmonics():
    x = normal(10, 3, seed=1).requires_grad_()
    values = o3.spherical_harmonics([0, 1, 2, 3, 4], x, normalize=True, normalization="component")
    values.square().mul(normal(*values.shape, seed=2)).sum().backward()
    alpha, beta = o3.xyz_to_angles(x.detach())
    return {
        "values": values,
        "gradient": x.grad,
        "angles": o3.spherical_harmonics_alpha_beta([0, 1, 2], alpha, beta),
        "legendre": o3.Legendre([0, 1, 2, 3])(beta.cos(), beta.sin().abs()),
    }


def products():
    first, second = o3.Irreps(FEATURES), o3.Irreps.spherical_harmonics(2)
    x, y = normal(6, first.dim, seed=3), normal(6, second.dim, seed=4)
    connected = o3.FullyConnectedTensorProduct(first, second, "3x0e + 2x1o")
    elementwise = o3.ElementwiseTensorProduct("3x1o", "3x1o")
    full = o3.FullTensorProduct("2x0e + 1o", "1o + 2e")
    outside = o3.FullyConnectedTensorProduct(first, second, "2x0e + 1o", internal_weights=False, shared_weights=False)
    square = o3.TensorSquare(first)
    return {
        "connected": _learned(connected, x, y),
        "elementwise": elementwise(normal(4, 9, seed=5), normal(4, 9, seed=6)),
        "full": full(normal(4, 5, seed=7), normal(4, 8, seed=8)),
        "outside": outside(x, y, normal(6, outside.weight_numel, seed=9)),
        "square": square(x),
        "norm": o3.Norm(first)(x),
    }


def layers():
    irreps = o3.Irreps(FEATURES)
    x = normal(8, irreps.dim, seed=3)
    gate = enn.Gate("4x0e", [torch.tanh], "5x0e", [torch.sigmoid], "3x1o + 2x2e")
    return {
        "linear": _learned(o3.Linear(irreps, "3x0e + 2x1o + 1x2e", biases=True), x),
        "gate": _steady(gate)(normal(8, gate.irreps_in.dim, seed=5)),
        "norm": enn.BatchNorm(irreps)(x),
        "activation": _steady(enn.Activation("4x0e", [torch.tanh]))(normal(8, 4, seed=4)),
        "norm activation": enn.NormActivation(irreps, torch.sigmoid)(x),
        "perceptron": _learned(enn.FullyConnectedNet([4, 16, 3], torch.nn.functional.silu), normal(8, 4, seed=6)),
        "extract": enn.ExtractIr(irreps, "1o")(x),
    }


class _Convolution(torch.nn.Module):
    """Convolution layer of the library's tutorial."""

    def __init__(self):
        super().__init__()
        self.harmonics = o3.Irreps.spherical_harmonics(2)
        self.product = o3.FullyConnectedTensorProduct(FEATURES, self.harmonics, "4x0e + 2x1o", shared_weights=False)
        self.weights = enn.FullyConnectedNet([5, 16, self.product.weight_numel], torch.relu)

    def forward(self, features, places, source, target):
        edges = places[target] - places[source]
        angular = o3.spherical_harmonics(self.harmonics, edges, True, normalization="component")
        from e3nn.math import soft_one_hot_linspace

        radial = soft_one_hot_linspace(edges.norm(dim=1), 0.0, 4.0, 5, basis="smooth_finite", cutoff=True) * 5**0.5
        messages = self.product(features[source], angular, self.weights(radial))
        return torch.zeros(len(features), messages.shape[1]).index_add(0, target, messages) / 3


def convolution():
    places = normal(8, 3, seed=1).requires_grad_()
    source, target = torch.arange(8).repeat_interleave(3), (torch.arange(24) * 5 + 1) % 8
    keep = source != target
    layer = _Convolution()
    inputs = normal(8, o3.Irreps(FEATURES).dim, seed=2)
    result = _learned(layer, inputs, places, source[keep], target[keep])
    turn = o3.angles_to_matrix(torch.tensor(0.3), torch.tensor(1.1), torch.tensor(-0.7))
    turned = layer(inputs @ o3.Irreps(FEATURES).D_from_matrix(turn).T, places @ turn.T, source[keep], target[keep])
    there = result["output"] @ o3.Irreps("4x0e + 2x1o").D_from_matrix(turn).T
    return {**result, "equivariant": bool(torch.allclose(turned, there, atol=1e-4)), "places": places.grad}


def sphere():
    from e3nn.o3 import FromS2Grid, ToS2Grid

    to, back = ToS2Grid(3, (8, 9)), FromS2Grid((8, 9), 3)
    signal = normal(2, 16, seed=1)
    return {"grid": to(signal), "coefficients": back(to(signal))}
