"""Models, optimizers and training steps, and a comparison of training with and without `flambeau.compile`."""

import pytest

import flambeau as fb
from flambeau import nn
from flambeau.nn import functional as F

optim = pytest.importorskip("flambeau.optim")


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.norm, self.head = nn.Embedding(11, 8), nn.LayerNorm(8), nn.Linear(8, 11)
        self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 8)
        self.grow, self.shrink = nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, tokens):
        x = self.embed(tokens)
        q, k, v = self.qkv(self.norm(x)).chunk(3, -1)
        x = x + self.out(F.scaled_dot_product_attention(q, k, v, is_causal=True))
        x = x + F.dropout(self.shrink(F.gelu(self.grow(x))), 0.1, self.training)
        return self.head(x).flatten(0, 1)


def perceptron():
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 3))
    return model, lambda: (fb.randn(6, 8), fb.randint(0, 3, (6,)))


def lenet():
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25), nn.Flatten(),
        nn.Linear(36, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 3),
    )  # fmt: skip
    return model, lambda: (fb.randn(5, 1, 8, 8), fb.randint(0, 3, (5,)))


def transformer():
    return Attention(), lambda: (fb.randint(0, 11, (2, 5)), fb.randint(0, 11, (10,)))


OPTIMIZERS = {
    "SGD": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.01),
    "Adam": lambda p: optim.Adam(p, lr=0.01),
    "amsgrad": lambda p: optim.Adam(p, lr=0.01, amsgrad=True, betas=(0.8, 0.99)),
    "AdamW": lambda p: optim.AdamW(p, lr=0.01),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.01),
    "Adadelta": lambda p: optim.Adadelta(p),
    "Adamax": lambda p: optim.Adamax(p, lr=0.01),
    "NAdam": lambda p: optim.NAdam(p, lr=0.01),
    "RAdam": lambda p: optim.RAdam(p, lr=0.01),
    "ASGD": lambda p: optim.ASGD(p, lr=0.01),
    "Rprop": lambda p: optim.Rprop(p, lr=0.01),
    "Lion": lambda p: optim.Lion(p, lr=0.001),
}


def usual_step(model, optimizer):
    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def bytes_of(value):
    """Replace each tensor in a structure with its dtype, shape and bytes, for exact comparison."""
    if isinstance(value, fb.Tensor):
        return value.dtype, tuple(value.shape), value.detach().numpy().tobytes()
    if isinstance(value, dict):
        return {key: bytes_of(item) for key, item in value.items()}
    return [bytes_of(item) for item in value] if isinstance(value, list | tuple) else value


def train(make, optimizer_of, compiled, steps=20, make_step=usual_step, between=None):
    """Return losses, parameters, gradients and the optimizer's state after some steps, and the compiled step."""
    fb.manual_seed(0)
    model, batch = make()
    optimizer = optimizer_of(model.parameters())
    step = make_step(model, optimizer)
    run = fb.compile(step) if compiled else step
    losses = []
    for number in range(steps):
        losses.append(run(*batch()))
        if between is not None:
            between(number, model, optimizer)
    gradients = [p.grad for p in model.parameters()]
    return bytes_of([losses, model.state_dict(), gradients, optimizer.state_dict()]), run


def require_same(make, optimizer_of, programs=1, **options):
    """Train with and without compilation and require identical results; return the compiled step."""
    expected, _ = train(make, optimizer_of, False, **options)
    found, run = train(make, optimizer_of, True, **options)
    assert found == expected
    assert run.failures == [] and len(run.captured) == programs
    return run
