"""Hooks on tensors, modules and optimizers: activations, gradients, feature extraction, visualised saliency."""

from collections import defaultdict
from functools import partial

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


class SmallNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2))
        self.classifier = nn.Linear(4 * 9, 3)

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


model = SmallNet()
activations, gradients, order = {}, defaultdict(list), []


def save_activation(name, mod, inp, out):
    activations[name] = out.detach().cpu()


def save_gradient(name, mod, grad_input, grad_output):
    gradients[name].append(grad_output[0].norm().item())


handles = []
for name, module in model.named_modules():
    if type(module) in (nn.Conv2d, nn.ReLU, nn.Linear):
        handles.append(module.register_forward_hook(partial(save_activation, name)))
        handles.append(module.register_full_backward_hook(partial(save_gradient, name)))
handles.append(model.register_forward_pre_hook(lambda module, args: order.append("before")))
handles.append(model.classifier.register_forward_hook(lambda module, args, out: order.append("classified")))

x = torch.randn(5, 1, 8, 8)
F.cross_entropy(model(x), torch.randint(0, 3, (5,))).backward()
assert set(activations) == {"features.0", "features.2", "classifier"} == set(gradients)
assert activations["features.2"].shape == (5, 4, 6, 6) and (activations["features.2"] >= 0).all()
assert order == ["before", "classified"]
for handle in handles:
    handle.remove()
order.clear()
model(x)
assert order == [] and not model._forward_hooks

# A forward hook that replaces the output
double = model.classifier.register_forward_hook(lambda module, args, out: 2 * out)
with_hook = model.eval()(x)
double.remove()
assert torch.allclose(with_hook, 2 * model(x))

# Hooks of tensors
v = torch.tensor([0.0, 0.0, 0.0], requires_grad=True)
h = v.register_hook(lambda grad: grad * 2)
seen = []
v.register_hook(lambda grad: seen.append(grad.clone()))
v.backward(torch.tensor([1.0, 2.0, 3.0]))
assert v.grad.tolist() == [2, 4, 6] and seen[0].tolist() == [2, 4, 6]
h.remove()

w = torch.randn(3, requires_grad=True)
accumulated = []
w.register_post_accumulate_grad_hook(lambda p: accumulated.append(p.grad.clone()))
(w * 3).sum().backward()
assert torch.equal(accumulated[0], torch.full((3,), 3.0))

# Clip gradients during the backward pass
for p in model.parameters():
    p.register_hook(lambda grad: torch.clamp(grad, -0.01, 0.01))
model.zero_grad()
(100 * model(x)).sum().backward()
assert max(p.grad.abs().max().item() for p in model.parameters()) <= 0.01 + 1e-8

# An optimizer step fused into the backward pass
layers = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
optimizers = {p: torch.optim.Adam([p], lr=0.02) for p in layers.parameters()}


def optimizer_hook(parameter) -> None:
    optimizers[parameter].step()
    optimizers[parameter].zero_grad()


for p in layers.parameters():
    p.register_post_accumulate_grad_hook(optimizer_hook)
inputs = torch.randn(64, 4)
target = inputs[:, :1] * inputs[:, 1:2]
losses = []
for _ in range(150):
    loss = F.mse_loss(layers(inputs), target)
    loss.backward()
    losses.append(loss.item())
print(f"loss with the step in the backward pass: {losses[0]:.3f} -> {losses[-1]:.3f}")
assert losses[-1] < 0.3 * losses[0] and all(p.grad is None for p in layers.parameters())

# Saliency: which input matters
inputs = torch.randn(200, 4, requires_grad=True)
layers(inputs).sum().backward()
saliency = inputs.grad.abs().mean(0)
print("saliency:", saliency)
assert saliency[:2].min() > saliency[2:].max()

# Hooks that pack the tensors saved for the backward pass
packed = []


def pack(t):
    packed.append(t.shape)
    return t.to(torch.float64)


with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t.float()):
    a = torch.randn(5, requires_grad=True)
    b = (a * a).exp()
b.sum().backward()
assert packed and torch.allclose(a.grad, 2 * a * (a * a).exp(), atol=1e-5)
