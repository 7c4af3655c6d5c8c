"""Computations of each family of operators on any device, forward and backward.

The inputs do not depend on the device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import flambeau as fb
import flambeau.nn.functional as F
from flambeau import nn, optim

Results = list[Any]  # tensors
EXACT, DOUBLE, SINGLE, HALF, BRAIN = 0.0, 1e-12, 1e-5, 2e-3, 1.6e-2
TRAINED = 1e-4  # tolerance after five training steps in float32


@dataclass(frozen=True)
class Work:
    """Computation whose results are compared between devices.

    Args:
        run: function that returns tensors for a device.
        tolerance: largest accepted difference from the CPU's result, as a fraction of that result's largest element.
    """

    run: Callable[[str], Results]
    tolerance: float


def normal(device: str, *shape: int, dtype: Any = fb.float32) -> Any:
    """Return random numbers that are drawn on the CPU."""
    return fb.randn(*shape).to(dtype).to(device)


def with_gradients(function: Callable[..., Any], *inputs: Any) -> Results:
    """Return a result, and the derivatives of its dot product with weights that differ for each position."""
    leaves = [x.detach().requires_grad_() for x in inputs]
    out = function(*leaves)
    weight = fb.linspace(-1.0, 1.0, out.numel(), device=out.device).reshape(out.shape).to(out.dtype)
    return [out.detach(), *fb.autograd.grad((out * weight).sum(), leaves)]


def allocate(device: str) -> Results:
    tensors = [fb.zeros(1000, device=device), fb.ones(3, 5, device=device), fb.full((7,), 2.5, device=device)]
    return [*tensors, fb.arange(100_000, device=device), fb.empty(0, device=device), fb.eye(5, device=device)]


def add(device: str) -> Results:
    x, y = normal(device, 1000, 37), normal(device, 37)
    return [x + y, x.t() + 1, x[::3, 1::2] + y[1::2], (x * 100).to(fb.int64) + 1, x + x.to(fb.float64)]


def pointwise(device: str) -> Results:
    x, y = normal(device, 33, 65), normal(device, 65)
    return with_gradients(lambda x, y: (x.sigmoid() * y.exp() + F.gelu(x) - fb.atan2(x, y + 3)).tanh(), x, y)


def half_pointwise(device: str) -> Results:
    x = normal(device, 33, 64, dtype=fb.float16)
    return [x.exp(), x * 2.5, F.silu(x), x.clamp(-1, 1), fb.where(x > 0, x, x * x)]


def reductions(device: str) -> Results:
    x = normal(device, 70, 300)
    sums = with_gradients(lambda x: x.square().sum(0) + x.mean() + x.var(0) + x.logsumexp(0), x)
    return [*sums, x.sum(), x.amax(1), x.prod(1), (x > 0).any(0), x.to(fb.float64).std(1)]


def positions(device: str) -> Results:
    x = normal(device, 70, 300)
    return [x.argmax(1), x.argmin(0), x.argmax(), x.sort(1)[1], x.topk(5, 1)[1], (x > 1).nonzero(), x.median(1)[1]]


def scans(device: str) -> Results:
    return with_gradients(lambda x: x.cumsum(1) + x.sigmoid().cumprod(1) + x.logcumsumexp(1), normal(device, 9, 200))


def losses(device: str) -> Results:
    labels = (fb.arange(40) % 10).to(device)
    logits = normal(device, 40, 10)
    entropy = with_gradients(lambda x: F.cross_entropy(x, labels, label_smoothing=0.1), logits)
    return [*entropy, *with_gradients(lambda x: x.softmax(1).log() + x.log_softmax(0), logits)]


def products(device: str, dtype: Any = fb.float32) -> Results:
    a, b, c = (normal(device, *shape, dtype=dtype) for shape in ((130, 70), (70, 257), (3, 70, 130)))
    return [*with_gradients(fb.matmul, a, b), *with_gradients(fb.matmul, c, a), a @ b[:, 0]]


def convolution(device: str, dtype: Any = fb.float32) -> Results:
    x, w, bias = (normal(device, *shape, dtype=dtype) for shape in ((4, 6, 20, 20), (8, 3, 3, 3), (8,)))
    grouped = with_gradients(lambda x, w, b: F.conv2d(x, w, b, stride=2, padding=1, groups=2), x, w, bias)
    up = normal(device, 6, 4, 4, 4, dtype=dtype)
    return [*grouped, *with_gradients(lambda x, w: F.conv_transpose2d(x, w, stride=2, padding=1), x, up)]


def attention(device: str, dtype: Any = fb.float32) -> Results:
    q, k, v = (normal(device, 2, 3, 70, 64, dtype=dtype) for _ in range(3))
    return with_gradients(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True), q, k, v)


def indexing(device: str) -> Results:
    x = normal(device, 50, 30)
    rows, columns = (fb.arange(60) * 7 % 50).to(device), (fb.arange(60) * 11 % 30).to(device)
    picked = with_gradients(lambda x: x[rows, columns] + x.gather(1, columns.expand(50, 60)).sum(0), x)
    sums = fb.zeros(50, 30, device=device).index_add_(0, rows, normal(device, 60, 30))
    return [*picked, sums, x.masked_fill(x > 0, 0), F.embedding(rows, x), x.scatter(0, rows[None, :30] % 50, 1.0)]


def pooling(device: str) -> Results:
    x = normal(device, 2, 3, 17, 19)
    pooled = with_gradients(lambda x: F.max_pool2d(x, 3, 2) + F.avg_pool2d(x, 3, 2), x)
    return [*pooled, *with_gradients(lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), x)]


def norms(device: str) -> Results:
    x, w, b = normal(device, 8, 12, 10), normal(device, 10), normal(device, 10)
    layer = with_gradients(lambda x, w, b: F.layer_norm(x, (10,), w, b), x, w, b)
    return [*layer, *with_gradients(lambda x: F.batch_norm(x, None, None, training=True), x)]


def linear_algebra(device: str) -> Results:
    x = normal(device, 3, 20, 20)
    spd = x @ x.mT + 20 * fb.eye(20, device=device)
    return [fb.linalg.cholesky(spd), fb.linalg.solve(spd, x), fb.linalg.inv(spd), fb.linalg.det(spd / 40)]


def random_numbers(device: str) -> Results:
    fb.manual_seed(3)
    drawn = [fb.rand(1001, device=device), fb.randint(100, (77,), device=device), fb.randperm(50, device=device)]
    return [*drawn, (F.dropout(fb.ones(500, device=device)) > 0)]


def recurrent(device: str) -> Results:
    fb.manual_seed(3)
    network = nn.LSTM(7, 12, num_layers=2, batch_first=True).to(device)
    return with_gradients(lambda x: network(x)[0], normal(device, 4, 9, 7))


def lenet(device: str, dtype: Any = None) -> Results:
    """Return losses and weights of five training steps of LeNet."""
    fb.manual_seed(3)
    model = nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    ).to(device)
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    images, labels = normal(device, 16, 1, 28, 28), (fb.arange(16) % 10).to(device)
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        with fb.autocast(fb.device(device).type, dtype or fb.bfloat16, enabled=dtype is not None):
            loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return [fb.stack(losses), *(parameter.detach() for parameter in model.parameters())]


WORK = {
    "allocate": Work(allocate, EXACT),
    "add": Work(add, EXACT),
    "pointwise": Work(pointwise, SINGLE),
    "pointwise, float16": Work(half_pointwise, HALF),
    "reductions": Work(reductions, SINGLE),
    "positions": Work(positions, EXACT),
    "scans": Work(scans, SINGLE),
    "losses": Work(losses, SINGLE),
    "matmul": Work(products, SINGLE),
    "matmul, float64": Work(lambda device: products(device, fb.float64), DOUBLE),
    "matmul, float16": Work(lambda device: products(device, fb.float16), HALF),
    "matmul, bfloat16": Work(lambda device: products(device, fb.bfloat16), BRAIN),
    "convolution": Work(convolution, SINGLE),
    "convolution, bfloat16": Work(lambda device: convolution(device, fb.bfloat16), BRAIN),
    "attention": Work(attention, SINGLE),
    "attention, bfloat16": Work(lambda device: attention(device, fb.bfloat16), BRAIN),
    "indexing": Work(indexing, SINGLE),
    "pooling": Work(pooling, SINGLE),
    "norms": Work(norms, SINGLE),
    "linear algebra": Work(linear_algebra, SINGLE),
    "random numbers": Work(random_numbers, SINGLE),
    "recurrent": Work(recurrent, SINGLE),
    "LeNet training steps": Work(lenet, TRAINED),
}
