"""Multi-head attention."""

from __future__ import annotations

from typing import Any

from flambeau import Tensor, empty

from .. import functional as F, init
from ..parameter import Parameter
from .linear import NonDynamicallyQuantizableLinear
from .module import Module


class MultiheadAttention(Module):
    """Multi-head attention: ``concat(softmax(q @ k.T / sqrt(d)) @ v of each head) @ w_out``.

    Args:
        embed_dim: E, the size of query and output, a multiple of ``num_heads``.
        num_heads: number of heads, each of size ``d = embed_dim / num_heads``.
        dropout: the probability of dropping a weight while training.
        bias: if False, the projections have no biases.
        add_bias_kv: if True, append a learned key and value.
        add_zero_attn: if True, append a key and value of zeros.
        kdim, vdim: the sizes of keys and values. None means ``embed_dim``.
        batch_first: batches are ``(N, L, *)`` instead of ``(L, N, *)``.
        device, dtype: device and dtype of the parameters.
    Shapes: query ``(L, N, E)``, key ``(S, N, kdim)``, value ``(S, N, vdim)``, or all without N. The results
        are the output ``(L, N, E)``, and the weights ``(N, L, S)`` or None. ``key_padding_mask`` is ``(N, S)``;
        ``attn_mask`` is ``(L, S)`` or ``(N * num_heads, L, S)``. Boolean masks are True for masked elements; floating
        masks are added to the scores.
    Parameters: ``in_proj_weight`` ``(3 * E, E)`` (or ``q_proj_weight``, ``k_proj_weight``, ``v_proj_weight``),
        initialised with `init.xavier_uniform_`; ``in_proj_bias``, ``out_proj.weight``, ``out_proj.bias``, ``bias_k``,
        ``bias_v``.
    Raises: ValueError for sizes that are not positive; AssertionError if ``num_heads`` does not divide
        ``embed_dim``.
    Source: Vaswani et al. 2017, arXiv:1706.03762.

    >>> x = fb.zeros(5, 2, 8)
    >>> output, weights = nn.MultiheadAttention(8, num_heads=2)(x, x, x)
    >>> tuple(output.shape), tuple(weights.shape)
    ((5, 2, 8), (2, 5, 5))
    """

    in_proj_weight: Tensor | None
    in_proj_bias: Tensor | None
    q_proj_weight: Tensor | None
    k_proj_weight: Tensor | None
    v_proj_weight: Tensor | None
    bias_k: Tensor | None
    bias_v: Tensor | None

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                f"embed_dim and num_heads must be greater than 0, got embed_dim={embed_dim} and num_heads={num_heads}"
            )
        if embed_dim % num_heads:
            raise AssertionError(f"embed_dim must be divisible by num_heads, got {embed_dim} and {num_heads}")
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        self.add_zero_attn = add_zero_attn
        options = {"device": device, "dtype": dtype}
        separate = {"q_proj_weight": embed_dim, "k_proj_weight": self.kdim, "v_proj_weight": self.vdim}
        for name, size in separate.items():
            made = None if self._qkv_same_embed_dim else Parameter(empty(embed_dim, size, **options))
            self.register_parameter(name, made)
        joint = Parameter(empty(3 * embed_dim, embed_dim, **options)) if self._qkv_same_embed_dim else None
        self.register_parameter("in_proj_weight", joint)
        self.register_parameter("in_proj_bias", Parameter(empty(3 * embed_dim, **options)) if bias else None)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias, **options)
        for name in ("bias_k", "bias_v"):
            self.register_parameter(name, Parameter(empty(1, 1, embed_dim, **options)) if add_bias_kv else None)
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for name in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
            weight = getattr(self, name)
            if weight is not None:
                init.xavier_uniform_(weight)
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                init.zeros_(bias)
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                init.xavier_normal_(bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        swaps = self.batch_first and query.ndim == 3
        if swaps:
            query, key, value = (each.transpose(0, 1) for each in (query, key, value))
        output, weights = F.multi_head_attention_forward(
            query,
            key,
            value,
            self.embed_dim,
            self.num_heads,
            self.in_proj_weight,
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            self.dropout,
            self.out_proj.weight,
            self.out_proj.bias,
            training=self.training,
            key_padding_mask=key_padding_mask,
            need_weights=need_weights,
            attn_mask=attn_mask,
            use_separate_proj_weight=not self._qkv_same_embed_dim,
            q_proj_weight=self.q_proj_weight,
            k_proj_weight=self.k_proj_weight,
            v_proj_weight=self.v_proj_weight,
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
        )
        return (output.transpose(0, 1) if swaps else output), weights
