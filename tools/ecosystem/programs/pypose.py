"""Pypose: Lie groups, second-order optimisation, filters."""

import pypose as pp
import torch

from tools.ecosystem.cases import normal


def groups():
    results = {}
    for name, make in (("SO3", pp.so3), ("SE3", pp.se3), ("Sim3", pp.sim3), ("RxSO3", pp.rxso3)):
        size = {"SO3": 3, "SE3": 6, "Sim3": 7, "RxSO3": 4}[name]
        x = make(0.3 * normal(4, size)).requires_grad_()
        y = make(0.3 * normal(4, size, seed=1)).Exp()
        product = x.Exp() @ y
        points = product.Act(normal(4, 3))
        points.square().sum().backward()
        results[name] = {
            "product": product.tensor(),
            "log": product.Log().tensor(),
            "inverse": product.Inv().tensor(),
            "matrix": product.matrix(),
            "points": points,
            "gradient": x.grad,
            "adjoint": y.Adj(make(normal(4, size))).tensor(),
        }
    return results


def least_squares():
    class Inverse(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.pose = pp.Parameter(pp.se3(0.1 * normal(2, 6)).Exp())

        def forward(self, input):
            return (self.pose @ input).Log().tensor()

    model = Inverse()
    optimizer = pp.optim.LM(model, strategy=pp.optim.strategy.Adaptive(damping=1e-6))
    target = pp.se3(0.5 * normal(2, 6, seed=1)).Exp()
    optimizer.step(target)
    return {"pose": model.pose.tensor()}


def integrate():
    integrator = pp.module.IMUPreintegrator(reset=False)
    states = integrator(dt=torch.full((1, 5, 1), 0.01), gyro=normal(1, 5, 3), acc=normal(1, 5, 3, seed=1))
    return {
        "position": states["pos"],
        "rotation": states["rot"].tensor(),
        "velocity": states["vel"],
        "covariance": states["cov"],
    }
