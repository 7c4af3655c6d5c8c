"""nflows: normalizing flows."""

import torch
from nflows import distributions, flows, transforms
from nflows.nn import nets

from tools.ecosystem.cases import fill, gradients, normal


def _density(transform, x, context=None):
    flow = fill(flows.Flow(transform, distributions.StandardNormal([x.shape[1]]))).eval()
    log_prob = flow.log_prob(x, context)
    log_prob.mean().backward()
    return {"log_prob": log_prob, "gradients": gradients(flow), "noise": flow.transform_to_noise(x, context)}


def autoregressive():
    x, context = normal(16, 4, seed=1), normal(16, 3, seed=2)
    options = {"features": 4, "hidden_features": 16, "num_blocks": 1}
    return {
        "affine": _density(transforms.MaskedAffineAutoregressiveTransform(context_features=3, **options), x, context),
        "spline": _density(
            transforms.MaskedPiecewiseRationalQuadraticAutoregressiveTransform(
                tails="linear", tail_bound=3.0, **options
            ),
            x,
        ),
        "ready-made": _density(flows.MaskedAutoregressiveFlow(4, 16, 2, 1)._transform, x),
    }


def _network(inputs, outputs):
    return nets.ResidualNet(inputs, outputs, hidden_features=16, num_blocks=1)


def couplings():
    x, mask = normal(16, 4, seed=1), torch.tensor([1, -1, 1, -1])
    return {
        "affine": _density(transforms.AffineCouplingTransform(mask, _network), x),
        "spline": _density(
            transforms.PiecewiseRationalQuadraticCouplingTransform(mask, _network, tails="linear", tail_bound=3.0), x
        ),
        "real nvp": _density(flows.SimpleRealNVP(4, 16, 2, 1)._transform, x),
    }


def linear_parts():
    x = normal(16, 4, seed=1)
    parts = [transforms.ReversePermutation(4), transforms.ActNorm(4), transforms.LULinear(4, identity_init=True)]
    return {
        "composed": _density(transforms.CompositeTransform(parts), x),
        "qr": _density(transforms.QRLinear(4, num_householder=2), x),
        "batch": _density(transforms.BatchNorm(4), x),
    }


def training_and_inverse():
    steps = [transforms.MaskedAffineAutoregressiveTransform(2, 16, num_blocks=1), transforms.ReversePermutation(2)]
    flow = fill(flows.Flow(transforms.CompositeTransform(steps), distributions.StandardNormal([2])))
    optimizer, losses = torch.optim.Adam(flow.parameters(), lr=1e-2), []
    for step in range(5):
        loss = -flow.log_prob(normal(32, 2, seed=step) * 0.5 + 1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return {"losses": losses, "inverse": flow._transform.inverse(normal(5, 2, seed=9))[0]}
