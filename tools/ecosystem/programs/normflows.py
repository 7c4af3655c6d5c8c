"""normflows: normalizing flows."""

import normflows as nf
import torch

from tools.ecosystem.cases import fill, gradients, normal


def _learned(steps, x):
    model = fill(nf.NormalizingFlow(nf.distributions.base.DiagGaussian(2), steps)).eval()
    loss = model.forward_kld(x)
    loss.backward()
    return {"loss": loss, "gradients": gradients(model), "log_prob": model.log_prob(x)}


def couplings():
    x, steps = normal(16, 2, seed=1), []
    for _ in range(2):
        steps += [
            nf.flows.AffineCouplingBlock(nf.nets.MLP([1, 16, 2], init_zeros=True)),
            nf.flows.Permute(2, mode="swap"),
        ]
    mask = torch.tensor([1.0, 0.0])
    masked = [nf.flows.MaskedAffineFlow(mask, nf.nets.MLP([2, 8, 2]), nf.nets.MLP([2, 8, 2])), nf.flows.ActNorm(2)]
    return {"affine": _learned(steps, x), "masked": _learned(masked, x)}


def splines():
    x = normal(16, 2, seed=1)
    return {
        "autoregressive": _learned([nf.flows.AutoregressiveRationalQuadraticSpline(2, 1, 16)], x),
        "coupling": _learned([nf.flows.CoupledRationalQuadraticSpline(2, 1, 16)], x),
        "masked": _learned([nf.flows.MaskedAffineAutoregressive(2, 16, num_blocks=1)], x),
    }


def simple_flows():
    z = normal(8, 2, seed=2)
    results = {}
    for name, flow in {"planar": nf.flows.Planar((2,)), "radial": nf.flows.Radial((2,))}.items():
        with torch.no_grad():
            for i, parameter in enumerate(flow.parameters()):
                parameter.copy_(0.3 * normal(*parameter.shape, seed=i) if parameter.dim() else torch.tensor(0.3))
        results[name] = list(flow(z))
    mixture = nf.distributions.GaussianMixture(2, 2, loc=[[1.0, 0.0], [-1.0, 0.5]], scale=[[1.0, 2.0], [0.5, 1.0]])
    results["mixture"] = mixture.log_prob(z)
    results["moons"] = nf.distributions.TwoMoons().log_prob(z)
    return results
