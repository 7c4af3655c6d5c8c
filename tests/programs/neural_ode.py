"""A neural ordinary differential equation fits a spiral; gradients by the adjoint method and through the solver."""

import torch
import torch.nn as nn
from torch.autograd import Function

torch.manual_seed(0)
torch.set_num_threads(1)


def rk4_step(f, t, y, h):
    k1 = f(t, y)
    k2 = f(t + h / 2, y + h / 2 * k1)
    k3 = f(t + h / 2, y + h / 2 * k2)
    k4 = f(t + h, y + h * k3)
    return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def odeint(f, y0, ts):
    ys = [y0]
    for t0, t1 in zip(ts[:-1], ts[1:]):
        ys.append(rk4_step(f, t0, ys[-1], t1 - t0))
    return torch.stack(ys)


class Adjoint(Function):
    """Adjoint method: integrate the state, its adjoint and the parameters' gradient backward (Chen et al., 2018)."""

    @staticmethod
    def forward(ctx, f, y0, ts, *parameters):
        with torch.no_grad():
            ys = odeint(f, y0, ts)
        ctx.f, ctx.parameters = f, parameters
        ctx.save_for_backward(ys, ts)
        return ys

    @staticmethod
    def backward(ctx, grad):
        ys, ts = ctx.saved_tensors
        f, parameters = ctx.f, ctx.parameters
        sizes = [p.numel() for p in parameters]
        n = ys[0].numel()

        def augmented(t, state):
            y = state[:n].view_as(ys[0]).detach().requires_grad_()
            a = state[n : 2 * n].view_as(ys[0])
            with torch.enable_grad():
                out = f(t, y)
                grads = torch.autograd.grad(out, (y, *parameters), -a, allow_unused=True)
            flat = [
                torch.zeros_like(v).flatten() if g is None else g.flatten() for g, v in zip(grads, (y, *parameters))
            ]
            return torch.cat([out.detach().flatten(), *flat])

        a, theta = grad[-1].clone(), torch.zeros(sum(sizes), dtype=ys.dtype)
        for i in range(len(ts) - 1, 0, -1):
            state = torch.cat([ys[i].flatten(), a.flatten(), theta])
            state = rk4_step(augmented, ts[i], state, ts[i - 1] - ts[i])
            a = state[n : 2 * n].view_as(a) + grad[i - 1]
            theta = state[2 * n :]
        return (None, a, None, *(g.view_as(p) for g, p in zip(theta.split(sizes), parameters)))


class Lambda(nn.Module):
    def __init__(self, matrix):
        super().__init__()
        self.matrix = matrix

    def forward(self, t, y):
        return torch.mm(y**3, self.matrix)


class ODEFunc(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 2))
        for m in self.net.modules():
            if isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, mean=0, std=0.1)
                nn.init.constant_(m.bias, val=0)

    def forward(self, t, y):
        return self.net(y**3)


true_A = torch.tensor([[-0.1, 2.0], [-2.0, -0.1]])
t = torch.linspace(0.0, 6.0, 121)
with torch.no_grad():
    true_y = odeint(Lambda(true_A), torch.tensor([[2.0, 0.0]]), t)

# Both gradients agree
func = ODEFunc().double()
y0 = torch.tensor([[0.7, -0.4]], dtype=torch.float64, requires_grad=True)
ts = torch.linspace(0, 0.5, 21, dtype=torch.float64)
through = torch.autograd.grad(odeint(func, y0, ts).pow(2).sum(), [y0, *func.parameters()])
adjoint = torch.autograd.grad(Adjoint.apply(func, y0, ts, *func.parameters()).pow(2).sum(), [y0, *func.parameters()])
assert all(torch.allclose(x, y, rtol=1e-5, atol=1e-8) for x, y in zip(through, adjoint))

func = ODEFunc()
first = None
before = torch.mean(torch.abs(odeint(func, true_y[0], t) - true_y)).item()
optimizer = torch.optim.RMSprop(func.parameters(), lr=4e-3)
for itr in range(1, 251):
    optimizer.zero_grad()
    s = torch.randperm(110)[:24]
    batch_y = torch.stack([true_y[s + i] for i in range(10)])
    if itr % 50:
        pred_y = odeint(func, true_y[s].view(-1, 2), t[:10]).view_as(batch_y)
    else:
        pred_y = Adjoint.apply(func, true_y[s].view(-1, 2), t[:10], *func.parameters()).view_as(batch_y)
    loss = torch.mean(torch.abs(pred_y - batch_y))
    loss.backward()
    optimizer.step()
    if itr == 1 or itr % 50 == 0:
        print(f"Iter {itr:04d} | Loss {loss.item():.6f}")
        first = first or loss.item()
with torch.no_grad():
    total = torch.mean(torch.abs(odeint(func, true_y[0], t) - true_y)).item()
print(f"whole trajectory: {before:.4f} -> {total:.4f}")
assert loss.item() < 0.25 * first and total < before
