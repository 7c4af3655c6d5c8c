"""Random functions of two tensors, with pointwise operators, views, in-place changes and reductions."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import flambeau as fb
from flambeau.nn import functional as F

UNARY: list[Callable[[Any], Any]] = [
    fb.neg, fb.abs, fb.tanh, fb.sigmoid, fb.exp, fb.sin, fb.square, fb.relu, F.relu6, F.silu, F.hardswish, F.gelu,
    F.softplus, F.elu, F.leaky_relu, F.hardtanh, fb.erf, fb.floor, fb.sign,
    lambda x: F.gelu(x, approximate="tanh"), lambda x: fb.clamp(x, -0.5, 0.75), lambda x: x.clamp(min=0.1),
    lambda x: x.clamp(max=0.3), lambda x: x**2, lambda x: x**3, lambda x: 1.5 - x, lambda x: x * 0.5 + 1,
    lambda x: fb.sub(x, 2, alpha=1), lambda x: fb.add(x, x, alpha=0.5), lambda x: fb.div(x, 3, rounding_mode="floor"),
    lambda x: x.masked_fill(x > 0.5, -1.0), lambda x: fb.where(x < 0, x * 2, 0.25), lambda x: x.double().float(),
    lambda x: (x != x).float(), lambda x: x.abs().sqrt(), lambda x: (x.abs() + 1).log(), lambda x: x.abs() ** 0.5,
    lambda x: (x.square() + 1).rsqrt(), lambda x: fb.rsub(x, 2), lambda x: fb.nan_to_num(x),
    lambda x: F.dropout(x, 0.5, training=True), lambda x: x + fb.rand_like(x),
]  # fmt: skip
BINARY: list[Callable[[Any, Any], Any]] = [
    fb.add, fb.sub, fb.mul, fb.maximum, fb.minimum, fb.atan2, fb.fmod, lambda a, b: fb.div(a, b.abs() + 1),
    lambda a, b: fb.where(a > b, a, b), lambda a, b: fb.lerp(a, b, 0.25), lambda a, b: fb.addcmul(a, b, b),
    lambda a, b: a.masked_fill(b > 0, 0.5), lambda a, b: fb.hypot(a, b), lambda a, b: (a >= b) * a,
]  # fmt: skip
KEEPS_SHAPE: list[Callable[[Any], Any]] = [
    lambda x: x.softmax(-1), lambda x: x - x.mean(-1, keepdim=True), lambda x: x.cumsum(-1), lambda x: x.flip(0),
    lambda x: x.t().contiguous().t(), lambda x: x[:, :1] + x, lambda x: x.sum(0) + x,
    lambda x: x.reshape(-1).view(x.shape),
    lambda x: x / x.shape[1], lambda x: F.layer_norm(x, (x.shape[1],)), lambda x: fb.cat([x, x])[: x.shape[0]],
    lambda x: x @ fb.eye(x.shape[1]), lambda x: x.mean() + x,
]  # fmt: skip
IN_PLACE: list[Callable[[Any], Any]] = [
    lambda x: x.relu_(), lambda x: x.add_(1), lambda x: x.mul_(0.5), lambda x: x.tanh_(), lambda x: x.clamp_(-1, 1),
    lambda x: x.neg_(), lambda x: x.masked_fill_(x > 1, 0.0), lambda x: x[0].zero_(), lambda x: x.t().mul_(2),
    lambda x: x.fill_(0.5), lambda x: x.sub_(x.mean()), lambda x: x[:, 0].add_(3),
]  # fmt: skip


def random_program(seed: int) -> Callable[[Any, Any], Any]:
    """Return a function of two tensors (n, m) that returns one to three tensors and may change its arguments."""
    draw = random.Random(seed)
    steps: list[tuple[str, Any, int, int]] = []
    kinds = ["unary"] * 5 + ["binary"] * 5 + ["whole"] * 2 + ["in-place"] * draw.choice((0, 1, 2))
    table = {"unary": UNARY, "binary": BINARY, "whole": KEEPS_SHAPE, "in-place": IN_PLACE}
    for made in range(2, 2 + draw.randint(2, 12)):
        kind = draw.choice(kinds)
        steps.append((kind, draw.choice(table[kind]), draw.randrange(made), draw.randrange(made)))
    returned = [draw.randrange(2 + len(steps)) for _ in range(draw.randint(1, 3))]

    def program(x: Any, y: Any) -> Any:
        values = [x, y]
        for kind, operator, i, j in steps:
            if kind == "in-place":
                operator(values[i])
                values.append(values[i])
            else:
                values.append(operator(values[i], values[j]) if kind == "binary" else operator(values[i]))
        return tuple(values[k] for k in returned)

    return program
