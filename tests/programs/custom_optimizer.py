"""Custom optimizers and schedules, a comparison of the library's optimizers, averaged weights, parameter groups."""

import copy
import math

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, _LRScheduler  # noqa: F401
from torch.optim.swa_utils import SWALR, AveragedModel, get_ema_multi_avg_fn, update_bn


class SignSGD(Optimizer):
    def __init__(self, params, lr=1e-3, momentum=0.9):
        if lr < 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        super().__init__(params, dict(lr=lr, momentum=momentum))

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if len(state) == 0:
                    state["step"] = 0
                    state["exp_avg"] = torch.zeros_like(p, memory_format=torch.preserve_format)
                state["step"] += 1
                state["exp_avg"].mul_(group["momentum"]).add_(p.grad, alpha=1 - group["momentum"])
                p.add_(state["exp_avg"].sign(), alpha=-group["lr"])
        return loss


class MyAdam(Optimizer):
    """Adam in a few lines, with the same results as the library's."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in filter(lambda p: p.grad is not None, group["params"]):
                state = self.state[p]
                state.setdefault("step", 0)
                state.setdefault("m", torch.zeros_like(p))
                state.setdefault("v", torch.zeros_like(p))
                state["step"] += 1
                state["m"].lerp_(p.grad, 1 - beta1)
                state["v"].mul_(beta2).addcmul_(p.grad, p.grad, value=1 - beta2)
                denom = (state["v"].sqrt() / math.sqrt(1 - beta2 ** state["step"])).add_(group["eps"])
                p.addcdiv_(state["m"], denom, value=-group["lr"] / (1 - beta1 ** state["step"]))


class Triangle(_LRScheduler):
    def __init__(self, optimizer, period, last_epoch=-1):
        self.period = period
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        phase = abs((self.last_epoch % self.period) / self.period * 2 - 1)
        return [base * (0.1 + 0.9 * (1 - phase)) for base in self.base_lrs]


torch.manual_seed(0)
x = torch.randn(200, 5)
y = torch.sin(x[:, :1]) + 0.5 * x[:, 1:2] ** 2
start = nn.Sequential(nn.Linear(5, 32), nn.Tanh(), nn.Linear(32, 1))


def train(make, steps=150, make_scheduler=None):
    model = copy.deepcopy(start)
    optimizer = make(model.parameters())
    scheduler = make_scheduler(optimizer) if make_scheduler else None
    for _ in range(steps):

        def closure():
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(x), y)
            loss.backward()
            return loss

        closure()
        optimizer.step() if not isinstance(optimizer, torch.optim.LBFGS) else optimizer.step(closure)
        if scheduler:
            scheduler.step()
    return closure().item(), model


initial = nn.functional.mse_loss(start(x), y).item()
own, model_own = train(lambda p: MyAdam(p, lr=0.01))
library, model_library = train(lambda p: torch.optim.Adam(p, lr=0.01))
assert all(torch.allclose(a, b, atol=2e-4) for a, b in zip(model_own.parameters(), model_library.parameters()))
rates = {"SGD": 0.05, "Adam": 0.01, "AdamW": 0.01, "NAdam": 0.01, "RAdam": 0.01, "Adamax": 0.02, "RMSprop": 0.005}
rates |= {"Adagrad": 0.05, "Adadelta": 1.0, "ASGD": 0.05, "Rprop": 0.01, "LBFGS": 0.5, "Adafactor": 0.05}
losses = {name: train(lambda p, n=name, r=rate: getattr(torch.optim, n)(p, lr=r))[0] for name, rate in rates.items()}
losses["SignSGD"], _ = train(lambda p: SignSGD(p, lr=0.003))
losses["Triangle"], _ = train(lambda p: torch.optim.SGD(p, lr=0.1), make_scheduler=lambda o: Triangle(o, 20))
print(f"start {initial:.4f};", ", ".join(f"{name} {loss:.4f}" for name, loss in losses.items()))
assert all(loss < 0.6 * initial for loss in losses.values())

# Groups, and averaged weights
model = nn.Sequential(nn.Linear(5, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 1))
optimizer = torch.optim.SGD(
    [{"params": model[0].parameters(), "lr": 0.01}, {"params": model[1:].parameters()}], lr=0.05, momentum=0.9
)
swa_model, ema_model = AveragedModel(model), AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=60)
swa_scheduler = SWALR(optimizer, swa_lr=0.02, anneal_epochs=5)
for epoch in range(100):
    loss = nn.functional.mse_loss(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    ema_model.update_parameters(model)
    if epoch >= 60:
        swa_model.update_parameters(model)
        swa_scheduler.step()
    else:
        scheduler.step()
update_bn([x[i : i + 50] for i in range(0, 200, 50)], swa_model)
assert [group["lr"] for group in optimizer.param_groups] == [0.02, 0.02] and swa_model.n_averaged == 40
averaged = nn.functional.mse_loss(swa_model.eval()(x), y).item()
print(f"last weights {loss.item():.4f}, averaged {averaged:.4f}")
assert averaged < 0.6 * initial
