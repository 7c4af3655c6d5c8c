"""Performer-pytorch: attention of linear cost."""

import torch
from performer_pytorch import Performer, PerformerLM, SelfAttention

from tools.ecosystem.cases import fill, gradients, integers, normal


def _computed(model, *inputs):
    out = fill(model)(*inputs)
    out.square().mean().backward()
    return {"out": out, "gradients": gradients(model)}


def attention():
    torch.manual_seed(0)  # seed of the random features
    return _computed(SelfAttention(dim=32, heads=2, causal=False), normal(1, 24, 32))


def encoder():
    torch.manual_seed(0)
    return _computed(Performer(dim=32, depth=1, heads=2, dim_head=16), normal(1, 24, 32))


def language_models():
    found = {}
    for name, options in {"softmax": {"causal": True}, "relu": {"generalized_attention": True}}.items():
        torch.manual_seed(0)
        model = PerformerLM(num_tokens=50, max_seq_len=32, dim=32, depth=1, heads=2, nb_features=16, **options)
        found[name] = _computed(model, integers(50, 1, 32))
    return found
