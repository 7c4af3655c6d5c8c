"""Variants of ``nn.functional`` functions that PyTorch has in its main namespace.

They encode reductions as numbers (0 none, 1 mean, 2 sum). Some of them have additional results or work in place.
``flambeau.__init__`` lists them, for example ``flambeau.kl_div``.
"""

from __future__ import annotations

from typing import Any

import flambeau
from flambeau import Tensor
from flambeau._overridable import overridable

from . import _activations, _distances, _dropout, _losses, _pooling, _sampling
from ._ctc import ctc_loss as _ctc_loss

max_pool1d_with_indices = _pooling.max_pool1d_with_indices


def _named(reduction: int) -> str:
    """Return the name of a reduction. Raises: ValueError for an unknown number."""
    if reduction not in (0, 1, 2):
        raise ValueError(f"reduction must be 0 (none), 1 (mean) or 2 (sum), got {reduction!r}")
    return ("none", "mean", "sum")[reduction]


@overridable
def kl_div(input: Tensor, target: Tensor, reduction: int = 1, *, log_target: bool = False) -> Tensor:
    """Compute the loss with ``reduction`` 0 (none), 1 (mean) or 2 (sum). See `nn.functional.kl_div`."""
    return _losses.divergence(input, target, _named(reduction), log_target)


@overridable
def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: int = 1,
    zero_infinity: bool = False,
) -> Tensor:
    """Compute the loss with ``reduction`` 0 (none), 1 (mean) or 2 (sum). See `nn.functional.ctc_loss`."""
    return _ctc_loss(log_probs, targets, input_lengths, target_lengths, blank, _named(reduction), zero_infinity)


@overridable
def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: int = 1
) -> Tensor:
    """Compute the loss with ``reduction`` 0 (none), 1 (mean) or 2 (sum). See `nn.functional.cosine_embedding_loss`."""
    return _distances.cosine_embedding_loss(input1, input2, target, margin, reduction=_named(reduction))


@overridable
def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: int = 1
) -> Tensor:
    """Compute the loss with ``reduction`` 0 (none), 1 (mean) or 2 (sum). See `nn.functional.margin_ranking_loss`."""
    return _distances.margin_ranking_loss(input1, input2, target, margin, reduction=_named(reduction))


@overridable
def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: int = 1,
) -> Tensor:
    """Compute the loss with ``reduction`` 0 (none), 1 (mean) or 2 (sum). See `nn.functional.triplet_margin_loss`."""
    options: dict[str, Any] = {"margin": margin, "p": p, "eps": eps, "swap": swap}
    return _distances.triplet_margin_loss(anchor, positive, negative, **options, reduction=_named(reduction))


@overridable
def hinge_embedding_loss(input: Tensor, target: Tensor, margin: float = 1.0, reduction: int = 1) -> Tensor:
    """Compute the loss with ``reduction`` 0 (none), 1 (mean) or 2 (sum). See `nn.functional.hinge_embedding_loss`."""
    return _losses.hinge_embedding_loss(input, target, margin, reduction=_named(reduction))


@overridable
def poisson_nll_loss(input: Tensor, target: Tensor, log_input: bool, full: bool, eps: float, reduction: int) -> Tensor:
    """Compute the loss with ``reduction`` 0 (none), 1 (mean) or 2 (sum). See `nn.functional.poisson_nll_loss`."""
    return _losses.poisson_nll_loss(input, target, log_input, full, eps=eps, reduction=_named(reduction))


@overridable
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    pos_weight: Tensor | None = None,
    reduction: int = 1,
) -> Tensor:
    """Compute the loss with ``reduction`` 0 (none), 1 (mean) or 2 (sum).

    See `nn.functional.binary_cross_entropy_with_logits`.
    """
    return _losses.binary_cross_entropy_with_logits(
        input, target, weight, reduction=_named(reduction), pos_weight=pos_weight
    )


@overridable
def adaptive_max_pool1d(input: Tensor, output_size: Any) -> tuple[Tensor, Tensor]:
    """Apply adaptive max pooling over one dimension, and also return the positions of the maxima.

    Args:
        input: tensor of shape ``(N, C, L)`` or ``(C, L)``.
        output_size: size of the last dimension of the result.
    Returns: the maxima and their int64 positions in the input.

    >>> fb.adaptive_max_pool1d(fb.tensor([[1.0, 5.0, 2.0, 3.0]]), 2)
    (tensor([[5., 3.]]), tensor([[1, 3]]))
    """
    values, indices = _pooling.adaptive_max_pool1d(input, output_size, True)
    return values, indices


@overridable
def rrelu(
    input: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, generator: Any = None
) -> Tensor:
    """Apply the randomised leaky ReLU. See `nn.functional.rrelu`.

    Raises: NotImplementedError if ``generator`` is not None.
    """
    _default_generator_only("rrelu", generator)
    return _activations.rrelu(input, lower, upper, training)


@overridable
def rrelu_(
    input: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, generator: Any = None
) -> Tensor:
    """Apply the randomised leaky ReLU in place. See `nn.functional.rrelu`."""
    _default_generator_only("rrelu_", generator)
    return _activations.rrelu(input, lower, upper, training, True)


def _default_generator_only(name: str, generator: Any) -> None:
    if generator is not None:
        raise NotImplementedError(
            f"{name}: generator= is not supported, because only the default generator can be used"
        )


@overridable
def dropout_(input: Tensor, p: float, train: bool) -> Tensor:
    """Apply dropout in place. See `nn.functional.dropout`."""
    return _dropout.dropout(input, p, train, True)


@overridable
def affine_grid_generator(theta: Tensor, size: Any, align_corners: bool) -> Tensor:
    """Return the sampling grid of affine maps. See `nn.functional.affine_grid`."""
    return _sampling.affine_grid(theta, list(size), align_corners)


@overridable
def norm_except_dim(v: Tensor, pow: int = 2, dim: int = 0) -> Tensor:
    """Return the norm over all dimensions except ``dim``, or over all dimensions for ``dim=-1``.

    Unless ``dim`` is -1, the reduced dimensions are kept with size 1.

    Args:
        v: floating or complex tensor.
        pow: order of the norm.
        dim: the dimension that remains.

    >>> fb.norm_except_dim(fb.tensor([[3.0, 4.0], [6.0, 8.0]]))
    tensor([[ 5.],
            [10.]])
    """
    others = [d for d in range(v.ndim) if d != dim]
    return v.norm(pow) if dim == -1 else flambeau.linalg.vector_norm(v, pow, others, True)
