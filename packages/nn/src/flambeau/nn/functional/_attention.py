"""Attention."""

from __future__ import annotations

import math
import warnings

import flambeau
from flambeau import Tensor, _core
from flambeau.backends import _attention as _ways

from ._dropout import dropout


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Compute ``softmax(query @ key.T * scale + mask) @ value`` without storing the matrix of scores.

    With dropout, or if the mask requires grad, the matrix is stored. ``nn.attention.sdpa_kernel`` can select the
    implementation.

    Args:
        query: ``(*, L, E)``.
        key, value: ``(*, S, E)`` and ``(*, S, V)``.
        attn_mask: mask that broadcasts to ``(*, L, S)``. A boolean mask is True where the query attends to the key; a
            floating mask is added to the scores.
        dropout_p: probability of dropping a weight. Dropout is always applied: pass 0 outside training.
        is_causal: if True, query i attends to the keys up to i.
        scale: factor for the scores, ``1 / sqrt(E)`` by default.
        enable_gqa: if True, keys and values may have fewer heads (the third dimension from the end) than queries. Then
            several query heads share one head of keys and values.
    Returns: ``(*, L, V)``; zeros for a query whose keys are all masked.
    Raises: RuntimeError if shapes or dtypes do not match, or if both a mask and ``is_causal`` are given.
    Gradient: defined for query, key, value and a floating mask, to any order.
    Source: Vaswani et al. 2017, arXiv:1706.03762.

    >>> q = fb.eye(2)
    >>> nn.functional.scaled_dot_product_attention(q, q, q, is_causal=True)[0]
    tensor([1., 0.])
    """
    if attn_mask is not None and type(attn_mask) is not Tensor:
        attn_mask = _on_query_device(query, attn_mask)
    if enable_gqa and not query.shape[-3] == key.shape[-3] == value.shape[-3]:
        grouped = _by_shared_head(query, key, value, attn_mask)
        return scaled_dot_product_attention(*grouped, dropout_p, is_causal, scale).flatten(-4, -3)
    possible = dropout_p == 0.0 and (attn_mask is None or not attn_mask.requires_grad)
    if possible if _ways.is_default else _ways.takes_kernel(possible):
        return _core._scaled_dot_product_attention(query, key, value, attn_mask, is_causal, scale)
    if attn_mask is not None and is_causal:
        raise RuntimeError("_scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True")
    weights = _weights(query, key, attn_mask, is_causal, scale)
    return dropout(weights, dropout_p) @ value


def _on_query_device(query: Tensor, mask: Tensor) -> Tensor:
    """Move a `CausalBias` to the query's device, because users usually create it on the CPU."""
    from ..attention.bias import CausalBias

    return mask.to(query.device) if isinstance(mask, CausalBias) else mask


def _by_shared_head(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Reshape queries and masks so that their heads are grouped by the key head that they share.

    The results are views, except if keys and values have different numbers of heads.
    """
    heads = query.shape[-3]
    for tensor in (key, value):
        if heads % tensor.shape[-3]:
            raise RuntimeError(
                f"Number of heads in key and value must divide the number of heads in query, got {tensor.shape[-3]} "
                f"and {heads}"
            )
    if key.shape[-3] != value.shape[-3]:
        key, value = (t.repeat_interleave(heads // t.shape[-3], -3) for t in (key, value))
    shared = key.shape[-3]
    if mask is not None and mask.ndim > 2:
        mask = mask.unsqueeze(-3) if mask.shape[-3] == 1 else mask.unflatten(-3, (shared, -1))
    return query.unflatten(-3, (shared, -1)), key.unsqueeze(-3), value.unsqueeze(-3), mask


def _weights(query: Tensor, key: Tensor, mask: Tensor | None, is_causal: bool, scale: float | None) -> Tensor:
    """Return the softmax of the scores, as a full matrix."""
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = (query * factor) @ key.transpose(-2, -1)
    if is_causal:
        mask = flambeau.ones(query.shape[-2], key.shape[-2], dtype=flambeau.bool, device=query.device).tril()
    if mask is not None:
        scores = flambeau.where(mask, scores, -math.inf) if mask.dtype is flambeau.bool else scores + mask
    hidden = (scores.detach() == -math.inf).all(-1, keepdim=True)
    return flambeau.where(hidden, 0.0, scores.masked_fill(hidden, 0.0).softmax(-1))


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Apply multi-head attention: projections, and `scaled_dot_product_attention` for each head.

    Args:
        query: ``(L, N, E)`` or ``(L, E)``.
        key, value: ``(S, N, K)`` and ``(S, N, V)`` or without N.
        embed_dim_to_check: E, which ``num_heads`` must divide.
        num_heads: number of heads.
        in_proj_weight, in_proj_bias: ``(3 * E, E)`` and ``(3 * E,)``, the projections of query, key and value.
        bias_k, bias_v: ``(1, 1, E)``, an additional key and value.
        add_zero_attn: if True, add a key and a value of zeros.
        dropout_p: probability of dropping a weight in training.
        out_proj_weight, out_proj_bias: ``(E, E)`` and ``(E,)``.
        key_padding_mask: ``(N, S)`` or ``(S,)``. A boolean mask is True for masked keys; a floating mask is added.
        need_weights: if True, also return the attention weights, averaged over the heads if ``average_attn_weights``.
        attn_mask: ``(L, S)`` or ``(N * num_heads, L, S)``. A boolean mask is True for masked elements; a floating mask
            is added.
        use_separate_proj_weight: if True, use ``q_proj_weight``, ``k_proj_weight`` and ``v_proj_weight`` instead of
            ``in_proj_weight``.
        static_k, static_v: ``(N * num_heads, S, E / num_heads)``, used without projection.
        is_causal: a hint that ``attn_mask`` is the causal mask. ``attn_mask`` must be given.
    Returns: the output ``(L, N, E)``, and the weights ``(N, L, S)``, or ``(N, num_heads, L, S)`` if not averaged. The
        weights are None without ``need_weights``.
    Source: Vaswani et al. 2017, arXiv:1706.03762.

    >>> attention = nn.MultiheadAttention(4, 2)
    >>> x = fb.zeros(3, 1, 4)
    >>> out, weights = nn.functional.multi_head_attention_forward(
    ...     x, x, x, 4, 2, attention.in_proj_weight, attention.in_proj_bias, None, None, False, 0.0,
    ...     attention.out_proj.weight, attention.out_proj.bias)
    >>> out.shape, weights.shape
    (flambeau.Size([3, 1, 4]), flambeau.Size([1, 3, 3]))
    """
    batched = _mha_shape_check(query, key, value, key_padding_mask, attn_mask, num_heads)
    if is_causal and attn_mask is None:
        raise RuntimeError("Need attn_mask if specifying the is_causal hint.")
    if not batched:
        query, key, value = query.unsqueeze(1), key.unsqueeze(1), value.unsqueeze(1)
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    length, batch, width = query.shape
    _check_sizes(query, key, value, embed_dim_to_check, num_heads, use_separate_proj_weight)
    separate = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else None
    q, k, v = _project(query, key, value, in_proj_weight, in_proj_bias, separate)
    mask = _as_additive_mask(attn_mask, query.dtype)
    _check_masks(attn_mask, key_padding_mask, length, static_k.shape[1] if static_k is not None else k.shape[0], batch)
    padding = _as_additive_mask(key_padding_mask, query.dtype)
    if bias_k is not None and bias_v is not None:
        k = flambeau.cat([k, bias_k.expand(1, batch, width)])
        v = flambeau.cat([v, bias_v.expand(1, batch, width)])
        mask, padding = _append_unmasked_column(mask), _append_unmasked_column(padding)
    q, k, v = (_split_heads(t, batch, num_heads) for t in (q, k, v))
    k = k if static_k is None else static_k
    v = v if static_v is None else static_v
    if add_zero_attn:
        zero = (batch * num_heads, 1, width // num_heads)
        k, v = (flambeau.cat([t, t.new_zeros(zero)], 1) for t in (k, v))
        mask, padding = _append_unmasked_column(mask), _append_unmasked_column(padding)
    mask = _with_padding(mask, padding, num_heads)
    attended, weights = _attend(q, k, v, mask, dropout_p if training else 0.0, need_weights)
    output = flambeau.linear(
        attended.transpose(0, 1).reshape(length * batch, width), out_proj_weight, out_proj_bias
    ).reshape(length, batch, len(out_proj_weight))
    if weights is not None:
        weights = weights.unflatten(0, (batch, num_heads))
        weights = weights.mean(1) if average_attn_weights else weights
        weights = weights if batched else weights.squeeze(0)
    return (output if batched else output.squeeze(1)), weights


def _attend(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, drop: float, need_weights: bool
) -> tuple[Tensor, Tensor | None]:
    """Apply attention to every head. Return the output and, if ``need_weights``, the weights; otherwise None."""
    if not need_weights:
        return scaled_dot_product_attention(query, key, value, mask, drop), None
    scores = query * math.sqrt(1.0 / query.shape[-1]) @ key.transpose(-2, -1)
    weights = dropout((scores if mask is None else scores + mask).softmax(-1), drop)
    return weights @ value, weights


def _mha_shape_check(
    query: Tensor, key: Tensor, value: Tensor, padding: Tensor | None, mask: Tensor | None, num_heads: int
) -> bool:
    """Check the numbers of dimensions, and return True if the arguments have a batch dimension."""
    if query.ndim not in (2, 3):
        raise AssertionError(
            f"query should be unbatched 2D or batched 3D tensor but received {query.ndim}-D query tensor"
        )
    case = f"For {'batched' if query.ndim == 3 else 'unbatched'} ({query.ndim}-D) `query`, expected"
    if not query.ndim == key.ndim == value.ndim:
        raise AssertionError(
            f"{case} `key` and `value` to be {query.ndim}-D but found {key.ndim}-D and {value.ndim}-D tensors "
            "respectively"
        )
    if padding is not None and padding.ndim != query.ndim - 1:
        raise AssertionError(
            f"{case} `key_padding_mask` to be `None` or {query.ndim - 1}-D but found {padding.ndim}-D tensor instead"
        )
    if mask is not None and mask.ndim not in (2, 3):
        raise AssertionError(f"{case} `attn_mask` to be `None`, 2-D or 3-D but found {mask.ndim}-D tensor instead")
    batch = query.shape[1] if query.ndim == 3 else 1
    if mask is not None and mask.ndim == 3 and query.ndim == 2:
        expected = num_heads, query.shape[0], key.shape[0]
        if tuple(mask.shape) != expected:
            raise AssertionError(f"Expected `attn_mask` shape to be {list(expected)} but got {list(mask.shape)}")
    if mask is not None and mask.ndim == 3 and mask.shape[0] != batch * num_heads:
        raise RuntimeError(
            f"The shape of the 3D attn_mask is {list(mask.shape)}, but its first "
            f"dimension should be batch_size * num_heads = {batch * num_heads}."
        )
    return query.ndim == 3


def _check_sizes(
    query: Tensor, key: Tensor, value: Tensor, expected: int, num_heads: int, may_differ_in_width: bool
) -> None:
    width = query.shape[-1]
    if width != expected:
        raise AssertionError(f"was expecting embedding dimension of {expected}, but got {width}")
    if key.shape[:2] != value.shape[:2] if may_differ_in_width else key.shape != value.shape:
        raise AssertionError(f"key shape {list(key.shape)} does not match value shape {list(value.shape)}")
    if width % num_heads:
        raise AssertionError(f"embed_dim {width} not divisible by num_heads {num_heads}")


def _check_masks(mask: Tensor | None, padding: Tensor | None, length: int, sources: int, batch: int) -> None:
    """Raise an error if a mask does not fit the queries and keys. Warn if the dtypes of the masks differ."""
    if mask is not None and tuple(mask.shape[-2:]) != (length, sources):
        raise RuntimeError(
            f"The shape of the {mask.ndim}D attn_mask is {list(mask.shape)}, but should "
            f"{'end with' if mask.ndim == 3 else 'be'} [{length}, {sources}], the numbers of queries and keys."
        )
    if padding is not None and tuple(padding.shape) != (batch, sources):
        raise AssertionError(
            f"expecting key_padding_mask shape of [{batch}, {sources}], the batch size and the number of keys, but got "
            f"{list(padding.shape)}"
        )
    if mask is not None and padding is not None and mask.dtype != padding.dtype:
        warnings.warn(
            f"Support for mismatched key_padding_mask and attn_mask is deprecated, got {padding.dtype} and "
            f"{mask.dtype}. Use same type for both instead.",
            stacklevel=3,
        )


def _project(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    separate: tuple[Tensor | None, Tensor | None, Tensor | None] | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the projected query, key and value."""
    if separate is None:
        if weight is None:
            raise AssertionError("use_separate_proj_weight is False but in_proj_weight is None")
        return _in_projection_packed(query, key, value, weight, bias)
    if any(w is None for w in separate):
        names = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
        missing = ", ".join(name for name, w in zip(names, separate, strict=True) if w is None)
        raise AssertionError(f"use_separate_proj_weight is True but {missing} is None")
    return _in_projection(query, key, value, *separate, *_thirds(bias))  # type: ignore[arg-type]


def _thirds(bias: Tensor | None) -> tuple[Tensor | None, ...]:
    return (None, None, None) if bias is None else bias.chunk(3)


def _in_projection_packed(
    q: Tensor, k: Tensor, v: Tensor, w: Tensor, b: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Project query, key and value with the three parts of ``w`` and ``b``. Other packages call this function."""
    return _in_projection(q, k, v, *w.chunk(3), *_thirds(b))


def _in_projection(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    w_q: Tensor,
    w_k: Tensor,
    w_v: Tensor,
    b_q: Tensor | None = None,
    b_k: Tensor | None = None,
    b_v: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Project query, key and value with separate weights and biases. Other packages call this function."""
    return flambeau.linear(q, w_q, b_q), flambeau.linear(k, w_k, b_k), flambeau.linear(v, w_v, b_v)


def _as_additive_mask(mask: Tensor | None, dtype: flambeau.dtype) -> Tensor | None:
    """Convert a boolean mask (True for masked elements) to a mask that is added to the scores."""
    if mask is None or mask.dtype.is_floating_point:
        return mask if mask is None else mask.to(dtype)
    if mask.dtype is not flambeau.bool:
        raise AssertionError(f"only bool and floating types of masks are supported, got {mask.dtype}")
    return flambeau.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(mask, -math.inf)


def _append_unmasked_column(mask: Tensor | None) -> Tensor | None:
    """Append an unmasked column to a mask."""
    return None if mask is None else flambeau.cat([mask, mask.new_zeros((*mask.shape[:-1], 1))], -1)


def _with_padding(mask: Tensor | None, padding: Tensor | None, num_heads: int) -> Tensor | None:
    """Combine both masks into one that broadcasts to ``(N * num_heads, L, S)``."""
    if mask is not None and mask.ndim == 2:
        mask = mask.unsqueeze(0)
    if padding is None:
        return mask
    hidden = padding.unsqueeze(1).unsqueeze(1).expand(-1, num_heads, -1, -1).flatten(0, 1)
    return hidden if mask is None else mask + hidden


def _split_heads(t: Tensor, batch: int, heads: int) -> Tensor:
    """Reshape (length, batch, heads * width) to (batch * heads, length, width)."""
    return t.reshape(t.shape[0], batch * heads, t.shape[-1] // heads).transpose(0, 1)
