"""Reformer-pytorch: reversible transformers with locality-sensitive hashing attention."""

import torch
from reformer_pytorch import LSHSelfAttention, ReformerLM

from tools.ecosystem.cases import fill, gradients, integers, normal


def language():
    model = fill(
        ReformerLM(
            num_tokens=20,
            dim=16,
            depth=2,
            max_seq_len=16,
            heads=2,
            bucket_size=4,
            n_hashes=2,
            ff_chunks=2,
            causal=True,
            use_full_attn=True,
        )
    )
    logits = model(integers(20, 2, 16))
    logits.square().sum().backward()
    return {"logits": logits} | gradients(model)


def hashed():
    layer = fill(LSHSelfAttention(dim=16, heads=2, bucket_size=4, n_hashes=2, causal=True))
    output = layer(normal(1, 16, 16))
    output.sum().backward()
    return {
        "shape": list(output.shape),
        "finite": bool(torch.isfinite(output).all()),
        "names": sorted(gradients(layer)),
    }
