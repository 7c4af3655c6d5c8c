"""Optimizers as third-party packages write them: Lion with a required rate, Lookahead, and a schedule over both."""

import copy
import math

import torch
from torch import nn
from torch.optim.optimizer import Optimizer, ParamsT, required


class Lion(Optimizer):
    """Optimizer whose update is the sign of an interpolated momentum."""

    def __init__(self, params: ParamsT, lr=required, betas=(0.9, 0.99), weight_decay=0.0):
        if lr is not required and lr <= 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay))

    def __setstate__(self, state):
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("maximize", False)

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if len(state) == 0:
                    state["exp_avg"] = torch.zeros_like(p)
                p.mul_(1 - group["lr"] * group["weight_decay"])
                update = state["exp_avg"].mul(beta1).add_(p.grad, alpha=1 - beta1).sign_()
                p.add_(update, alpha=-group["lr"])
                state["exp_avg"].mul_(beta2).add_(p.grad, alpha=1 - beta2)
        return loss


class Lookahead(Optimizer):
    """Wrapper of an optimizer whose slow weights follow the optimizer's weights."""

    def __init__(self, optimizer, k=5, alpha=0.5):
        self.optimizer, self.k, self.alpha = optimizer, k, alpha
        super().__init__(optimizer.param_groups, optimizer.defaults)
        for group in self.param_groups:
            group["counter"] = 0

    def step(self, closure=None):
        loss = self.optimizer.step(closure)
        for group in self.param_groups:
            group["counter"] += 1
            if group["counter"] % self.k == 0:
                for fast in group["params"]:
                    slow = self.state[fast].setdefault("slow", fast.data.clone())
                    slow += (fast.data - slow) * self.alpha
                    fast.data.copy_(slow)
        return loss


torch.manual_seed(0)
x = torch.rand(256, 2) * 4 - 2
y = (x[:, :1] * x[:, 1:]).sin()
start = nn.Sequential(nn.Linear(2, 48), nn.Tanh(), nn.Linear(48, 1))


def train(make, steps=300):
    model = copy.deepcopy(start)
    optimizer = make(model.parameters())
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    losses = []
    inner = getattr(optimizer, "optimizer", optimizer)
    handle = inner.register_step_post_hook(lambda opt, args, kwargs: losses.append(loss.item()))
    for _ in range(steps):
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    handle.remove()
    assert len(losses) == steps and math.isclose(optimizer.param_groups[0]["lr"], 0.0, abs_tol=1e-9)
    return losses[-1], inner


for make in (
    lambda params: Lion(params, lr=0.01, weight_decay=0.01),
    lambda params: Lookahead(Lion(params, lr=0.01)),
    lambda params: Lookahead(torch.optim.Adam(params, lr=0.02)),
):
    loss, optimizer = train(make)
    print(f"{type(optimizer).__name__}: {loss:.4f}")
    assert loss < 0.05

try:
    Lion(start.parameters())
except ValueError as error:
    assert "required optimization parameter lr" in str(error)
else:
    raise AssertionError

lion = Lion([{"params": start[0].parameters(), "lr": 0.1}, {"params": start[2].parameters(), "lr": 0.2}])
assert copy.deepcopy(lion).param_groups[1]["maximize"] is False
other = Lion(start.parameters(), lr=1.0)
other.load_state_dict(train(lambda params: Lion(params, lr=0.01), steps=2)[1].state_dict())
assert other.param_groups[0]["maximize"] is False and len(other.state) == 4
