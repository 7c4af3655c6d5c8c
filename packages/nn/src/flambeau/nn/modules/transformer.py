"""Transformer encoders and decoders."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any, ClassVar

from flambeau import Tensor, _core, full, is_autocast_enabled, is_grad_enabled

from .. import functional as F, init
from ._attention import MultiheadAttention
from .activation import GELU, ReLU
from .container import ModuleList
from .dropout import Dropout
from .linear import Linear
from .module import Module
from .normalization import LayerNorm

Activation = Callable[[Tensor], Tensor]


class SwiGLU(Module):
    """Gated feed-forward network of three linear layers: ``y = down_proj(silu(gate_proj(x)) * up_proj(x))``.

    It replaces the two linear layers and the ReLU of a transformer layer. PyTorch does not have this class.

    Args:
        in_features: size of the input's last dimension.
        hidden_features: size between the layers. With 2/3 of the size of a network without gate, the number of weights
            is the same.
        out_features: size of the output's last dimension. None means ``in_features``.
        bias: if False, the layers have no biases.
        device, dtype: device and dtype of the parameters.
    Shapes: ``(*, in_features)`` to ``(*, out_features)``.
    Parameters: the weights and biases of the `Linear` layers ``gate_proj``, ``up_proj`` and ``down_proj``.
    Source: Shazeer 2020, arXiv:2002.05202.

    >>> tuple(nn.SwiGLU(8, 16)(fb.zeros(5, 3, 8)).shape)
    (5, 3, 8)
    """

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        out_features: int | None = None,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        out_features = in_features if out_features is None else out_features
        self.gate_proj = Linear(in_features, hidden_features, bias, device, dtype)
        self.up_proj = Linear(in_features, hidden_features, bias, device, dtype)
        self.down_proj = Linear(hidden_features, out_features, bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        output: Tensor = self.down_proj(F.silu(self.gate_proj(input)) * self.up_proj(input))
        return output


class _Layer(Module):
    """Base class of encoder and decoder layers: self-attention and two linear layers.

    Note [Residuals]: every part (attention or linear layers) has a residual connection: it computes
    ``norm(x + dropout(part(x)))``, or ``x + dropout(part(norm(x)))`` with ``norm_first``.
    """

    attentions: ClassVar[tuple[str, ...]] = ("self_attn",)
    self_attn: MultiheadAttention
    multihead_attn: MultiheadAttention
    norm1: LayerNorm
    norm2: LayerNorm
    norm3: LayerNorm
    dropout1: Dropout
    dropout2: Dropout
    dropout3: Dropout

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Activation = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        options = {"bias": bias, "device": device, "dtype": dtype}
        for name in self.attentions:
            setattr(self, name, MultiheadAttention(d_model, nhead, dropout, batch_first=batch_first, **options))
        self.linear1 = Linear(d_model, dim_feedforward, **options)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, **options)
        self.norm_first = norm_first
        parts = range(1, len(self.attentions) + 2)
        for number in parts:
            setattr(self, f"norm{number}", LayerNorm(d_model, layer_norm_eps, **options))
        for number in parts:
            setattr(self, f"dropout{number}", Dropout(dropout))
        self.activation = _get_activation_fn(activation) if isinstance(activation, str) else activation

    def _sa_block(
        self, x: Tensor, attn_mask: Tensor | None, key_padding_mask: Tensor | None, is_causal: bool = False
    ) -> Tensor:
        """Return the attention of ``x`` to itself after dropout. Subclasses may override it."""
        result: Tensor = self.dropout1(_attend(self.self_attn, x, x, attn_mask, key_padding_mask, is_causal))
        return result

    def _residual(self, norm: LayerNorm, x: Tensor, part: Callable[[Tensor], Tensor]) -> Tensor:
        """Apply ``part`` with its residual connection and normalisation: see Note [Residuals]."""
        result: Tensor = x + part(norm(x)) if self.norm_first else norm(x + part(x))
        return result

    def _linear_layers(self, x: Tensor) -> Tensor:
        result: Tensor = self.linear2(self.dropout(self.activation(self.linear1(x))))
        return result


class TransformerEncoderLayer(_Layer):
    """Self-attention, followed by two linear layers at each position.

    Args:
        d_model: size of the last dimension of input and output.
        nhead: number of attention heads.
        dim_feedforward: size between the linear layers.
        dropout: the probability of dropping a value while training.
        activation: activation between the linear layers: ``"relu"``, ``"gelu"`` or a function.
        layer_norm_eps: epsilon of the layer normalisations.
        batch_first: batches are ``(N, L, d_model)`` instead of ``(L, N, d_model)``.
        norm_first: if True, normalise before each part instead of after it.
        bias: if False, there are no biases.
        device, dtype: device and dtype of the parameters.
    Shapes: ``(L, N, d_model)`` or ``(L, d_model)``; masks as in `MultiheadAttention`.
    Source: Vaswani et al. 2017, arXiv:1706.03762; ``norm_first``: Xiong et al. 2020, arXiv:2002.04745.

    >>> layer = nn.TransformerEncoderLayer(d_model=8, nhead=2, dim_feedforward=16)
    >>> tuple(layer(fb.zeros(5, 3, 8)).shape)
    (5, 3, 8)
    """

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        x = self._residual(
            self.norm1, src, lambda x: self._sa_block(x, src_mask, src_key_padding_mask, is_causal=is_causal)
        )
        return self._residual(self.norm2, x, self._ff_block)

    def _ff_block(self, x: Tensor) -> Tensor:
        """Return the output of the two linear layers after dropout. Subclasses may override it."""
        result: Tensor = self.dropout2(self._linear_layers(x))
        return result


class TransformerDecoderLayer(_Layer):
    """Self-attention and attention to a memory, followed by two linear layers at each position.

    See `TransformerEncoderLayer` for the arguments. Shapes: target ``(T, N, d_model)`` and memory ``(S, N, d_model)``,
    or both without N.

    >>> layer = nn.TransformerDecoderLayer(d_model=8, nhead=2, dim_feedforward=16)
    >>> tuple(layer(fb.zeros(4, 3, 8), fb.zeros(5, 3, 8)).shape)
    (4, 3, 8)
    """

    attentions = ("self_attn", "multihead_attn")

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        x = self._residual(self.norm1, tgt, lambda x: self._sa_block(x, tgt_mask, tgt_key_padding_mask, tgt_is_causal))
        x = self._residual(
            self.norm2,
            x,
            lambda x: self._mha_block(x, memory, memory_mask, memory_key_padding_mask, memory_is_causal),
        )
        return self._residual(self.norm3, x, self._ff_block)

    def _mha_block(
        self,
        x: Tensor,
        mem: Tensor,
        attn_mask: Tensor | None,
        key_padding_mask: Tensor | None,
        is_causal: bool = False,
    ) -> Tensor:
        """Return the attention of ``x`` to the memory after dropout. Subclasses may override it."""
        result: Tensor = self.dropout2(_attend(self.multihead_attn, x, mem, attn_mask, key_padding_mask, is_causal))
        return result

    def _ff_block(self, x: Tensor) -> Tensor:
        """Return the output of the two linear layers after dropout. Subclasses may override it."""
        result: Tensor = self.dropout3(self._linear_layers(x))
        return result


def _attend(
    layer: Any, x: Tensor, memory: Tensor, mask: Tensor | None, padding: Tensor | None, is_causal: bool
) -> Tensor:
    masks = {"attn_mask": mask, "key_padding_mask": padding, "is_causal": is_causal, "need_weights": False}
    output: Tensor = layer(x, memory, memory, **masks)[0]
    return output


class TransformerEncoder(Module):
    """Stack of ``num_layers`` copies of a layer.

    Args:
        encoder_layer: the layer to copy.
        num_layers: number of copies.
        norm: normalisation after the last layer, or None.
        enable_nested_tensor: if True, the outputs of the last layer are 0 at padded positions, under the conditions
            under which PyTorch computes them from nested tensors. The most important ones: the encoder is in
            evaluation mode, no parameter needs a gradient, the layers have ``batch_first=True`` and
            ``norm_first=False``, ``mask`` is None, and the padding is at the ends of the sequences.
        mask_check: accepted for compatibility, without effect on the result.

    >>> layer = nn.TransformerEncoderLayer(d_model=8, nhead=2, dim_feedforward=16)
    >>> tuple(nn.TransformerEncoder(layer, num_layers=2)(fb.zeros(5, 3, 8)).shape)
    (5, 3, 8)
    """

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        super().__init__()
        self.layers = _get_clones(encoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm
        self.enable_nested_tensor = enable_nested_tensor
        self.use_nested_tensor = enable_nested_tensor and _supports_nested_tensors(encoder_layer)
        self.mask_check = mask_check

    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        causal = bool(is_causal) and mask is not None
        for layer in self.layers:
            src = layer(src, src_mask=mask, is_causal=causal, src_key_padding_mask=src_key_padding_mask)
        if src_key_padding_mask is not None and mask is None and self._clears_padding(src, src_key_padding_mask):
            src = src.masked_fill((src_key_padding_mask != 0).unsqueeze(-1), 0.0)
        return src if self.norm is None else self.norm(src)

    def _clears_padding(self, src: Tensor, padding: Tensor) -> bool:
        """Return True if PyTorch would return 0 at padded positions."""
        if not self.use_nested_tensor or self.layers[0].training or src.dim() != 3 or is_autocast_enabled():
            return False
        if _core._is_intercepting():  # a trace must not depend on the elements of the mask
            return False
        if is_grad_enabled() and any(parameter.requires_grad for parameter in self.layers[0].parameters()):
            return False
        padded = padding != 0
        return not bool((padded[:, :-1] & ~padded[:, 1:]).any())


def _supports_nested_tensors(layer: Module) -> bool:
    """Return True if PyTorch's encoder computes nested tensors in layers with these options."""
    return (
        isinstance(layer, TransformerEncoderLayer)
        and not layer.norm_first
        and layer.self_attn.batch_first
        and layer.self_attn._qkv_same_embed_dim
        and layer.self_attn.in_proj_bias is not None
        and (layer.activation in (F.relu, F.gelu) or isinstance(layer.activation, GELU | ReLU))
        and layer.norm1.eps == layer.norm2.eps
        and layer.self_attn.num_heads % 2 == 0
    )


class TransformerDecoder(Module):
    """Stack of ``num_layers`` copies of a decoder layer, which all attend to the same memory. See `TransformerEncoder`.

    >>> layer = nn.TransformerDecoderLayer(8, nhead=2, batch_first=True)
    >>> nn.TransformerDecoder(layer, 2)(fb.zeros(1, 5, 8), fb.zeros(1, 6, 8)).shape
    flambeau.Size([1, 5, 8])
    """

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__()
        self.layers = _get_clones(decoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        causal = bool(tgt_is_causal) and tgt_mask is not None
        for layer in self.layers:
            tgt = layer(
                tgt,
                memory,
                tgt_mask=tgt_mask,
                memory_mask=memory_mask,
                tgt_key_padding_mask=tgt_key_padding_mask,
                memory_key_padding_mask=memory_key_padding_mask,
                tgt_is_causal=causal,
                memory_is_causal=memory_is_causal,
            )
        return tgt if self.norm is None else self.norm(tgt)


class Transformer(Module):
    """Transformer: an encoder, and a decoder that attends to the encoder's output.

    Args:
        num_encoder_layers, num_decoder_layers: numbers of layers; other arguments as in `TransformerEncoderLayer`.
        custom_encoder, custom_decoder: modules that replace the encoder or the decoder.
    Shapes: source ``(S, N, d_model)`` and target ``(T, N, d_model)``, or both without N. The result has the shape of
        the target.
    Raises: RuntimeError if source and target have different batch sizes or a last dimension other than ``d_model``.
    Source: Vaswani et al. 2017, arXiv:1706.03762.

    >>> model = nn.Transformer(d_model=8, nhead=2, num_encoder_layers=1, num_decoder_layers=1, dim_feedforward=16)
    >>> tuple(model(fb.zeros(5, 3, 8), fb.zeros(4, 3, 8)).shape)
    (4, 3, 8)
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Activation = F.relu,
        custom_encoder: Any = None,
        custom_decoder: Any = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        options = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first)
        rest = {"bias": bias, "device": device, "dtype": dtype}
        if custom_encoder is not None:
            self.encoder = custom_encoder
        else:
            layer = TransformerEncoderLayer(*options, **rest)
            self.encoder = TransformerEncoder(layer, num_encoder_layers, LayerNorm(d_model, layer_norm_eps, **rest))
        if custom_decoder is not None:
            self.decoder = custom_decoder
        else:
            layer_of_decoder = TransformerDecoderLayer(*options, **rest)
            norm = LayerNorm(d_model, layer_norm_eps, **rest)
            self.decoder = TransformerDecoder(layer_of_decoder, num_decoder_layers, norm)
        self._reset_parameters()
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = batch_first

    def _reset_parameters(self) -> None:
        for parameter in self.parameters():
            if parameter.ndim > 1:
                init.xavier_uniform_(parameter)

    def forward(
        self,
        src: Tensor,
        tgt: Tensor,
        src_mask: Tensor | None = None,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        batch = 0 if self.batch_first else 1
        if src.ndim == 3 and src.shape[batch] != tgt.shape[batch]:
            raise RuntimeError(
                f"the batch number of src and tgt must be equal, got shapes {list(src.shape)} and {list(tgt.shape)}"
            )
        if src.shape[-1] != self.d_model or tgt.shape[-1] != self.d_model:
            raise RuntimeError(
                f"the feature number of src and tgt must be equal to d_model ({self.d_model}), got shapes "
                f"{list(src.shape)} and {list(tgt.shape)}"
            )
        memory = self.encoder(src, src_mask, src_key_padding_mask, src_is_causal)
        masks = (tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask, tgt_is_causal, memory_is_causal)
        output: Tensor = self.decoder(tgt, memory, *masks)
        return output

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> Tensor:
        """Return the mask that hides later positions: -inf above the diagonal of ``(sz, sz)``, 0 elsewhere.

        >>> nn.Transformer.generate_square_subsequent_mask(2)
        tensor([[0., -inf],
                [0., 0.]])
        """
        return full((sz, sz), -math.inf, device=device, dtype=dtype).triu(1)


def _get_clones(module: Module, count: int) -> ModuleList:
    return ModuleList([copy.deepcopy(module) for _ in range(count)])


def _get_activation_fn(activation: str) -> Activation:
    if activation not in ("relu", "gelu"):
        raise RuntimeError(f"activation should be relu/gelu, not {activation}")
    return F.relu if activation == "relu" else F.gelu
