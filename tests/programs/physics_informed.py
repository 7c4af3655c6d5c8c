"""A physics-informed network solves the damped oscillator x'' + d x' + k x = 0, then finds d from data."""

import torch
import torch.nn as nn

torch.manual_seed(123)
D, W0 = 2.0, 8.0


def exact(t, d=D, w0=W0):
    delta = d / 2
    w = (w0**2 - delta**2) ** 0.5
    phi = torch.atan(torch.tensor(-delta / w))
    A = 1 / (2 * torch.cos(phi))
    return torch.exp(-delta * t) * 2 * A * torch.cos(phi + w * t)


class FCN(nn.Module):
    def __init__(self, n_input, n_output, n_hidden, n_layers):
        super().__init__()
        activation = nn.Tanh
        self.fcs = nn.Sequential(*[nn.Linear(n_input, n_hidden), activation()])
        self.fch = nn.Sequential(
            *[nn.Sequential(*[nn.Linear(n_hidden, n_hidden), activation()]) for _ in range(n_layers - 1)]
        )
        self.fce = nn.Linear(n_hidden, n_output)

    def forward(self, x):
        return self.fce(self.fch(self.fcs(x)))


def residual(pinn, t, d, k):
    u = pinn(t)
    (dudt,) = torch.autograd.grad(u, t, torch.ones_like(u), create_graph=True)
    (d2udt2,) = torch.autograd.grad(dudt, t, torch.ones_like(dudt), create_graph=True)
    return d2udt2 + d * dudt + k * u


# Forward: only the equation and the start are known
pinn = FCN(1, 1, 24, 2)
t_boundary = torch.tensor(0.0).view(-1, 1).requires_grad_(True)
t_physics = torch.linspace(0, 0.8, 30).view(-1, 1).requires_grad_(True)
optimiser = torch.optim.LBFGS(pinn.parameters(), lr=1, max_iter=400, history_size=50, line_search_fn="strong_wolfe")


def closure():
    optimiser.zero_grad()
    u = pinn(t_boundary)
    loss1 = (torch.squeeze(u) - 1) ** 2
    dudt = torch.autograd.grad(u, t_boundary, torch.ones_like(u), create_graph=True)[0]
    loss2 = (torch.squeeze(dudt) - 0) ** 2
    loss3 = torch.mean(residual(pinn, t_physics, D, W0**2) ** 2)
    loss = loss1 + 1e-1 * loss2 + 1e-3 * loss3
    loss.backward()
    return loss


for _ in range(2):
    loss = optimiser.step(closure)
t_test = torch.linspace(0, 0.8, 200).view(-1, 1)
with torch.no_grad():
    error = (pinn(t_test) - exact(t_test)).abs().max().item()
print(f"solution: loss {closure().item():.2e}, largest error {error:.4f}")
assert error < 0.1

# Inverse: noisy points are known, the damping is not
torch.manual_seed(123)
pinn = FCN(1, 1, 24, 2)
t_obs = torch.rand(40).view(-1, 1) * 0.8
u_obs = exact(t_obs) + 0.02 * torch.randn_like(t_obs)
mu = nn.Parameter(torch.zeros(1, requires_grad=True))
optimiser = torch.optim.Adam([{"params": pinn.parameters()}, {"params": [mu], "lr": 2e-2}], lr=5e-3)
for i in range(900):
    optimiser.zero_grad()
    loss = 1e-3 * torch.mean(residual(pinn, t_physics, mu, W0**2) ** 2) + torch.mean((pinn(t_obs) - u_obs) ** 2)
    loss.backward()
    optimiser.step()
    if i % 300 == 299:
        print(f"{i + 1}: loss {loss.item():.2e}, damping {mu.item():.3f} ({D})")
assert abs(mu.item() - D) < 0.6
