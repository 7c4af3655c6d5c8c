"""Models of sizes that users train on a CPU: a GAN, a language model, a recurrent network, a policy."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..workload import Code, Library, Workload
from .training import LEARNING_RATE, Optimizer, adam, adamw, fill, forward, step

CODE, CHANNELS, IMAGES = 64, 64, (32, 3, 32, 32)


@dataclass(frozen=True)
class Size:
    """Sizes of a decoder and of its training batch."""

    vocabulary: int
    width: int
    heads: int
    blocks: int
    text: tuple[int, int]


CHARACTERS = Size(vocabulary=65, width=128, heads=4, blocks=4, text=(8, 64))


def dcgan(library: Library) -> Code:
    """Return one training step of both networks of a DCGAN on 32x32 images.

    Source: Radford, Metz, Chintala 2015, arXiv:1511.06434.
    """
    nn, functional = library.nn, library.functional

    def block(layer: Callable[..., Any], i: int, o: int, *geometry: int, activation: Any) -> tuple[Any, ...]:
        return layer(i, o, *geometry, bias=False), nn.BatchNorm2d(o), activation

    up, down, c = nn.ConvTranspose2d, nn.Conv2d, CHANNELS
    generator = nn.Sequential(
        *block(up, CODE, 4 * c, 4, 1, 0, activation=nn.ReLU(True)),
        *block(up, 4 * c, 2 * c, 4, 2, 1, activation=nn.ReLU(True)),
        *block(up, 2 * c, c, 4, 2, 1, activation=nn.ReLU(True)),
        *(up(c, IMAGES[1], 4, 2, 1, bias=False), nn.Tanh()),
    )
    critic = nn.Sequential(
        *(down(IMAGES[1], c, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)),
        *block(down, c, 2 * c, 4, 2, 1, activation=nn.LeakyReLU(0.2, True)),
        *block(down, 2 * c, 4 * c, 4, 2, 1, activation=nn.LeakyReLU(0.2, True)),
        *(down(4 * c, 1, 4, 1, 0, bias=False), nn.Flatten(0)),
    )
    rules = []
    for player in (generator, critic):
        fill(library, player)
        rules.append(library.optim.Adam(player.parameters(), lr=LEARNING_RATE, betas=(0.5, 0.999)))
    generator, critic = (library.compiled(player, fullgraph=True) for player in (generator, critic))
    images, noise = library.normal(*IMAGES), library.normal(IMAGES[0], CODE, 1, 1)
    real, fake = (library.tensor(np.full(IMAGES[0], label, np.float32)) for label in (1, 0))
    loss = functional.binary_cross_entropy_with_logits

    def training_step() -> Any:
        rules[1].zero_grad()
        generated = generator(noise)
        on_real = loss(critic(images), real)
        on_real.backward()
        loss(critic(generated.detach()), fake).backward()
        rules[1].step()
        rules[0].zero_grad()
        deceived = loss(critic(generated), real)
        deceived.backward()
        rules[0].step()
        return on_real

    return Code(training_step)


def gpt(library: Library, size: Size = CHARACTERS, *, half: bool = False, rule: Optimizer = adamw) -> Code:
    """Return one training step of a decoder, by default with AdamW. If ``half``, use autocast to bfloat16."""
    fb, functional = library.fb, library.functional
    model = decoder(library, size)
    fill(library, model)
    optimizer, call = rule(library, model.parameters()), library.compiled(model, fullgraph=True)
    tokens, following = library.integers(size.vocabulary, *size.text), library.integers(size.vocabulary, *size.text)

    def training_step() -> Any:
        optimizer.zero_grad()
        with fb.autocast(library.device, fb.bfloat16) if half else nullcontext():
            scores = call(tokens)
        loss = functional.cross_entropy(scores.flatten(0, 1).float(), following.flatten())
        loss.backward()
        optimizer.step()
        return loss

    return Code(training_step)


def decoder(library: Library, size: Size) -> Any:
    """Return a decoder like GPT-2 (Radford and others 2019), with weights drawn by the library."""
    fb, nn, functional = library.fb, library.nn, library.functional
    width = size.width

    class Block(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x: Any) -> Any:
            b, t, d = x.shape
            q, k, v = (
                part.view(b, t, size.heads, d // size.heads).transpose(1, 2)
                for part in self.qkv(self.norm_1(x)).split(d, 2)
            )
            heads = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(heads.transpose(1, 2).reshape(b, t, d))
            return x + self.narrow(functional.gelu(self.wide(self.norm_2(x))))

    class Decoder(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.token, self.place = nn.Embedding(size.vocabulary, width), nn.Embedding(size.text[1], width)
            self.blocks = nn.Sequential(*(Block() for _ in range(size.blocks)))
            self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, size.vocabulary)

        def forward(self, tokens: Any) -> Any:
            places = fb.arange(tokens.shape[1], device=tokens.device)
            x = self.token(tokens) + self.place(places)
            return self.head(self.norm(self.blocks(x)))

    return Decoder()


def lstm(library: Library) -> Any:
    """Return an LSTM with input size 64 and hidden size 128, and a classifier of the last output."""
    nn = library.nn

    class Reader(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.head = nn.LSTM(64, 128, batch_first=True), nn.Linear(128, 10)

        def forward(self, x: Any) -> Any:
            return self.head(self.lstm(x)[0][:, -1])

    return Reader()


def policy(library: Library) -> Any:
    """Return a policy with probabilities of two actions from four observations, as for CartPole."""
    nn = library.nn
    return nn.Sequential(nn.Linear(4, 128), nn.ReLU(), nn.Linear(128, 2), nn.Softmax(dim=-1))


def fused_adam(library: Library, parameters: Any) -> Any:
    return library.optim.Adam(parameters, lr=LEARNING_RATE, fused=True)


def update(rule: Callable[[Library, Any], Any], count: int) -> Callable[[Library], Code]:
    """Return a function that prepares the step of an optimizer for ``count`` parameters of shape 32x8."""

    def prepare(library: Library) -> Code:
        parameters = [library.nn.Parameter(library.normal(32, 8)) for _ in range(count)]
        for parameter in parameters:
            parameter.grad = library.normal(32, 8)
        return Code(rule(library, parameters).step, compare=False)

    return prepare


def deep(library: Library) -> Code:
    """Return the construction of 100 layers."""
    nn = library.nn
    return Code(lambda: len(nn.Sequential(*(nn.Linear(16, 16) for _ in range(100)))))


MODELS, MANY = "training, models", "many parameters"

ROWS = (
    Workload(MODELS, "DCGAN 32x32, batch 32, step", dcgan, at_most=0.9),
    Workload(MODELS, "GPT 4x128, batch 8x64, AdamW step", gpt, at_most=0.8),
    Workload(MODELS, "LSTM 64-128, batch 16x32, step", step(lstm, adam, (16, 32, 64), 10), at_most=0.7),
    Workload(MODELS, "policy network, batch 1, forward", forward(policy, (1, 4)), at_most=0.35),
    Workload(MANY, "Adam step, 200 of 32x8", update(adam, 200), at_most=0.2),
    Workload(MANY, "Adam step, 200 of 32x8, against fused", update(fused_adam, 200), at_most=1.0),
    Workload(MANY, "constructing 100 layers", deep, at_most=1.0),
)
