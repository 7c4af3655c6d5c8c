"""torchdiffeq: solutions of differential equations, and gradients through them."""

import torch
from torchdiffeq import odeint, odeint_adjoint, odeint_event

from tools.ecosystem.cases import fill, gradients, normal

TIMES = torch.linspace(0.0, 2.0, 9)


class _Field(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.network = torch.nn.Sequential(torch.nn.Linear(2, 16), torch.nn.Tanh(), torch.nn.Linear(16, 2))

    def forward(self, t, y):
        return self.network(y) - y + torch.sin(t)


def _solved(solve, **options):
    field, start = fill(_Field()), normal(5, 2, seed=1).requires_grad_()
    path = solve(field, start, TIMES, **options)
    path.square().sum().backward()
    return {"path": path, "gradients": gradients(field), "start": start.grad}


def adaptive():
    return {
        m: _solved(odeint, method=m, rtol=1e-4, atol=1e-5) for m in ("dopri5", "bosh3", "fehlberg2", "adaptive_heun")
    }


def high_order():
    return _solved(odeint, method="dopri8", rtol=1e-6, atol=1e-6)


def fixed_steps():
    methods = ("euler", "midpoint", "rk4", "heun3", "implicit_adams")
    return {method: _solved(odeint, method=method, options={"step_size": 0.1}) for method in methods}


def adjoint():
    return {
        "adaptive": _solved(odeint_adjoint, rtol=1e-4, atol=1e-5),
        "fixed": _solved(odeint_adjoint, method="rk4", options={"step_size": 0.1}),
        "norm": _solved(odeint_adjoint, rtol=1e-4, atol=1e-5, adjoint_options={"norm": "seminorm"}),
    }


def events():
    def falling(t, state):
        speed = state[1]
        return speed, -9.8 * torch.ones_like(speed)

    start = (torch.tensor([10.0]), torch.tensor([0.0]).requires_grad_())
    time, state = odeint_event(falling, start, torch.tensor(0.0), event_fn=lambda t, s: s[0], atol=1e-8, rtol=1e-8)
    time.backward()
    return {"time": time, "speed": state[1][-1], "gradient": start[1].grad}


def tuples_and_double():
    def field(t, state):
        x, y = state
        return -y, x * t

    start = (torch.ones(3, dtype=torch.float64), torch.zeros(2, 3, dtype=torch.float64))
    return list(odeint(field, start, TIMES.double(), method="dopri5"))


def scipy_solver():
    return odeint(
        lambda t, y: -y * torch.sin(t), torch.ones(3), TIMES, method="scipy_solver", options={"solver": "RK45"}
    )


def training():
    truth = odeint(lambda t, y: (y**3) @ torch.tensor([[-0.1, 2.0], [-2.0, -0.1]]), torch.tensor([[2.0, 0.0]]), TIMES)
    field = fill(_Field())
    optimizer, losses = torch.optim.RMSprop(field.parameters(), lr=1e-3), []
    for _ in range(3):
        optimizer.zero_grad()
        loss = (odeint(field, truth[0], TIMES, rtol=1e-3, atol=1e-3) - truth).abs().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
