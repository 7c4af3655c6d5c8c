"""Models, data, and the training of one process on all of the data, as the reference for several processes."""

import flambeau as fb
from flambeau import nn

ROWS = 4  # batch size of each process


class Branches(nn.Module):
    """Model with parameters of two dtypes, a layer that is used twice, a frozen layer and a buffer."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 5)
        self.twice = nn.Linear(5, 5)
        self.frozen = nn.Linear(5, 5, bias=False).requires_grad_(False)
        self.last = nn.Linear(5, 2)
        self.double()
        self.narrow = nn.Parameter(fb.randn(2))
        self.register_buffer("shift", fb.randn(2, dtype=fb.float64))

    def forward(self, x):
        x = self.first(x).tanh()
        x = self.frozen(self.twice(self.twice(x).tanh()))
        return self.last(x) * self.narrow.double() + self.shift


def made(kind, seed, *args):
    """Create a module whose random parameters are determined by ``seed``."""
    fb.manual_seed(seed)
    return kind(*args)


def batch(rank, step=0, rows=ROWS):
    """Return the inputs and targets of a rank for one step."""
    generator = fb.Generator().manual_seed(100 * step + rank)
    x = fb.randn(rows, 3, dtype=fb.float64, generator=generator)
    return x, x[:, :2].sin()


def loss(model, x, y):
    return nn.functional.mse_loss(model(x), y)


def descend(model, rate=0.1):
    with fb.no_grad():
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter -= rate * parameter.grad
                parameter.grad = None


def gradients(model):
    """Return the gradients as arrays by name; missing ones are None."""
    found = ((name.removeprefix("module."), parameter.grad) for name, parameter in model.named_parameters())
    return {name: None if grad is None else grad.detach().double().numpy().copy() for name, grad in found}


def of_all(model, ranks, step=0):
    """Compute the gradients of the concatenated batches of all ranks in one process."""
    batches = [batch(rank, step) for rank in range(ranks)]
    x, y = (fb.cat(each) for each in zip(*batches, strict=True))
    model.zero_grad()
    loss(model, x, y).backward()
    return gradients(model)
