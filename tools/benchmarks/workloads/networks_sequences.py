"""Networks for text, sound, sequences of image patches, and tables, written once with functions of both libraries."""

from __future__ import annotations

import itertools
from typing import Any

from ..workload import Library


def encoder_block(library: Library, width: int, heads: int, norm_first: bool) -> Any:
    """Return a block of a transformer's encoder."""
    nn, functional = library.nn, library.functional

    class Block(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.q, self.k, self.v, self.out = (nn.Linear(width, width) for _ in range(4))
            self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def attend(self, x: Any) -> Any:
            b, t, d = x.shape
            q, k, v = (part(x).view(b, t, heads, d // heads).transpose(1, 2) for part in (self.q, self.k, self.v))
            y = functional.scaled_dot_product_attention(q, k, v)
            return self.out(y.transpose(1, 2).reshape(b, t, d))

        def feed(self, x: Any) -> Any:
            return self.narrow(functional.gelu(self.wide(x)))

        def forward(self, x: Any) -> Any:
            if norm_first:
                x = x + self.attend(self.norm_1(x))
                return x + self.feed(self.norm_2(x))
            x = self.norm_1(x + self.attend(x))
            return self.norm_2(x + self.feed(x))

    return Block()


def bert(library: Library) -> Any:
    """Return BERT-base (Devlin and others 2018, arXiv:1810.04805) without a head."""
    fb, nn = library.fb, library.nn
    blocks = [encoder_block(library, 768, 12, norm_first=False) for _ in range(12)]

    class Bert(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.token, self.position, self.kind = (
                nn.Embedding(30_522, 768),
                nn.Embedding(512, 768),
                nn.Embedding(2, 768),
            )
            self.norm = nn.LayerNorm(768, eps=1e-12)
            self.blocks = nn.Sequential(*blocks)

        def forward(self, tokens: Any, kinds: Any) -> Any:
            positions = fb.arange(tokens.shape[1], device=tokens.device)
            return self.blocks(self.norm(self.token(tokens) + self.position(positions) + self.kind(kinds)))

    return Bert()


def vit(library: Library) -> Any:
    """Return ViT-S/16 (Dosovitskiy and others 2020, arXiv:2010.11929; sizes of arXiv:2012.12877)."""
    fb, nn = library.fb, library.nn
    blocks = [encoder_block(library, 384, 6, norm_first=True) for _ in range(12)]

    class ViT(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.patches = nn.Conv2d(3, 384, 16, 16)
            self.class_token = nn.Parameter(fb.zeros(1, 1, 384))
            self.positions = nn.Parameter(fb.zeros(1, 197, 384))
            self.blocks = nn.Sequential(*blocks)
            self.norm, self.head = nn.LayerNorm(384), nn.Linear(384, 1000)

        def forward(self, x: Any) -> Any:
            y = self.patches(x).flatten(2).transpose(1, 2)
            y = fb.cat([self.class_token.expand(x.shape[0], -1, -1), y], 1) + self.positions
            return self.head(self.norm(self.blocks(y))[:, 0])

    return ViT()


def lstm(library: Library) -> Any:
    """Return an LSTM with two layers of size 256 and a classifier of the last output."""
    nn = library.nn

    class Reader(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.head = nn.LSTM(64, 256, num_layers=2, batch_first=True), nn.Linear(256, 10)

        def forward(self, x: Any) -> Any:
            return self.head(self.lstm(x)[0][:, -1])

    return Reader()


def wavenet(library: Library) -> Any:
    """Return gated dilated convolutions over time, as in WaveNet (van den Oord and others 2016, arXiv:1609.03499)."""
    fb, nn, functional = library.fb, library.nn, library.functional

    class Layer(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self, dilation: int) -> None:
            super().__init__()
            self.dilation = dilation
            self.gated, self.out = nn.Conv1d(32, 64, 2, dilation=dilation), nn.Conv1d(32, 64, 1)

        def forward(self, x: Any) -> tuple[Any, Any]:
            value, gate = self.gated(functional.pad(x, (self.dilation, 0))).chunk(2, 1)
            residual, skip = self.out(fb.tanh(value) * fb.sigmoid(gate)).chunk(2, 1)
            return x + residual, skip

    class WaveNet(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv1d(1, 32, 1)
            self.layers = nn.ModuleList(Layer(2**i) for i in range(10))
            self.head = nn.Sequential(nn.ReLU(), nn.Conv1d(32, 32, 1), nn.ReLU(), nn.Conv1d(32, 256, 1))

        def forward(self, x: Any) -> Any:
            x, total = self.first(x), 0
            for layer in self.layers:
                x, skip = layer(x)
                total = total + skip
            return self.head(total)

    return WaveNet()


TABLES, FEATURES = 8, 13


def dlrm(library: Library) -> Any:
    """Return a recommendation model of embeddings and perceptrons (Naumov and others 2019, arXiv:1906.00091)."""
    fb, nn = library.fb, library.nn

    def perceptron(*widths: int) -> Any:
        layers: list[Any] = []
        for i, o in itertools.pairwise(widths):
            layers += [nn.Linear(i, o), nn.ReLU()]
        return nn.Sequential(*layers)

    class Recommender(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.tables = nn.ModuleList(nn.Embedding(10_000, 32) for _ in range(TABLES))
            self.bottom, self.top = perceptron(FEATURES, 128, 64, 32), perceptron(32 + (TABLES + 1) ** 2, 128, 64)
            self.head = nn.Linear(64, 1)

        def forward(self, features: Any, categories: Any) -> Any:
            x = self.bottom(features)
            vectors = fb.stack([x, *(table(categories[:, i]) for i, table in enumerate(self.tables))], 1)
            products = vectors @ vectors.transpose(1, 2)
            return fb.sigmoid(self.head(self.top(fb.cat([x, products.flatten(1)], 1))))

    return Recommender()
