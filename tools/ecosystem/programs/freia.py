"""FrEIA: invertible networks."""

import FrEIA.framework as Ff
import FrEIA.modules as Fm
import torch

from tools.ecosystem.cases import fill, gradients, normal


def _dense(inputs, outputs):
    return torch.nn.Sequential(torch.nn.Linear(inputs, 16), torch.nn.ReLU(), torch.nn.Linear(16, outputs))


def _convolution(inputs, outputs):
    return torch.nn.Sequential(
        torch.nn.Conv2d(inputs, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(8, outputs, 3, padding=1)
    )


def sequence():
    results = {}
    for kind in (
        Fm.AllInOneBlock,
        Fm.GLOWCouplingBlock,
        Fm.RNVPCouplingBlock,
        Fm.NICECouplingBlock,
        Fm.GINCouplingBlock,
    ):
        model = Ff.SequenceINN(4)
        for _ in range(2):
            model.append(kind, subnet_constructor=_dense)
        for name, parameter in model.named_parameters():
            # Replace the random permutation with a fixed permutation, which is its own inverse.
            fixed = torch.eye(4).flip(0).view_as(parameter) if "w_perm" in name else None
            parameter.data.copy_(0.3 * normal(*parameter.shape, seed=len(name)) if fixed is None else fixed)
        latent, log_determinant = model(normal(5, 4))
        back, _ = model(latent, rev=True)
        (latent.square().sum() / 2 - torch.as_tensor(log_determinant).sum()).backward()
        results[kind.__name__] = {"latent": latent, "log_determinant": log_determinant, "back": back} | gradients(model)
    return results


def graph():
    nodes = [Ff.InputNode(2, 8, 8, name="input")]
    nodes.append(Ff.Node(nodes[-1], Fm.IRevNetDownsampling, {}, name="down"))
    condition = Ff.ConditionNode(3, 4, 4, name="condition")
    nodes.append(
        Ff.Node(
            nodes[-1], Fm.GLOWCouplingBlock, {"subnet_constructor": _convolution, "clamp": 1.2}, conditions=condition
        )
    )
    nodes.append(Ff.Node(nodes[-1], Fm.HaarDownsampling, {}, name="haar"))
    nodes.append(Ff.Node(nodes[-1], Fm.Flatten, {}, name="flat"))
    nodes += [condition, Ff.OutputNode(nodes[-1], name="output")]
    model = fill(Ff.GraphINN(nodes))
    latent, log_determinant = model(normal(2, 2, 8, 8), c=[normal(2, 3, 4, 4)])
    return {
        "latent": latent,
        "log_determinant": log_determinant,
        "back": model(latent, c=[normal(2, 3, 4, 4)], rev=True)[0],
    }
