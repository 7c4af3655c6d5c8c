"""Layers as operators of ``flambeau.ops.aten``, with the argument order and the results of PyTorch's schemas.

These schemas encode reductions as numbers: 0 none, 1 mean, 2 sum.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Any

import flambeau
from flambeau import Tensor
from flambeau.nn import functional
from flambeau.nn.utils import rnn

from . import _of_torch


def _cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: int = 1,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> Tensor:
    return functional.cross_entropy(
        input,
        target,
        weight,
        ignore_index=ignore_index,
        reduction=_of_torch._named(reduction),
        label_smoothing=label_smoothing,
    )


def _nll_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: int = 1, ignore_index: int = -100
) -> Tensor:
    return functional.nll_loss(input, target, weight, ignore_index=ignore_index, reduction=_of_torch._named(reduction))


def _nll_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor | None, reduction: int, ignore_index: int
) -> tuple[Tensor, Tensor]:
    counted = target != ignore_index
    weights = input.new_ones(target.shape) if weight is None else weight[target.where(counted, 0)]
    total = weights.where(counted, 0).sum() if reduction else input.new_zeros(())
    return _nll_loss(input, target, weight, reduction, ignore_index), total


def _loss(function: Callable[..., Tensor], *parameters: str) -> Callable[..., Tensor]:
    """Return a loss whose arguments after the input and the target are ``parameters`` in this order."""

    def call(input: Tensor, target: Tensor, *args: Any, **options: Any) -> Tensor:
        options.update(zip(parameters, args, strict=False))
        options["reduction"] = _of_torch._named(options.get("reduction", 1))
        return function(input, target, **options)

    return call


def _embedding_bag(
    weight: Tensor,
    indices: Tensor,
    offsets: Tensor,
    scale_grad_by_freq: bool = False,
    mode: int = 0,
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> tuple[Tensor, None, None, None]:
    """Compute `embedding_bag`. The other results are None, since only PyTorch's derivative uses them."""
    bags = functional.embedding_bag(
        indices,
        weight,
        offsets,
        scale_grad_by_freq=scale_grad_by_freq,
        mode=("sum", "mean", "max")[mode],
        sparse=sparse,
        per_sample_weights=per_sample_weights,
        include_last_offset=include_last_offset,
        padding_idx=None if padding_idx == -1 else padding_idx,
    )
    return bags, None, None, None


def _upsample(
    mode: str, aligns: bool, antialias: bool, input: Tensor, output_size: Sequence[int] | None, *args: Any, **named: Any
) -> Tensor:
    """Interpolate with arguments of PyTorch's schemas.

    If ``aligns`` is True, ``args`` begin with ``align_corners``. The next arguments are the scale factors: a list (the
    overload ``vec``), or one argument for each dimension.
    """
    rest = [*args, *named.values()]
    aligned = rest.pop(0) if aligns else None
    factors = [factor for value in rest for factor in (value if isinstance(value, list | tuple) else [value])]
    sizes: dict[str, Any] = {"size": list(output_size)} if output_size is not None else {}
    if factors and all(factor is not None for factor in factors):
        sizes = {"scale_factor": factors}
    return functional.interpolate(input, mode=mode, align_corners=aligned, antialias=antialias, **sizes)


def _padded(mode: str, input: Tensor, padding: Sequence[int]) -> Tensor:
    return functional.pad(input, list(padding), mode)


def _weight_norm(v: Tensor, g: Tensor, dim: int = 0) -> Tensor:
    return v * (g / _of_torch.norm_except_dim(v, 2, dim))


def _unpooled(dims: int, input: Tensor, indices: Tensor, output_size: Sequence[int], *window: Any) -> Tensor:
    flat = input.new_zeros((*input.shape[:-dims], prod(output_size)))
    flat = flat.scatter(-1, indices.flatten(-dims), input.flatten(-dims))
    return flat.unflatten(-1, tuple(output_size))


def _pack(input: Tensor, lengths: Tensor, batch_first: bool) -> tuple[Tensor, Tensor]:
    packed = rnn.pack_padded_sequence(input, lengths, batch_first)
    return packed.data, packed.batch_sizes


def _pad_packed(
    data: Tensor, batch_sizes: Tensor, batch_first: bool, padding_value: float, total_length: int
) -> tuple[Tensor, Tensor]:
    packed = rnn.PackedSequence(data, batch_sizes)
    length = None if total_length == -1 else total_length
    return rnn.pad_packed_sequence(packed, batch_first, padding_value, length)


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    return_debug_mask: bool = False,
    *,
    attn_mask: Tensor | None = None,
    scale: float | None = None,
) -> tuple[Tensor, None]:
    """Return the attention output. The other result is None: only PyTorch's derivative uses it."""
    return functional.scaled_dot_product_attention(query, key, value, attn_mask, dropout_p, is_causal, scale), None


def _multi_head_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim: int,
    num_head: int,
    qkv_weight: Tensor,
    qkv_bias: Tensor,
    proj_weight: Tensor,
    proj_bias: Tensor,
    mask: Tensor | None = None,
    need_weights: bool = True,
    average_attn_weights: bool = True,
    mask_type: int | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Apply multi-head attention with the arguments of PyTorch's inference operator: the batch is the first dimension.

    Args:
        mask_type: 0 if the dimensions of ``mask`` are queries and keys; 1 if they are batches and keys; 2 if they are
            batches, heads, queries and keys.
    """
    weights, biases = qkv_weight.chunk(3), qkv_bias.chunk(3)
    q, k, v = (
        functional.linear(x, w, b).unflatten(-1, (num_head, -1)).transpose(1, 2)
        for x, w, b in zip((query, key, value), weights, biases, strict=True)
    )
    scores = q @ k.mT / q.size(-1) ** 0.5
    if mask is not None:
        shape = mask[:, None, None] if mask_type == 1 else mask
        scores = scores.masked_fill(shape, float("-inf")) if mask.dtype is flambeau.bool else scores + shape
    probabilities = functional.softmax(scores, -1)
    result = functional.linear((probabilities @ v).transpose(1, 2).flatten(2), proj_weight, proj_bias)
    if not need_weights:
        return result, None
    return result, probabilities.mean(1) if average_attn_weights else probabilities


def _encoder_layer(
    src: Tensor,
    embed_dim: int,
    num_heads: int,
    qkv_weight: Tensor,
    qkv_bias: Tensor,
    proj_weight: Tensor,
    proj_bias: Tensor,
    use_gelu: bool,
    norm_first: bool,
    eps: float,
    norm_weight_1: Tensor,
    norm_bias_1: Tensor,
    norm_weight_2: Tensor,
    norm_bias_2: Tensor,
    ffn_weight_1: Tensor,
    ffn_bias_1: Tensor,
    ffn_weight_2: Tensor,
    ffn_bias_2: Tensor,
    mask: Tensor | None = None,
    mask_type: int | None = None,
) -> Tensor:
    """Apply a transformer encoder layer, without dropout."""
    activation = functional.gelu if use_gelu else functional.relu

    def attended(x: Tensor) -> Tensor:
        projections = (qkv_weight, qkv_bias, proj_weight, proj_bias)
        return _multi_head_attention(x, x, x, embed_dim, num_heads, *projections, mask, False, True, mask_type)[0]

    def fed_forward(x: Tensor) -> Tensor:
        return functional.linear(activation(functional.linear(x, ffn_weight_1, ffn_bias_1)), ffn_weight_2, ffn_bias_2)

    def first(x: Tensor) -> Tensor:
        return functional.layer_norm(x, [embed_dim], norm_weight_1, norm_bias_1, eps)

    def second(x: Tensor) -> Tensor:
        return functional.layer_norm(x, [embed_dim], norm_weight_2, norm_bias_2, eps)

    if norm_first:
        src = src + attended(first(src))
        return src + fed_forward(second(src))
    src = first(src + attended(src))
    return second(src + fed_forward(src))


_UPSAMPLINGS = {  # the mode, and True if align_corners is an argument
    "_upsample_bicubic2d_aa": ("bicubic", True),
    "_upsample_bilinear2d_aa": ("bilinear", True),
    **{f"_upsample_nearest_exact{dims}d": ("nearest-exact", False) for dims in (1, 2, 3)},
    **{f"upsample_nearest{dims}d": ("nearest", False) for dims in (1, 2, 3)},
    "upsample_bicubic2d": ("bicubic", True),
    "upsample_bilinear2d": ("bilinear", True),
    "upsample_linear1d": ("linear", True),
    "upsample_trilinear3d": ("trilinear", True),
}
_PADDINGS = {"reflection": "reflect", "replication": "replicate"}


def _grouped_mm(
    input: Tensor, mat2: Tensor, offs: Tensor | None = None, bias: Tensor | None = None, out_dtype: Any = None
) -> Tensor:
    return functional.grouped_mm(input, mat2, offs=offs, bias=bias, out_dtype=out_dtype)


_OPERATORS: dict[str, Callable[..., Any]] = {
    "_adaptive_avg_pool2d": functional.adaptive_avg_pool2d,
    "_adaptive_avg_pool3d": functional.adaptive_avg_pool3d,
    "_embedding_bag": _embedding_bag,
    "_grouped_mm": _grouped_mm,
    "_native_multi_head_attention": _multi_head_attention,
    "_pack_padded_sequence": _pack,
    "_pad_packed_sequence": _pad_packed,
    "_scaled_dot_product_efficient_attention": _attention,
    "_scaled_dot_product_flash_attention_for_cpu": _attention,
    "_transformer_encoder_layer_fwd": _encoder_layer,
    "_weight_norm": _weight_norm,
    "_weight_norm_interface": lambda v, g, dim=0: (_weight_norm(v, g, dim), _of_torch.norm_except_dim(v, 2, dim)),
    "adaptive_avg_pool2d": functional.adaptive_avg_pool2d,
    "adaptive_avg_pool3d": functional.adaptive_avg_pool3d,
    "adaptive_max_pool2d": partial(functional.adaptive_max_pool2d, return_indices=True),
    "adaptive_max_pool3d": partial(functional.adaptive_max_pool3d, return_indices=True),
    "binary_cross_entropy": _loss(functional.binary_cross_entropy, "weight", "reduction"),
    "col2im": functional.fold,
    "cross_entropy_loss": _cross_entropy,
    "embedding_bag": _embedding_bag,
    "huber_loss": _loss(functional.huber_loss, "reduction", "delta"),
    "im2col": functional.unfold,
    "l1_loss": _loss(functional.l1_loss, "reduction"),
    "log_sigmoid": functional.logsigmoid,
    "max_unpool2d": partial(_unpooled, 2),
    "max_unpool3d": partial(_unpooled, 3),
    "mse_loss": _loss(functional.mse_loss, "reduction"),
    "multi_margin_loss": _loss(functional.multi_margin_loss, "p", "margin", "weight", "reduction"),
    "multilabel_margin_loss": _loss(functional.multilabel_margin_loss, "reduction"),
    "nll_loss": _nll_loss,
    "nll_loss2d": _nll_loss,
    "nll_loss2d_forward": _nll_loss_forward,
    "nll_loss_forward": _nll_loss_forward,
    "nll_loss_nd": _nll_loss,
    "pad": functional.pad,
    "scaled_dot_product_attention": functional.scaled_dot_product_attention,
    "smooth_l1_loss": _loss(functional.smooth_l1_loss, "reduction", "beta"),
    "soft_margin_loss": _loss(functional.soft_margin_loss, "reduction"),
    **{name: partial(_upsample, mode, aligns, name.endswith("_aa")) for name, (mode, aligns) in _UPSAMPLINGS.items()},
    **{f"{kind}_pad{dims}d": partial(_padded, mode) for kind, mode in _PADDINGS.items() for dims in (1, 2, 3)},
}


def operator(name: str) -> Callable[..., Any] | None:
    """Return the operator with the given name, or None."""
    if name in _OPERATORS:
        return _OPERATORS[name]
    function = vars(_of_torch).get(name)
    return function if inspect.isfunction(function) and not name.startswith("_") else None
