"""PyTorch's helpers for attention, which layers of other packages call in ``torch.nn.functional``."""

import warnings

import flambeau
from flambeau import Tensor, dtype, zeros


def _canonical_mask(
    mask: Tensor | None,
    mask_name: str,
    other_type: dtype | None,
    other_name: str,
    target_type: dtype,
    check_other: bool = True,
) -> Tensor | None:
    """Convert a bool mask to ``target_type``, with ``-inf`` where it is True. Return a floating mask unchanged.

    Warn if ``check_other`` is true and the dtype of the mask is not ``other_type``, the dtype of another mask.
    """
    if mask is None:
        return None
    if mask.dtype != flambeau.bool and not mask.is_floating_point():
        raise AssertionError(f"only bool and floating types of {mask_name} are supported, got {mask.dtype}")
    if check_other and other_type is not None and mask.dtype != other_type:
        warnings.warn(
            f"Support for mismatched {mask_name} and {other_name} is deprecated. Use same type for both instead.",
            stacklevel=2,
        )
    if mask.is_floating_point():
        return mask
    return zeros(mask.shape, dtype=target_type, device=mask.device).masked_fill_(mask, float("-inf"))


def _none_or_dtype(input: Tensor | None) -> dtype | None:
    """Return the dtype of a tensor, or None for None."""
    if input is None or isinstance(input, Tensor):
        return None if input is None else input.dtype
    raise RuntimeError(f"input to _none_or_dtype() must be None or torch.Tensor, got {type(input).__name__}")


def _mha_shape_check(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    key_padding_mask: Tensor | None,
    attn_mask: Tensor | None,
    num_heads: int,
) -> bool:
    """Return True if the arguments of attention have a batch dimension, False if they do not.

    Raises: AssertionError if the numbers of dimensions are not consistent.
    """
    kind = {3: "batched (3-D)", 2: "unbatched (2-D)"}.get(query.dim())
    if kind is None:
        raise AssertionError(f"query should be unbatched 2D or batched 3D tensor but received {query.dim()}-D query")
    for name, operand in (("key", key), ("value", value)):
        if operand.dim() != query.dim():
            raise AssertionError(f"For {kind} `query`, expected `{name}` to be {query.dim()}-D, got {operand.dim()}-D")
    if key_padding_mask is not None and key_padding_mask.dim() != query.dim() - 1:
        raise AssertionError(
            f"For {kind} `query`, expected `key_padding_mask` to be `None` or {query.dim() - 1}-D, "
            f"got {key_padding_mask.dim()}-D"
        )
    if attn_mask is not None and attn_mask.dim() not in (2, 3):
        raise AssertionError(
            f"For {kind} `query`, expected `attn_mask` to be `None`, 2-D or 3-D, got {attn_mask.dim()}-D"
        )
    expected = (num_heads, query.shape[0], key.shape[0])
    if attn_mask is not None and query.dim() == 2 and attn_mask.dim() == 3 and attn_mask.shape != expected:
        raise AssertionError(f"Expected `attn_mask` shape to be {expected} but got {attn_mask.shape}")
    return query.dim() == 3
