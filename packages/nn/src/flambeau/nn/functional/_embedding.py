"""Embedding lookups and one-hot encoding."""

from __future__ import annotations

import warnings

import flambeau
from flambeau import Tensor, _core

_MODES = {"sum": 0, "mean": 1, "max": 2}


def _no_grad_embedding_renorm_(weight: Tensor, input: Tensor, max_norm: float, norm_type: float) -> None:
    """Scale the selected rows of ``weight`` in place, without gradient, such that no norm exceeds ``max_norm``."""
    flambeau.embedding_renorm_(weight.detach(), input, max_norm, norm_type)


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """Return one-hot vectors: for each index in ``tensor``, a vector with 1 at this index and 0 elsewhere.

    The result has a new last dimension of size ``num_classes``, by default the largest index plus 1.

    >>> nn.functional.one_hot(fb.tensor([0, 2]))
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    return flambeau.one_hot(tensor, num_classes)


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Look up the rows ``weight[input]``.

    Args:
        input: indices of any shape.
        weight: ``(rows, width)``.
        padding_idx: index of a row that gets no gradient; negative indices count from the end.
        max_norm: if given, rows that are looked up and have a larger norm are scaled to this norm, in place.
        norm_type: order p of this norm.
        scale_grad_by_freq: if True, divide the gradient of a row by the number of times the row is looked up.
        sparse: if True, a leaf ``weight`` gets a sparse gradient that contains only the rows that are looked up.
    Returns: ``(*input.shape, width)``.
    Raises: IndexError for an index out of range; in the backward pass RuntimeError for ``scale_grad_by_freq``
        with ``sparse``.

    >>> nn.functional.embedding(fb.tensor([2, 0]), fb.eye(3))
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
    if padding_idx is not None and not -weight.shape[0] <= padding_idx < weight.shape[0]:
        raise AssertionError(f"Padding_idx must be within num_embeddings ({weight.shape[0]}), got {padding_idx}")
    padding = _padding_row(padding_idx, weight)
    if max_norm is not None:
        _no_grad_embedding_renorm_(weight, input, max_norm, norm_type)
    if sparse:
        from . import _sparse_rows

        return _sparse_rows.embedding(input, weight, padding, scale_grad_by_freq)
    return flambeau.embedding(weight, input, padding, scale_grad_by_freq)


def _padding_row(padding_idx: int | None, weight: Tensor) -> int:
    return -1 if padding_idx is None else padding_idx % weight.shape[0]


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """Compute sums, means or maxima over bags of rows of ``weight``, without storing the rows.

    Args:
        input: ``(B, N)`` for bags of equal size, or ``(N,)`` together with ``offsets``.
        offsets: ``(B,)``, the start of each bag in ``input``.
        weight: ``(rows, width)``.
        max_norm, norm_type, scale_grad_by_freq, sparse: as in `embedding`.
        mode: ``"sum"``, ``"mean"`` or ``"max"``.
        per_sample_weights: factors for the rows, with the shape of ``input``; only with ``"sum"``.
        include_last_offset: if True, ``offsets`` has an additional last entry, the end of the last bag.
        padding_idx: index of a row that is not added to any bag.
    Returns: ``(B, width)``; zeros for an empty bag.
    Raises: ValueError for incompatible arguments; RuntimeError or IndexError for indices out of range.
    Gradient: defined for weight and per_sample_weights.

    >>> nn.functional.embedding_bag(fb.tensor([[0, 2]]), fb.eye(3), mode="sum")
    tensor([[1., 0., 1.]])
    """
    if weight.dtype is flambeau.int64 and input.dtype.is_floating_point:
        warnings.warn(
            "Argument order of nn.functional.embedding_bag was changed: write embedding_bag(input, weight, ...).",
            stacklevel=2,
        )
        weight, input = input, weight
    if per_sample_weights is not None and per_sample_weights.shape != input.shape:
        raise ValueError(
            f"embedding_bag: If per_sample_weights ({list(per_sample_weights.shape)}) is not None, then it must have "
            f"the same shape as the input ({list(input.shape)})"
        )
    if mode not in _MODES:
        raise ValueError(f"mode has to be one of sum, mean or max, got {mode!r}")
    if mode == "max" and scale_grad_by_freq:
        raise ValueError("max mode does not support scaling the gradient by the frequency")
    if per_sample_weights is not None and mode != "sum":
        raise NotImplementedError(
            f"embedding_bag: per_sample_weights was not None, which is only supported for mode='sum' (got '{mode}')"
        )
    if padding_idx is not None and not -weight.shape[0] <= padding_idx < weight.shape[0]:
        raise RuntimeError(
            f"embedding_bag: padding_idx must be within the number of embeddings, {-weight.shape[0]} through "
            f"{weight.shape[0] - 1}, but got {padding_idx}"
        )
    padding = _padding_row(padding_idx, weight)
    if max_norm is not None:
        _no_grad_embedding_renorm_(weight, input, max_norm, norm_type)
    if sparse:
        from . import _sparse_rows

        if mode == "max":
            raise ValueError("max mode does not support sparse weights")
        return _sparse_rows.embedding_bag(
            weight, input, offsets, include_last_offset, _MODES[mode], per_sample_weights, padding, scale_grad_by_freq
        )
    return _core._embedding_bag(
        weight, input, offsets, include_last_offset, _MODES[mode], per_sample_weights, padding, scale_grad_by_freq
    )
