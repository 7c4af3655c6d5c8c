"""A cubic polynomial fitted to a sine seven times: from NumPy over autograd to nn, optim and a custom module."""

import math
import random

import numpy as np
import torch

STEPS, RATE = 1000, 2e-6
torch.manual_seed(0)
start = [random.Random(0).gauss(0, 0.1) for _ in range(4)]
results = {}


def with_numpy():
    x = np.linspace(-math.pi, math.pi, 1000)
    y = np.sin(x)
    a, b, c, d = start
    for _ in range(STEPS):
        y_pred = a + b * x + c * x**2 + d * x**3
        grad_y_pred = 2.0 * (y_pred - y)
        a -= RATE * grad_y_pred.sum()
        b -= RATE * (grad_y_pred * x).sum()
        c -= RATE * (grad_y_pred * x**2).sum()
        d -= RATE * (grad_y_pred * x**3).sum()
    return [a, b, c, d]


x = torch.linspace(-math.pi, math.pi, 1000, dtype=torch.float64)
y = torch.sin(x)


def with_tensors():
    a, b, c, d = (torch.tensor(value, dtype=torch.float64) for value in start)
    for _ in range(STEPS):
        y_pred = a + b * x + c * x**2 + d * x**3
        grad_y_pred = 2.0 * (y_pred - y)
        a -= RATE * grad_y_pred.sum()
        b -= RATE * (grad_y_pred * x).sum()
        c -= RATE * (grad_y_pred * x**2).sum()
        d -= RATE * (grad_y_pred * x**3).sum()
    return [a.item(), b.item(), c.item(), d.item()]


class Cube(torch.autograd.Function):
    """x**3, with a derivative written by hand."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output * 3 * x**2


def with_autograd(cube=lambda x: x**3):
    parameters = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in start]
    a, b, c, d = parameters
    for _ in range(STEPS):
        y_pred = a + b * x + c * x**2 + d * cube(x)
        loss = (y_pred - y).pow(2).sum()
        loss.backward()
        with torch.no_grad():
            for parameter in parameters:
                parameter -= RATE * parameter.grad
                parameter.grad = None
    return [parameter.item() for parameter in parameters]


def with_nn(optimizer_class=None):
    xx = x.unsqueeze(-1).pow(torch.tensor([1, 2, 3]))
    model = torch.nn.Sequential(torch.nn.Linear(3, 1), torch.nn.Flatten(0, 1)).double()
    linear_layer = model[0]
    with torch.no_grad():
        linear_layer.bias.fill_(start[0])
        linear_layer.weight.copy_(torch.tensor([start[1:]]))
    loss_fn = torch.nn.MSELoss(reduction="sum")
    optimizer = optimizer_class(model.parameters(), lr=RATE) if optimizer_class else None
    for _ in range(STEPS):
        loss = loss_fn(model(xx), y)
        model.zero_grad()
        loss.backward()
        if optimizer:
            optimizer.step()
        else:
            with torch.no_grad():
                for param in model.parameters():
                    param -= RATE * param.grad
    return [linear_layer.bias.item(), *linear_layer.weight[0].tolist()]


class Polynomial3(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c, self.d = (torch.nn.Parameter(torch.tensor(v, dtype=torch.float64)) for v in start)

    def forward(self, x):
        return self.a + self.b * x + self.c * x**2 + self.d * x**3

    def string(self):
        return f"y = {self.a.item():.4f} + {self.b.item():.4f} x + {self.c.item():.4f} x^2 + {self.d.item():.4f} x^3"


def with_module():
    model = Polynomial3()
    criterion = torch.nn.MSELoss(reduction="sum")
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    for t in range(STEPS):
        loss = criterion(model(x), y)
        if t % 250 == 249:
            print(t, loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"Result: {model.string()}")
    return [parameter.item() for parameter in model.parameters()]


results["NumPy"] = with_numpy()
results["tensors"] = with_tensors()
results["autograd"] = with_autograd()
results["Function"] = with_autograd(Cube.apply)
results["nn"] = with_nn()
results["optim"] = with_nn(torch.optim.SGD)
results["module"] = with_module()
for name, coefficients in results.items():
    print(f"{name:10}", coefficients)
    assert np.allclose(coefficients, results["NumPy"], rtol=1e-9)
assert results["module"][1] > 0.6 and results["module"][3] < -0.05
