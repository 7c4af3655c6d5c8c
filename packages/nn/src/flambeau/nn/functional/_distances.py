"""Losses based on distances between vectors, and normalisation of vectors to length 1."""

from __future__ import annotations

from collections.abc import Callable

import flambeau
from flambeau import Tensor, pairwise_distance
from flambeau._operator import autocasts

from ._reduction import chosen, reduced


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Tensor | None = None) -> Tensor:
    """Compute ``x / max(|x|, eps)`` with the p-norm over ``dim``.

    >>> nn.functional.normalize(fb.tensor([3.0, 4.0]), dim=0)
    tensor([0.6000, 0.8000])
    """
    length = flambeau.norm(input, p, dim, True).clamp(min=eps)
    return flambeau.div(input, length) if out is None else flambeau.div(input, length, out=out)


@autocasts("float32")
def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Compute ``1 - cos`` for targets of 1, and ``max(0, cos - margin)`` for -1, with the cosine similarity ``cos``.

    Args:
        input1, input2: ``(N, D)`` or ``(D,)``.
        target: ``(N,)`` or a scalar.

    >>> nn.functional.cosine_embedding_loss(fb.tensor([[1.0, 0.0]]), fb.tensor([[1.0, 1.0]]), fb.tensor([1]))
    tensor(0.2929)
    """
    reduction = chosen(reduction, size_average, reduce)
    if not ((target.ndim == 1 and {input1.ndim, input2.ndim} <= {1, 2}) or (target.ndim == 0 and input1.ndim == 1)):
        raise RuntimeError(
            "expected inputs [N, D] with target [N], or inputs [D] with a 0D target, but found inputs with sizes "
            f"{list(input1.shape)} and {list(input2.shape)} and target with size {list(target.shape)}"
        )
    dim = target.ndim
    squares = (input1 * input2).sum(dim)
    tiny = 1e-12
    lengths = ((input1 * input1).sum(dim) + tiny) * ((input2 * input2).sum(dim) + tiny)
    cosine = squares / lengths.sqrt()
    loss = flambeau.where(target == 1, 1 - cosine, 0.0) + flambeau.where(
        target == -1, (cosine - margin).clamp(min=0), 0.0
    )
    return reduced(loss, reduction)


@autocasts("float32")
def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Compute ``max(0, -y * (x1 - x2) + margin)``: ``x1`` should be greater if ``y`` is 1, and less if ``y`` is -1.

    >>> nn.functional.margin_ranking_loss(fb.tensor([1.0]), fb.tensor([2.0]), fb.tensor([1]), margin=0.5)
    tensor(1.5000)
    """
    reduction = chosen(reduction, size_average, reduce)
    if not input1.ndim == input2.ndim == target.ndim:
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {list(input1.shape)}, input2: {list(input2.shape)}, target: {list(target.shape)}"
        )
    return reduced((-target * (input1 - input2) + margin).clamp(min=0), reduction)


@autocasts("float32")
def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Compute ``max(0, d(anchor, positive) - d(anchor, negative) + margin)`` with `pairwise_distance` as ``d``.

    Args:
        swap: if True, use ``d(positive, negative)`` where it is smaller than ``d(anchor, negative)``.
    Raises: ValueError for a margin that is not positive. RuntimeError if the numbers of dimensions differ.
    Source: Balntas et al. 2016, "Learning local feature descriptors with triplets and shallow CNNs".

    >>> nn.functional.triplet_margin_loss(fb.tensor([[0.0]]), fb.tensor([[1.0]]), fb.tensor([[1.5]]))
    tensor(0.5000)
    """
    reduction = chosen(reduction, size_average, reduce)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: "
            f"anchor {anchor.ndim}D, positive {positive.ndim}D, and negative {negative.ndim}D inputs"
        )
    return _triplet(anchor, positive, negative, lambda a, b: pairwise_distance(a, b, p, eps), margin, swap, reduction)


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """Compute `triplet_margin_loss` with any distance, by default `pairwise_distance`.

    >>> nn.functional.triplet_margin_with_distance_loss(fb.tensor([[0.0]]), fb.tensor([[1.0]]), fb.tensor([[1.5]]))
    tensor(0.5000)
    """
    reduction = chosen(reduction)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: "
            f"anchor {anchor.ndim}D, positive {positive.ndim}D, and negative {negative.ndim}D inputs"
        )
    return _triplet(anchor, positive, negative, distance_function or pairwise_distance, margin, swap, reduction)


def _triplet(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    distance: Callable[[Tensor, Tensor], Tensor],
    margin: float,
    swap: bool,
    reduction: str,
) -> Tensor:
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = flambeau.minimum(far, distance(positive, negative))
    return reduced((near - far + margin).clamp(min=0), reduction)
