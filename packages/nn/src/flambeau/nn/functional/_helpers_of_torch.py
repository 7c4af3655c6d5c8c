"""PyTorch's helpers for attention, which layers of other packages call in ``torch.nn.functional``."""

import warnings

import flambeau
from flambeau import Tensor, dtype

from ._attention import _as_additive_mask


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
    return mask if mask.is_floating_point() else _as_additive_mask(mask, target_type)


def _none_or_dtype(input: Tensor | None) -> dtype | None:
    """Return the dtype of a tensor, or None for None."""
    if input is None or isinstance(input, Tensor):
        return None if input is None else input.dtype
    raise RuntimeError(f"input to _none_or_dtype() must be None or torch.Tensor, got {type(input).__name__}")
