"""Local-attention: attention inside windows of a sequence."""

import torch
from local_attention import LocalAttention
from local_attention.transformer import LocalTransformer

from tools.ecosystem.cases import fill, integers, normal


def windows():
    queries, keys, values = (normal(2, 4, 64, 8, seed=seed).requires_grad_() for seed in range(3))
    attention = LocalAttention(dim=8, window_size=16, causal=True, look_backward=1, use_rotary_pos_emb=True)
    mask = torch.arange(64)[None] < torch.tensor([[64], [40]])
    output = attention(queries, keys, values, mask=mask)
    output.square().sum().backward()
    padded = LocalAttention(dim=8, window_size=10, look_forward=1, autopad=True, exact_windowsize=True)
    return {"output": output, "gradient": queries.grad, "padded": padded(queries, keys, values)}


def transformer():
    model = fill(
        LocalTransformer(num_tokens=20, dim=16, depth=2, max_seq_len=64, causal=True, local_attn_window_size=16)
    )
    loss = model(integers(20, 2, 33), return_loss=True)
    loss.backward()
    logits = model.eval()(integers(20, 2, 16))
    return {"loss": loss, "logits": logits, "gradient": model.token_emb.weight.grad}
