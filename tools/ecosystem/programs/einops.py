"""Einops: rearrangement of tensors by named dimensions."""

import torch
from einops import einsum, pack, rearrange, reduce, repeat, unpack
from einops.layers.torch import EinMix, Rearrange, Reduce

from tools.ecosystem.cases import fill, gradients, normal


def functions():
    images = normal(2, 8, 8, 3)
    packed, shapes = pack([images[..., 0], images[:, 0, 0]], "b *")
    return {
        "patches": rearrange(images, "b (h p) (w q) c -> b (h w) (p q c)", p=2, q=4),
        "means": reduce(images, "b h w c -> b c", "mean"),
        "largest": reduce(images, "b (h 2) w c -> h c", "max"),
        "tiled": repeat(images, "b h w c -> b h (w k) c", k=3),
        "grams": einsum(images, images, "b h w c, b h w d -> b c d"),
        "unpacked": unpack(packed, shapes, "b *"),
    }


def layers():
    model = torch.nn.Sequential(
        Rearrange("b (h p) (w q) c -> b (h w) (p q c)", p=2, q=2),
        EinMix("b t c -> b t d", weight_shape="c d", bias_shape="d", c=12, d=5),
        torch.nn.GELU(),
        Reduce("b t d -> b d", "mean"),
    )
    fill(model)(normal(2, 8, 8, 3)).square().sum().backward()
    return gradients(model)
