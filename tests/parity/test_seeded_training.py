"""Tests that the losses of training from a seed, with dropout and shuffled samples, equal PyTorch's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import flambeau as fb

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("pytorch_streams")]


def lenet(lib: Any) -> list[float]:
    """Train LeNet with dropout on noise that a loader shuffles, and return the losses."""
    nn = lib.nn
    data = lib.utils.data
    images, labels = lib.randn(320, 1, 28, 28), lib.randint(0, 10, (320,))
    model = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Dropout(0.25), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip
    optimizer = lib.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    losses = []
    for _ in range(2):
        for x, y in data.DataLoader(data.TensorDataset(images, labels), batch_size=32, shuffle=True):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


def small_gpt(lib: Any) -> list[float]:
    """Train a two-layer GPT with dropout, initialised as in nanoGPT, and return the losses."""
    nn, F = lib.nn, lib.nn.functional
    width, heads, length, words, drop = 32, 4, 16, 20, 0.1

    class Block(nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.mlp = nn.Sequential(
                nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.Dropout(drop)
            )
            self.resid_dropout = nn.Dropout(drop)

        def forward(self, x: Any) -> Any:
            B, T, C = x.shape
            parts = self.c_attn(self.ln_1(x)).split(C, dim=2)
            q, k, v = (part.view(B, T, heads, C // heads).transpose(1, 2) for part in parts)
            y = F.scaled_dot_product_attention(q, k, v, dropout_p=drop, is_causal=True)
            x = x + self.resid_dropout(self.c_proj(y.transpose(1, 2).contiguous().view(B, T, C)))
            return x + self.mlp(self.ln_2(x))

    class GPT(nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.wte, self.wpe = nn.Embedding(words, width), nn.Embedding(length, width)
            self.drop, self.blocks = nn.Dropout(drop), nn.ModuleList([Block() for _ in range(2)])
            self.ln_f, self.head = nn.LayerNorm(width), nn.Linear(width, words, bias=False)
            self.apply(self._init)

        def _init(self, module: Any) -> None:
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, mean=0.0, std=0.02)

        def forward(self, tokens: Any) -> Any:
            x = self.drop(self.wte(tokens) + self.wpe(lib.arange(tokens.shape[1])))
            for block in self.blocks:
                x = block(x)
            return self.head(self.ln_f(x))

    model = GPT()
    optimizer = lib.optim.AdamW(model.parameters(), lr=1e-3)
    text = lib.randint(0, words, (400,))
    losses = []
    for _ in range(20):
        at = lib.randint(len(text) - length - 1, (8,))
        x = lib.stack([text[i : i + length] for i in at])
        y = lib.stack([text[i + 1 : i + 1 + length] for i in at])
        loss = F.cross_entropy(model(x).view(-1, words), y.view(-1))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


def dcgan(lib: Any) -> list[float]:
    """Train PyTorch's DCGAN tutorial with few channels, and return the losses."""
    nn = lib.nn
    codes, size = 16, 4

    def weights_init(m: Any) -> None:
        name = type(m).__name__
        if "Conv" in name:
            nn.init.normal_(m.weight.data, 0.0, 0.02)
        elif "BatchNorm" in name:
            nn.init.normal_(m.weight.data, 1.0, 0.02)
            nn.init.constant_(m.bias.data, 0)

    def up(a: int, b: int, *last: Any) -> list[Any]:
        return [nn.ConvTranspose2d(a, b, 4, *last, bias=False), nn.BatchNorm2d(b), nn.ReLU(True)]

    def down(a: int, b: int) -> list[Any]:
        return [nn.Conv2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.LeakyReLU(0.2, inplace=True)]

    last = [nn.ConvTranspose2d(size, 1, 4, 2, 1, bias=False), nn.Tanh()]
    generator = nn.Sequential(*up(codes, 4 * size, 1, 0), *up(4 * size, size, 2, 1), *last).apply(weights_init)
    first = [nn.Conv2d(1, size, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)]
    judge = nn.Sequential(*first, *down(size, 4 * size), nn.Conv2d(4 * size, 1, 4, 1, 0, bias=False), nn.Sigmoid())
    judge.apply(weights_init)
    criterion, images = nn.BCELoss(), lib.rand(80, 1, 16, 16) * 2 - 1
    optimizers = [lib.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999)) for net in (judge, generator)]
    losses = []
    for step in range(20):
        real = images[8 * (step % 10) :][:8]
        judge.zero_grad()
        loss_real = criterion(judge(real).view(-1), lib.ones(8))
        loss_real.backward()
        fake = generator(lib.randn(8, codes, 1, 1))
        loss_fake = criterion(judge(fake.detach()).view(-1), lib.zeros(8))
        loss_fake.backward()
        optimizers[0].step()
        generator.zero_grad()
        loss = criterion(judge(fake).view(-1), lib.ones(8))
        loss.backward()
        optimizers[1].step()
        losses += [(loss_real + loss_fake).item(), loss.item()]
    return losses


@pytest.mark.parametrize("train", [lenet, small_gpt, dcgan])
def test_training_from_a_seed_gives_the_same_losses(train: Callable[[Any], list[float]]) -> None:
    losses = []
    for lib in (fb, torch):
        lib.manual_seed(1337)
        losses.append(train(lib))
    assert len(losses[0]) >= 20
    np.testing.assert_allclose(*losses, rtol=1e-5)
