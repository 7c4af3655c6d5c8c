"""Gradients of gradients: a Wasserstein GAN with gradient penalty, MAML on sines, Newton's method, Hessians."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import autograd
from torch.func import functional_call

torch.manual_seed(0)


def calc_gradient_penalty(netD, real_data, fake_data, weight=10.0):
    alpha = torch.rand(real_data.size(0), 1).expand(real_data.size())
    interpolates = alpha * real_data + ((1 - alpha) * fake_data)
    interpolates = autograd.Variable(interpolates, requires_grad=True)
    disc_interpolates = netD(interpolates)
    gradients = autograd.grad(
        outputs=disc_interpolates,
        inputs=interpolates,
        grad_outputs=torch.ones(disc_interpolates.size()),
        create_graph=True,
        retain_graph=True,
        only_inputs=True,
    )[0]
    return ((gradients.norm(2, dim=1) - 1) ** 2).mean() * weight


# Wasserstein GAN with gradient penalty: two clusters
netG = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 2))
netD = nn.Sequential(nn.Linear(2, 32), nn.LeakyReLU(0.1), nn.Linear(32, 32), nn.LeakyReLU(0.1), nn.Linear(32, 1))
optimizerD = torch.optim.Adam(netD.parameters(), lr=3e-3, betas=(0.5, 0.9))
optimizerG = torch.optim.Adam(netG.parameters(), lr=3e-3, betas=(0.5, 0.9))


def real_batch(n=128):
    return torch.tensor([2.0, 0.0]) * (torch.randint(0, 2, (n, 1)) * 2 - 1) + 0.1 * torch.randn(n, 2)


for _ in range(150):
    for p in netD.parameters():
        p.requires_grad_(True)
    for _ in range(3):
        netD.zero_grad()
        real, fake = real_batch(), netG(torch.randn(128, 2)).detach()
        D_cost = netD(fake).mean() - netD(real).mean() + calc_gradient_penalty(netD, real, fake)
        D_cost.backward()
        optimizerD.step()
    for p in netD.parameters():
        p.requires_grad_(False)
    netG.zero_grad()
    G_cost = -netD(netG(torch.randn(128, 2))).mean()
    G_cost.backward()
    optimizerG.step()
made = netG(torch.randn(1000, 2)).detach()
spread = made[:, 0].abs().mean().item(), made[:, 1].abs().mean().item()
print(f"mean |x| {spread[0]:.2f} (2.00), mean |y| {spread[1]:.2f} (0.08)")
assert 1.2 < spread[0] < 3 and spread[1] < 1 and 0.15 < (made[:, 0] > 0).float().mean() < 0.85

# MAML: initial parameters from which one step fits any sine
model = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))
meta = torch.optim.Adam(model.parameters(), lr=5e-3)


def task():
    amplitude, phase = 1 + 3 * torch.rand(1), math.pi * torch.rand(1)

    def points(n=10):
        x = 10 * torch.rand(n, 1) - 5
        return x, amplitude * torch.sin(x - phase)

    return points


def adapt(points, create_graph):
    params = dict(model.named_parameters())
    x, y = points()
    loss = F.mse_loss(functional_call(model, params, (x,)), y)
    grads = autograd.grad(loss, params.values(), create_graph=create_graph)
    return {name: p - 0.05 * g for (name, p), g in zip(params.items(), grads)}, loss.item()


def after_step():
    errors = []
    for _ in range(40):
        points = task()
        adapted, _ = adapt(points, create_graph=False)
        x, y = points(50)
        errors.append(F.mse_loss(functional_call(model, adapted, (x,)), y).item())
    return sum(errors) / 40


before = after_step()
for _ in range(200):
    meta.zero_grad()
    for _ in range(4):
        points = task()
        adapted, _ = adapt(points, create_graph=True)
        x, y = points()
        (F.mse_loss(functional_call(model, adapted, (x,)), y) / 4).backward()
    meta.step()
print(f"error after one step: {before:.2f} -> {after_step():.2f}")
assert after_step() < 0.9 * before

# Newton's method with the whole Hessian
point = torch.tensor([-1.2, 1.0], dtype=torch.float64)
rosenbrock = lambda v: (1 - v[0]) ** 2 + 100 * (v[1] - v[0] ** 2) ** 2
for _ in range(8):
    variable = point.clone().requires_grad_()
    (gradient,) = autograd.grad(rosenbrock(variable), variable, create_graph=True)
    hessian = torch.stack([autograd.grad(g, variable, retain_graph=True)[0] for g in gradient])
    assert torch.allclose(hessian, autograd.functional.hessian(rosenbrock, point))
    point = point - torch.linalg.solve(hessian, gradient.detach())
print("minimum of Rosenbrock's function:", point.tolist())
assert torch.allclose(point, torch.ones(2, dtype=torch.float64))
