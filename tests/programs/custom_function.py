"""Functions with a custom backward: a polynomial, straight-through rounding, gradient reversal, gradcheck."""

import math

import torch
from torch.autograd import Function, gradcheck, gradgradcheck
from torch.autograd.function import once_differentiable


class LegendrePolynomial3(Function):
    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return 0.5 * (5 * input**3 - 3 * input)

    @staticmethod
    def backward(ctx, grad_output):
        (input,) = ctx.saved_tensors
        return grad_output * 1.5 * (5 * input**2 - 1)


class StraightThrough(Function):
    """Sign function whose gradient passes where |x| <= 1."""

    @staticmethod
    def forward(ctx, x):
        ctx.mark_non_differentiable(inside := x.abs() <= 1)
        ctx.save_for_backward(inside)
        return x.sign(), inside

    @staticmethod
    @once_differentiable
    def backward(ctx, grad, _):
        (inside,) = ctx.saved_tensors
        return grad * inside


class GradientReversal(Function):
    @staticmethod
    def forward(ctx, x, lambda_):
        ctx.lambda_ = lambda_
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grads):
        return -ctx.lambda_ * grads.clone(), None


class LinearFunction(Function):
    """Linear function with setup_context that computes only the gradients that are needed."""

    @staticmethod
    def forward(input, weight, bias):
        return input.mm(weight.t()) + bias.unsqueeze(0)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[0], inputs[1])

    @staticmethod
    def backward(ctx, grad_output):
        input, weight = ctx.saved_tensors
        grad_input = grad_output.mm(weight) if ctx.needs_input_grad[0] else None
        grad_weight = grad_output.t().mm(input) if ctx.needs_input_grad[1] else None
        return grad_input, grad_weight, grad_output.sum(0) if ctx.needs_input_grad[2] else None


class Exp(Function):
    @staticmethod
    def forward(ctx, i):
        ctx.save_for_backward(result := i.exp())
        return result

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output * ctx.saved_tensors[0]

    @staticmethod
    def jvp(ctx, grad_input):
        raise NotImplementedError


# Fit a + b P3(c + d x) to a sine
x = torch.linspace(-math.pi, math.pi, 2000)
y = torch.sin(x)
a, b, c, d = (torch.full((), value, requires_grad=True) for value in (0.0, -1.0, 0.0, 0.3))
P3 = LegendrePolynomial3.apply
for _ in range(2000):
    loss = (a + b * P3(c + d * x) - y).pow(2).sum()
    loss.backward()
    with torch.no_grad():
        for v in (a, b, c, d):
            v -= 5e-6 * v.grad
            v.grad = None
print(f"Result: y = {a.item():.4f} + {b.item():.4f} * P3({c.item():.4f} + {d.item():.4f} x), loss {loss.item():.3f}")
assert loss.item() < 15

double = dict(dtype=torch.double, requires_grad=True)
torch.manual_seed(0)
assert gradcheck(P3, (torch.randn(4, **double),)) and gradgradcheck(P3, (torch.randn(4, **double),))
assert gradcheck(
    LinearFunction.apply, (torch.randn(3, 4, **double), torch.randn(2, 4, **double), torch.randn(2, **double))
)
assert gradgradcheck(Exp.apply, (torch.randn(3, **double),))

x = torch.tensor([-2.0, -0.5, 0.5, 2.0], requires_grad=True)
sign, inside = StraightThrough.apply(x)
sign.sum().backward()
assert x.grad.tolist() == [0, 1, 1, 0] and not inside.requires_grad

x = torch.ones(3, requires_grad=True)
(GradientReversal.apply(x, 0.5) * torch.arange(3)).sum().backward()
assert torch.equal(x.grad, -0.5 * torch.arange(3.0))


class Wrong(Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, grad):
        return 3 * grad


try:
    gradcheck(Wrong.apply, (torch.randn(2, **double),))
except RuntimeError as error:
    assert "Jacobian mismatch" in str(error)
else:
    raise AssertionError("a wrong gradient passed")
