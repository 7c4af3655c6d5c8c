"""A network of two layers on random data, written with NumPy, autograd, nn and optim, with the same losses."""

import numpy as np
import torch
from torch import nn

N, D_in, H, D_out = 32, 100, 40, 10
rng = np.random.default_rng(0)
x, y = rng.normal(size=(N, D_in)), rng.normal(size=(N, D_out))
w1, w2 = rng.normal(size=(D_in, H)) * 0.1, rng.normal(size=(H, D_out)) * 0.1
RATE, STEPS = 1e-3, 60


def numpy_losses():
    a, b, losses = w1.copy(), w2.copy(), []
    for _ in range(STEPS):
        h = x.dot(a)
        h_relu = np.maximum(h, 0)
        y_pred = h_relu.dot(b)
        losses.append(np.square(y_pred - y).sum())
        grad_y_pred = 2.0 * (y_pred - y)
        grad_b = h_relu.T.dot(grad_y_pred)
        grad_h = grad_y_pred.dot(b.T)
        grad_h[h < 0] = 0
        a -= RATE * x.T.dot(grad_h)
        b -= RATE * grad_b
    return losses


def tensor_losses():
    X, Y, a, b = (torch.from_numpy(v.copy()) for v in (x, y, w1, w2))
    losses = []
    for _ in range(STEPS):
        h = X.mm(a)
        h_relu = h.clamp(min=0)
        y_pred = h_relu.mm(b)
        losses.append((y_pred - Y).pow(2).sum().item())
        grad_y_pred = 2.0 * (y_pred - Y)
        grad_b = h_relu.t().mm(grad_y_pred)
        grad_h = grad_y_pred.mm(b.t()).clone()
        grad_h[h < 0] = 0
        a -= RATE * X.t().mm(grad_h)
        b -= RATE * grad_b
    return losses


def autograd_losses():
    X, Y = torch.from_numpy(x), torch.from_numpy(y)
    a, b = (torch.from_numpy(v.copy()).requires_grad_() for v in (w1, w2))
    losses = []
    for _ in range(STEPS):
        loss = (X.mm(a).clamp(min=0).mm(b) - Y).pow(2).sum()
        losses.append(loss.item())
        loss.backward()
        with torch.no_grad():
            a -= RATE * a.grad
            b -= RATE * b.grad
            a.grad.zero_()
            b.grad.zero_()
    return losses


class TwoLayerNet(nn.Module):
    def __init__(self, D_in, H, D_out):
        super(TwoLayerNet, self).__init__()
        self.linear1 = nn.Linear(D_in, H, bias=False)
        self.linear2 = nn.Linear(H, D_out, bias=False)

    def forward(self, x):
        return self.linear2(self.linear1(x).clamp(min=0))


def module_losses():
    torch.set_default_dtype(torch.float64)
    model = TwoLayerNet(D_in, H, D_out)
    torch.set_default_dtype(torch.float32)
    model.load_state_dict({"linear1.weight": torch.tensor(w1.T), "linear2.weight": torch.tensor(w2.T)})
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    X, Y, losses = torch.as_tensor(x), torch.as_tensor(y), []
    for _ in range(STEPS):
        loss = nn.functional.mse_loss(model(X), Y, reduction="sum")
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses


reference = numpy_losses()
for losses in (tensor_losses(), autograd_losses(), module_losses()):
    np.testing.assert_allclose(losses, reference, rtol=1e-8)
print(f"loss: {reference[0]:.1f} -> {reference[-1]:.3f}")
assert reference[-1] < 0.2 * reference[0]
