"""Reductions of losses, and checks of the sizes of their operands."""

from __future__ import annotations

import warnings

from flambeau import Tensor, _core, broadcast_tensors

SIZES_DIFFER = """\
Using a target size {target} that is different to the input size {input}: the two are broadcast. Give both \
the same shape."""

SIZES_MULTIPLY = """\
Using a target size {target} with the input size {input} would broadcast both to {both}, and compare every \
prediction with every target. Give both the same shape: target.reshape(input.shape)."""


def deprecated_reduction(
    size_average: bool | None, reduce: bool | None, emit_warning: bool = True, stacklevel: int = 2
) -> str:
    """Return the reduction for two deprecated arguments of losses, and warn if ``emit_warning`` is True."""
    reduction = "none" if reduce is False else "sum" if size_average is False else "mean"
    if emit_warning:
        warnings.warn(
            f"size_average and reduce args will be deprecated, please use reduction='{reduction}' instead.",
            stacklevel=stacklevel + 1,
        )
    return reduction


def chosen(reduction: str, size_average: bool | None = None, reduce: bool | None = None) -> str:
    """Return the reduction. The deprecated ``size_average`` and ``reduce`` override it.

    Raises: ValueError for an unknown reduction.
    """
    if size_average is not None or reduce is not None:
        reduction = deprecated_reduction(size_average, reduce, stacklevel=3)
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{reduction} is not a valid value for reduction; expected 'none', 'mean' or 'sum'")
    return reduction


def reduced(loss: Tensor, reduction: str) -> Tensor:
    """Return the elements of the loss, their mean or their sum."""
    if reduction == "mean":
        return loss.mean()
    return loss.sum() if reduction == "sum" else loss


def same_size(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return both tensors, broadcast with a warning if their shapes differ.

    Raises: ValueError if both would have to be expanded, as with ``(N, 1)`` and ``(N,)``. If flambeau is used under the
        name ``torch``, there is only a warning.
    """
    if input.shape == target.shape:
        return input, target
    both = broadcast_tensors(input, target)
    sizes = {"target": list(target.shape), "input": list(input.shape)}
    if both[0].shape not in (input.shape, target.shape) and _core._library_name() != "torch":
        raise ValueError(SIZES_MULTIPLY.format(both=list(both[0].shape), **sizes))
    warnings.warn(SIZES_DIFFER.format(**sizes), stacklevel=3)
    return both[0], both[1]
