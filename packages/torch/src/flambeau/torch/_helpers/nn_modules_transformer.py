"""Helpers of ``torch.nn.modules.transformer``."""

from flambeau import Tensor, device, dtype, equal
from flambeau.nn import Transformer


def _generate_square_subsequent_mask(sz: int, device: device | None = None, dtype: dtype | None = None) -> Tensor:
    """Return the causal mask ``(sz, sz)``: ``-inf`` above the diagonal, 0 elsewhere."""
    return Transformer.generate_square_subsequent_mask(sz, device, dtype)


def _get_seq_len(src: Tensor, batch_first: bool) -> int:
    """Return the length of the sequences ``(S, E)``, ``(S, N, E)`` or, if ``batch_first`` is True, ``(N, S, E)``."""
    return src.shape[1 if src.dim() > 2 and batch_first else 0]


def _detect_is_causal_mask(mask: Tensor | None, is_causal: bool | None = None, size: int | None = None) -> bool:
    """Return True if a mask is the causal mask of ``size``. If ``is_causal`` is not None, return it unchanged."""
    if is_causal is not None or mask is None:
        return is_causal is True
    size = mask.shape[-2] if size is None else size
    return equal(mask, _generate_square_subsequent_mask(size, mask.device, mask.dtype))
