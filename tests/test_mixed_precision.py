"""Training in float16 and bfloat16: autocast, GradScaler, an optimizer and clipping together."""

from __future__ import annotations

import math

import pytest

import flambeau as fb
from flambeau import nn, optim


@pytest.mark.parametrize("dtype", [fb.float16, fb.bfloat16])
def test_a_network_learns_with_autocast_and_grad_scaler(dtype: fb.dtype) -> None:
    fb.manual_seed(0)
    x = fb.randn(256, 2)
    y = x[:, :1] * x[:, 1:]
    model = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    scaler = fb.amp.GradScaler("cpu", init_scale=2.0**30, growth_interval=50)
    losses, skipped = [], 0
    for _ in range(200):
        with fb.autocast("cpu", dtype=dtype):
            loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        before = scaler.get_scale()
        scaler.step(optimizer)
        scaler.update()
        skipped += scaler.get_scale() < before
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]
    assert (skipped > 0) == (dtype is fb.float16)  # a factor of 2**30 overflows float16 only
    assert all(p.dtype is fb.float32 for p in model.parameters())


def test_gradient_scaling_prevents_underflow_of_small_gradients() -> None:
    weight = nn.Parameter(fb.ones(1, 1))
    x = fb.full((1, 1), 1e-4)

    def gradient(factor: float) -> float:
        weight.grad = None
        with fb.autocast("cpu", dtype=fb.float16):
            out = fb.linear(x, weight)
        (out.float().sum() * 1e-5 * factor).backward()
        assert weight.grad is not None
        return weight.grad.item() / factor

    assert gradient(1.0) == 0  # 1e-9 underflows to 0 in float16
    assert math.isclose(gradient(2.0**16), 1e-9, rel_tol=1e-2)
