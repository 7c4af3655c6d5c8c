"""X-transformers: attention layers with the options of many papers."""

import torch
from x_transformers import (
    AutoregressiveWrapper,
    ContinuousTransformerWrapper,
    Decoder,
    Encoder,
    TransformerWrapper,
    ViTransformerWrapper,
    XTransformer,
)

from tools.ecosystem.cases import fill, gradients, integers, normal


def _layers(kind=Decoder, **options):
    return kind(**{"dim": 32, "depth": 2, "heads": 2, "attn_dim_head": 16, **options})


def _language(**options):
    wrapper = options.pop("wrapper", {})
    return TransformerWrapper(num_tokens=40, max_seq_len=24, attn_layers=_layers(**options), **wrapper)


def _computed(model, *inputs, **options):
    out = fill(model).eval()(*inputs, **options)
    out = out if out.dim() == 0 else out.square().sum()
    out.backward()
    lengths = torch.stack([value.double().norm() for value in gradients(model).values()])
    return {"out": out, "lengths": lengths}


def positions():
    kinds = {
        "absolute": {},
        "rotary": {"rotary_pos_emb": True},
        "scaled": {"rotary_pos_emb": True, "rotary_xpos": True},
        "alibi": {"alibi_pos_bias": True},
        "relative": {"rel_pos_bias": True},
        "dynamic": {"dynamic_pos_bias": True, "dynamic_pos_bias_log_distance": False},
    }
    tokens = integers(40, 2, 16)
    return {name: _computed(_language(**options), tokens) for name, options in kinds.items()}


def options():
    kinds = {
        "gated": {"ff_glu": True, "ff_swish": True, "ff_no_bias": True},
        "rms": {"use_rmsnorm": True, "sandwich_norm": True},
        "scale": {"use_scalenorm": True, "residual_attn": True},
        "few": {"attn_kv_heads": 1},
        "one": {"attn_one_kv_head": True},
        "normed": {"attn_qk_norm": True, "attn_qk_norm_groups": 2},
        "memory": {"attn_num_mem_kv": 3},
        "talking": {"attn_pre_talking_heads": True, "attn_post_talking_heads": True},
        "sparse": {"attn_sparse_topk": 4},
        "flash": {"attn_flash": True},
        "macaron": {"macaron": True},
        "shifted": {"shift_tokens": 1},
        "hyper": {"num_residual_streams": 2},
        "values": {"attn_gate_values": True},
    }
    tokens = integers(40, 2, 16)
    return {name: _computed(_language(**chosen), tokens) for name, chosen in kinds.items()}


def training():
    model = fill(AutoregressiveWrapper(_language(rotary_pos_emb=True)))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []
    for step in range(3):
        loss = model(integers(40, 2, 17, seed=step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    model.eval()
    written = model.generate(integers(40, 2, 4), 8, temperature=0.0, cache_kv=True)
    return {"losses": losses, "written": written}


def encoders():
    images = ViTransformerWrapper(image_size=16, patch_size=4, num_classes=5, attn_layers=_layers(Encoder))
    series = ContinuousTransformerWrapper(dim_in=6, dim_out=3, max_seq_len=16, attn_layers=_layers(Encoder))
    mask = torch.arange(16) < torch.tensor([[16], [9]])
    return {
        "images": _computed(images, normal(2, 3, 16, 16)),
        "series": _computed(series, normal(2, 16, 6), mask=mask),
        "crossing": _computed(_crossing(), integers(40, 2, 10), context=normal(2, 5, 32)),
    }


def _crossing():
    return _language(cross_attend=True)


def translation():
    model = XTransformer(
        dim=32,
        enc_num_tokens=40,
        enc_depth=1,
        enc_heads=2,
        enc_max_seq_len=12,
        dec_num_tokens=40,
        dec_depth=1,
        dec_heads=2,
        dec_max_seq_len=12,
        tie_token_emb=True,
    )
    return _computed(model, integers(40, 2, 12), integers(40, 2, 12, seed=1), mask=torch.ones(2, 12, dtype=torch.bool))
