"""Automatic differentiation: gradients, graphs, accumulation, detaching and vector-Jacobian products."""

import torch
from torch.autograd import Variable

x = torch.ones(5)
y = torch.zeros(3)
w = torch.randn(5, 3, requires_grad=True)
b = torch.randn(3, requires_grad=True)
z = torch.matmul(x, w) + b
loss = torch.nn.functional.binary_cross_entropy_with_logits(z, y)
print(f"Gradient function for z = {z.grad_fn}")
print(f"Gradient function for loss = {loss.grad_fn}")
assert "Backward" in loss.grad_fn.name() and z.grad_fn.next_functions[0][0] is not None

loss.backward()
assert w.grad.shape == w.shape
assert torch.allclose(b.grad, torch.sigmoid(z.detach()) / 3)
assert torch.allclose(w.grad, b.grad.expand(5, 3))

# Tensors whose operations are not recorded
with torch.no_grad():
    assert not (torch.matmul(x, w) + b).requires_grad
assert not z.detach().requires_grad and w.is_leaf and not z.is_leaf
with torch.set_grad_enabled(False):
    assert not (w * 2).requires_grad


@torch.no_grad()
def evaluate(x):
    return x @ w


assert not evaluate(x).requires_grad

# Vector-Jacobian products; gradients accumulate until they are cleared
inp = torch.eye(4, 5, requires_grad=True)
out = (inp + 1).pow(2).t()
out.backward(torch.ones_like(out), retain_graph=True)
first = inp.grad.clone()
out.backward(torch.ones_like(out), retain_graph=True)
assert torch.equal(inp.grad, 2 * first)
inp.grad.zero_()
out.backward(torch.ones_like(out))
assert torch.equal(inp.grad, first) and first[0, 0] == 4

# The gradient of a tensor that is not a leaf
a = torch.tensor([2.0, 3.0], requires_grad=True)
b = torch.tensor([6.0, 4.0], requires_grad=True)
middle = a * a
middle.retain_grad()
Q = 3 * a**3 - b**2 + 0 * middle
Q.backward(gradient=torch.tensor([1.0, 1.0]))
assert torch.equal(a.grad, 9 * a.detach() ** 2) and torch.equal(b.grad, -2 * b.detach())
assert torch.equal(middle.grad, torch.zeros(2))

# A graph that depends on the data
x = torch.randn(3, requires_grad=True)
y = x * 2
doublings = 1
while y.data.norm() < 1000:
    y = y * 2
    doublings += 1
v = torch.tensor([0.1, 1.0, 0.0001])
y.backward(v)
assert torch.allclose(x.grad, v * 2.0**doublings)

# Partial gradients and higher derivatives
x = Variable(torch.tensor(1.5), requires_grad=True)
f = torch.sin(x) * torch.exp(-x)
derivatives = [f]
for _ in range(4):
    (derivative,) = torch.autograd.grad(derivatives[-1], x, create_graph=True)
    derivatives.append(derivative)
assert torch.allclose(derivatives[4], -4 * f)  # the fourth derivative of e**-x sin x

try:
    torch.ones(2, requires_grad=True).mul(2).backward()
except RuntimeError as error:
    print(f"As it should: {error}")
else:
    raise AssertionError("a gradient without a direction")
jacobian = torch.autograd.functional.jacobian(lambda x: x**2, torch.tensor([1.0, 2.0]))
assert torch.equal(jacobian, torch.diag(torch.tensor([2.0, 4.0])))
