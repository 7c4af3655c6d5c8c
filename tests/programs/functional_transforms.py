"""torch.func: Jacobians and Hessians, gradients of each sample, ensembles by vmap, Jacobian-vector products."""

import copy

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.func import (
    functional_call,
    grad,
    grad_and_value,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    stack_module_state,
    vjp,
    vmap,
)

torch.manual_seed(0)


def predict(weight, bias, x):
    return F.linear(x, weight, bias).tanh()


D = 8
weight, bias, x = torch.randn(D, D), torch.randn(D), torch.randn(D)
xp = x.clone().requires_grad_()
rows = torch.stack([torch.autograd.grad(predict(weight, bias, xp), xp, v)[0] for v in torch.eye(D)])
assert torch.allclose(jacrev(predict, argnums=2)(weight, bias, x), rows, atol=1e-6)
assert torch.allclose(jacfwd(predict, argnums=2)(weight, bias, x), rows, atol=1e-6)
_, vjp_fn = vjp(lambda x: predict(weight, bias, x), x)
(by_vmap,) = vmap(vjp_fn)(torch.eye(D))
assert torch.allclose(by_vmap, rows, atol=1e-6)
_, tangent = jvp(lambda x: predict(weight, bias, x), (x,), (torch.ones(D),))
assert torch.allclose(tangent, rows.sum(1), atol=1e-5)
h = hessian(lambda x: predict(weight, bias, x).pow(2).sum())(x)
assert torch.allclose(h, h.T, atol=1e-5) and h.shape == (D, D)
batch = torch.randn(5, D)
assert vmap(jacrev(predict, argnums=2), in_dims=(None, None, 0))(weight, bias, batch).shape == (5, D, D)
assert torch.allclose(grad(torch.sin)(torch.tensor(0.3)), torch.tensor(0.3).cos())
assert torch.allclose(grad(grad(torch.sin))(torch.tensor(0.3)), -torch.tensor(0.3).sin())


# Gradients of each sample
class SimpleCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3)
        self.fc1 = nn.Linear(4 * 16, 10)

    def forward(self, x):
        x = F.relu(self.conv2(F.relu(self.conv1(x))))
        return F.log_softmax(self.fc1(torch.flatten(x, 1)), dim=1)


model = SimpleCNN()
data, targets = torch.randn(6, 1, 8, 8), torch.randint(10, (6,))
params = {k: v.detach() for k, v in model.named_parameters()}
buffers = {k: v.detach() for k, v in model.named_buffers()}


def compute_loss(params, buffers, sample, target):
    predictions = functional_call(model, (params, buffers), (sample.unsqueeze(0),))
    return F.nll_loss(predictions, target.unsqueeze(0))


per_sample = vmap(grad(compute_loss), in_dims=(None, None, 0, 0))(params, buffers, data, targets)
for i in range(6):
    model.zero_grad()
    F.nll_loss(model(data[i : i + 1]), targets[i : i + 1]).backward()
    for name, p in model.named_parameters():
        assert torch.allclose(per_sample[name][i], p.grad, atol=1e-5)
norms = torch.stack([g.flatten(1).norm(dim=1) for g in per_sample.values()]).norm(dim=0)
print("norms of the gradients of each sample:", norms)

# An ensemble whose models are trained together
x = torch.linspace(-3, 3, 64).unsqueeze(1)
y = torch.sin(2 * x)
models = [nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1)) for _ in range(5)]
params, buffers = stack_module_state(models)
base = copy.deepcopy(models[0]).to("meta")


def loss_of_one(params, buffers):
    return F.mse_loss(functional_call(base, (params, buffers), (x,)), y)


params = {k: v.detach() for k, v in params.items()}
velocity = {k: torch.zeros_like(v) for k, v in params.items()}
step = vmap(grad_and_value(loss_of_one))
for i in range(400):
    grads, losses = step(params, buffers)
    for k in params:
        velocity[k] = 0.9 * velocity[k] + grads[k]
        params[k] = params[k] - 0.03 * velocity[k]
    if i == 0:
        first = losses
print("losses of the ensemble:", first, "->", losses)
assert losses.shape == (5,) and losses.mean() < 0.4 * first.mean()
predictions = vmap(lambda p, b: functional_call(base, (p, b), (x,)))(params, buffers)
alone = functional_call(base, {k: v[2] for k, v in params.items()}, (x,))
assert predictions.shape == (5, 64, 1) and torch.allclose(predictions[2], alone, atol=1e-5)
