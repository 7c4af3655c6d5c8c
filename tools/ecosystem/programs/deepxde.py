"""DeepXDE: differential equations solved by networks."""

import os

os.environ["DDE_BACKEND"] = "pytorch"

import deepxde as dde
import numpy as np
import torch

from tools.ecosystem.cases import fill


def _losses(data, network, rate=1e-3, iterations=5):
    model = dde.Model(data, fill(network))
    model.compile("adam", lr=rate)
    history, _ = model.train(iterations=iterations, display_every=1, verbose=0)
    return {
        "losses": np.array(history.loss_train),
        "prediction": np.asarray(model.predict(np.linspace(-1, 1, 7)[:, None])),
    }


def poisson():
    def residual(x, y):
        second = dde.grad.hessian(y, x)
        return -second - np.pi**2 * torch.sin(np.pi * x)

    interval = dde.geometry.Interval(-1, 1)
    edge = dde.icbc.DirichletBC(interval, lambda x: np.sin(np.pi * x), lambda x, on: on)
    data = dde.data.PDE(interval, residual, edge, 16, 2, train_distribution="uniform", num_test=20)
    return _losses(data, dde.nn.FNN([1, 20, 20, 1], "tanh", "Glorot uniform"))


def function_from_points():
    data = dde.data.Function(
        dde.geometry.Interval(-1, 1), lambda x: x * np.sin(5 * x), 16, 20, train_distribution="uniform"
    )
    return _losses(data, dde.nn.FNN([1, 16, 1], "sin", "Glorot uniform"))
