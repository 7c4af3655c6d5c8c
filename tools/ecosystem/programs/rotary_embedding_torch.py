"""Rotary-embedding-torch: positions as rotations of queries and keys."""

from rotary_embedding_torch import RotaryEmbedding, apply_rotary_emb

from tools.ecosystem.cases import normal


def positions():
    embedding = RotaryEmbedding(dim=8)
    queries = normal(1, 2, 12, 16).requires_grad_()
    rotated = embedding.rotate_queries_or_keys(queries)
    rotated.square().mul(normal(1, 2, 12, 16, seed=1)).sum().backward()
    scaled = RotaryEmbedding(dim=8, use_xpos=True)
    cached = embedding.rotate_queries_with_cached_keys(normal(1, 2, 1, 16), normal(1, 2, 12, 16, seed=2))
    return {
        "rotated": rotated,
        "gradient": queries.grad,
        "xpos": list(scaled.rotate_queries_and_keys(normal(1, 2, 6, 16), normal(1, 2, 6, 16, seed=1))),
        "cached": list(cached),
        "interpolated": RotaryEmbedding(dim=8, interpolate_factor=2.0).rotate_queries_or_keys(normal(1, 2, 6, 16)),
    }


def pixels():
    embedding = RotaryEmbedding(dim=4, freqs_for="pixel", max_freq=16)
    frequencies = embedding.get_axial_freqs(4, 6)
    return {"frequencies": frequencies, "rotated": apply_rotary_emb(frequencies, normal(1, 4, 6, 12))}
