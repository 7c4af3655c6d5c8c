"""Neurodiffeq: differential equations solved by networks."""

import torch
from neurodiffeq import diff
from neurodiffeq.conditions import IVP, DirichletBVP2D
from neurodiffeq.generators import Generator1D, Generator2D
from neurodiffeq.networks import FCNN, SinActv
from neurodiffeq.operators import curl, div, laplacian
from neurodiffeq.solvers import Solver1D, Solver2D

from tools.ecosystem.cases import fill, normal


def ordinary():
    net = fill(FCNN(1, 1, hidden_units=(8,), actv=SinActv))
    solver = Solver1D(
        lambda u, t: [diff(u, t) + u],
        [IVP(0.0, 1.0)],
        t_min=0.0,
        t_max=1.0,
        nets=[net],
        train_generator=Generator1D(16, 0.0, 1.0, method="equally-spaced"),
        valid_generator=Generator1D(8, 0.0, 1.0, method="equally-spaced"),
    )
    solver.fit(max_epochs=5)
    times = torch.linspace(0, 1, 5).reshape(-1, 1)
    return {"losses": solver.metrics_history["train_loss"], "values": solver.get_solution(best=False)(times)}


def partial():
    net = fill(FCNN(2, 1, hidden_units=(8,)))
    condition = DirichletBVP2D(
        0, lambda y: torch.sin(3.14159 * y), 1, lambda y: 0 * y, 0, lambda x: 0 * x, 1, lambda x: 0 * x
    )
    solver = Solver2D(
        lambda u, x, y: [diff(u, x, order=2) + diff(u, y, order=2)],
        [condition],
        xy_min=(0, 0),
        xy_max=(1, 1),
        nets=[net],
        train_generator=Generator2D((4, 4), method="equally-spaced"),
        valid_generator=Generator2D((3, 3), method="equally-spaced"),
    )
    solver.fit(max_epochs=3)
    return {"losses": solver.metrics_history["train_loss"]}


def operators():
    x, y, z = (normal(6, 1, seed=i).requires_grad_() for i in range(3))
    return {
        "curl": curl(x * y, y * z, z * x * x, x, y, z),
        "divergence": div(x * x, y * z, z**3, x, y, z),
        "laplacian": laplacian(x**3 * y + z**2, x, y, z),
    }
