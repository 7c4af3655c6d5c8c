"""ViT-S/16 (Dosovitskiy and others 2020, arXiv:2010.11929; Touvron and others 2020, arXiv:2012.12877)."""

from __future__ import annotations

from typing import Any

from ..workload import Library

IMAGE, PATCH, WIDTH, HEADS, BLOCKS, CLASSES = 224, 16, 384, 6, 12, 1000


def vit_small(library: Library) -> Any:
    """Return a transformer for photographs of 224x224, with 22 million parameters and 1000 classes."""
    fb, nn, functional = library.fb, library.nn, library.functional

    class Block(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.norm_1, self.norm_2 = nn.LayerNorm(WIDTH, eps=1e-6), nn.LayerNorm(WIDTH, eps=1e-6)
            self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
            self.wide, self.narrow = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

        def forward(self, x: Any) -> Any:
            b, t, d = x.shape
            parts = self.qkv(self.norm_1(x)).view(b, t, 3, HEADS, d // HEADS).permute(2, 0, 3, 1, 4)
            heads = functional.scaled_dot_product_attention(parts[0], parts[1], parts[2])
            x = x + self.out(heads.transpose(1, 2).reshape(b, t, d))
            return x + self.narrow(functional.gelu(self.wide(self.norm_2(x))))

    class Classifier(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.patches = nn.Conv2d(3, WIDTH, PATCH, PATCH)
            self.label = nn.Parameter(fb.zeros(1, 1, WIDTH))
            self.places = nn.Parameter(fb.zeros(1, (IMAGE // PATCH) ** 2 + 1, WIDTH))
            self.blocks = nn.Sequential(*(Block() for _ in range(BLOCKS)))
            self.norm, self.head = nn.LayerNorm(WIDTH, eps=1e-6), nn.Linear(WIDTH, CLASSES)

        def forward(self, images: Any) -> Any:
            patches = self.patches(images).flatten(2).transpose(1, 2)
            x = fb.cat([self.label.expand(patches.shape[0], -1, -1), patches], 1) + self.places
            return self.head(self.norm(self.blocks(x))[:, 0])

    return Classifier()
