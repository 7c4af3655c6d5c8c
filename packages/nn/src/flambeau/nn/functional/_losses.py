"""Losses that compare element by element."""

from __future__ import annotations

import math
import warnings

import flambeau
from flambeau import Tensor, _core
from flambeau._operator import autocasts
from flambeau._operators.queries import _holds

from ._reduction import chosen, reduced, same_size

# From this x on, 1 + exp(-x) rounds to 1 in every dtype, and exp(x) is still finite in float32.
SOFTPLUS_IS_LINEAR = 40.0

_PROBABILITIES_WANTED = (
    "all elements of input should be between 0 and 1; use binary_cross_entropy_with_logits for logits"
)
_SIZES_MUST_AGREE = "Target size {target} must be the same as input size {input}"


@autocasts("float32")
def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """Compute ``|x - y| * weight`` of input ``x`` and target ``y``. The mean divides by the sum of the weights.

    Args:
        input, target: tensors of the same shape; different shapes are broadcast with a warning.
        size_average, reduce: older spellings of ``reduction``.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        weight: a factor for each element.
    Gradient: defined for input and target, to any order.

    >>> nn.functional.l1_loss(fb.tensor([1.0, 2.0]), fb.zeros(2))
    tensor(1.5000)
    """
    reduction = chosen(reduction, size_average, reduce)
    input, target = same_size(input, target)
    return _weighted(_distance(input, target), weight, reduction)


@autocasts("float32")
def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """Compute ``(x - y)**2`` of input ``x`` and target ``y``. The arguments are described in `l1_loss`.

    >>> nn.functional.mse_loss(fb.tensor([1.0, 3.0]), fb.zeros(2))
    tensor(5.)
    """
    if size_average is not None or reduce is not None:
        reduction = chosen(reduction, size_average, reduce)
    if input.shape != target.shape:
        input, target = same_size(input, target)
    if weight is None:
        return flambeau.mse_loss(input, target, reduction)
    return _weighted((input - target).square(), weight, chosen(reduction))


def _distance(input: Tensor, target: Tensor) -> Tensor:
    if input.dtype.is_floating_point and target.dtype.is_floating_point:
        return _core._absolute_error(input, target)
    return (input - target).abs()


def _weighted(loss: Tensor, weight: Tensor | None, reduction: str, normalized: bool = True) -> Tensor:
    if weight is None:
        return reduced(loss, reduction)
    if weight.shape != loss.shape:
        raise ValueError(f"Weights and input must have the same size, got {list(weight.shape)} and {list(loss.shape)}.")
    loss = loss * weight
    return loss.sum() / weight.sum() if reduction == "mean" and normalized else reduced(loss, reduction)


@autocasts("float32")
def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """Compute ``d**2 / (2 * beta)`` if ``d = |x - y|`` is below ``beta``, else ``d - beta / 2``.

    Raises: ValueError for a negative ``beta``.

    >>> nn.functional.smooth_l1_loss(fb.tensor([0.5, 3.0]), fb.zeros(2), reduction="none")
    tensor([0.1250, 2.5000])
    """
    reduction = chosen(reduction, size_average, reduce)
    input, target = same_size(input, target)
    if beta < 0:
        raise RuntimeError(f"smooth_l1_loss does not support negative values for beta, got {beta}")
    if beta == 0:
        return reduced(_distance(input, target), reduction)
    return reduced(_core._huber(input, target, beta) / beta, reduction)


@autocasts("float32")
def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """Compute ``d**2 / 2`` if ``d = |x - y|`` is below ``delta``, else ``delta * (d - delta / 2)``.

    The mean of weighted losses divides by the number of elements. `l1_loss` and `mse_loss` divide by the sum of the
    weights.

    Raises: RuntimeError for a ``delta`` that is not positive.

    >>> nn.functional.huber_loss(fb.tensor([0.0, 3.0]), fb.tensor([0.5, 0.0]))
    tensor(1.3125)
    """
    reduction = chosen(reduction)
    input, target = same_size(input, target)
    if delta <= 0:
        raise RuntimeError(f"huber_loss does not support non-positive values for delta, got {delta}")
    return _weighted(_core._huber(input, target, delta), weight, reduction, normalized=False)


@autocasts("float32")
def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Compute ``-(y * log(p) + (1 - y) * log(1 - p))``, with each logarithm clamped to at least -100.

    Prefer `binary_cross_entropy_with_logits`, which does not round ``p`` first.

    Raises: ValueError if the shapes differ; RuntimeError for a ``p`` outside [0, 1].

    >>> nn.functional.binary_cross_entropy(fb.tensor([0.9, 0.2]), fb.tensor([1.0, 0.0]))
    tensor(0.1643)
    """
    reduction = chosen(reduction, size_average, reduce)
    if input.shape != target.shape:
        raise ValueError(_SIZES_MUST_AGREE.format(target=list(target.shape), input=list(input.shape)))
    if input.numel() and not _holds((input >= 0) & (input <= 1)):
        raise RuntimeError(_PROBABILITIES_WANTED)
    loss = _core._binary_cross_entropy(input, target)
    return reduced(loss if weight is None else loss * weight, reduction)


@autocasts("float32")
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """Compute the binary cross-entropy of ``sigmoid(x)``, accurately for any ``x``.

    ``(1 - y) * x + (1 + (pos_weight - 1) * y) * softplus(-x)``

    Args:
        input: logits.
        target: probabilities, of the same shape.
        weight: multiplies each element's loss.
        size_average, reduce: older spellings of ``reduction``.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        pos_weight: multiplies the loss of the positive class.
    Raises: ValueError if the shapes differ.
    Gradient: defined for all tensors, to any order.

    >>> nn.functional.binary_cross_entropy_with_logits(fb.zeros(1), fb.ones(1))
    tensor(0.6931)
    """
    reduction = chosen(reduction, size_average, reduce)
    if input.shape != target.shape:
        raise ValueError(_SIZES_MUST_AGREE.format(target=list(target.shape), input=list(input.shape)))
    if pos_weight is None:
        loss = _core._binary_cross_entropy_with_logits(input, target)
    else:
        remainder = flambeau.softplus(-input, 1.0, SOFTPLUS_IS_LINEAR)
        loss = (1 - target) * input + (1 + (pos_weight - 1) * target) * remainder
    return reduced(loss if weight is None else loss * weight, reduction)


MEAN_OF_DIVERGENCE = (
    "reduction: 'mean' divides the total loss by both the batch size and the support size. 'batchmean' divides only "
    "by the batch size, and aligns with the KL div math definition."
)


@autocasts("float32")
def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """Compute the Kullback-Leibler divergence ``y * (log y - x)`` of log-probabilities ``x`` from probabilities ``y``.

    Args:
        reduction: ``"batchmean"`` divides the sum by the batch size, which is the mathematical definition; ``"mean"``
            divides by the number of elements.
        log_target: if True, the target is the logarithm of ``y``.

    >>> nn.functional.kl_div(fb.tensor([[0.5, 0.5]]).log(), fb.tensor([[0.9, 0.1]]), reduction="batchmean")
    tensor(0.3681)
    """
    if reduction != "batchmean" or size_average is not None or reduce is not None:
        reduction = chosen(reduction, size_average, reduce)
    if reduction == "mean":
        warnings.warn(MEAN_OF_DIVERGENCE, stacklevel=2)
    return divergence(input, target, reduction, log_target)


def divergence(input: Tensor, target: Tensor, reduction: str, log_target: bool) -> Tensor:
    """Compute `kl_div` without its warning about the reduction."""
    each = target.exp() * (target - input) if log_target else flambeau.xlogy(target, target) - target * input
    if reduction == "batchmean":
        return each.sum() / input.shape[0] if input.ndim else each.sum()
    return reduced(each, reduction)


@autocasts("float32")
def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Compute ``exp(x) - y * x`` of a log rate ``x``, or ``x - y * log(x + eps)`` of a rate ``x``, for counts ``y``.

    Args:
        log_input: if True, ``x`` is the logarithm of the rate.
        full: if True, add Stirling's ``y * log(y) - y + log(2 * pi * y) / 2`` where ``y > 1``.

    >>> nn.functional.poisson_nll_loss(fb.tensor([0.0, 1.0]), fb.tensor([1.0, 2.0]))
    tensor(0.8591)
    """
    reduction = chosen(reduction, size_average, reduce)
    loss = input.exp() - target * input if log_input else input - target * (input + eps).log()
    if full:
        stirling = target * target.log() - target + 0.5 * (2 * math.pi * target).log()
        loss = loss + stirling.masked_fill(target <= 1, 0)
    return reduced(loss, reduction)


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """Compute ``(log(v) + (x - y)**2 / v) / 2`` with ``v = max(var, eps)``.

    Args:
        var: a number, or a tensor of the input's shape; its last dimension may also be missing or of size 1.
        full: if True, add ``log(2 * pi) / 2``.
        eps: lower limit of the variance. The gradient with respect to ``var`` ignores the limit.
    Raises: ValueError if ``var`` has another shape or a negative element.

    >>> nn.functional.gaussian_nll_loss(fb.tensor([1.0]), fb.tensor([3.0]), fb.tensor([4.0]))
    tensor(1.1931)
    """
    if isinstance(var, float):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        var = var * flambeau.ones_like(input)
    elif not isinstance(var, Tensor):
        raise TypeError(f"var must be a Tensor or a float, not {type(var).__name__}")
    if var.shape != input.shape:
        if input.shape[:-1] == var.shape:
            var = var.unsqueeze(-1)
        elif not (input.shape[:-1] == var.shape[:-1] and var.shape[-1:] == (1,)) and not (
            var.ndim == input.ndim and all(v in (1, i) for v, i in zip(var.shape, input.shape, strict=True))
        ):
            raise ValueError(f"var is of incorrect size: {list(var.shape)} for an input of size {list(input.shape)}")
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not valid as reduction; expected 'none', 'mean' or 'sum'")
    if not _holds((var < 0).logical_not()):
        raise ValueError("var has negative entry/entries")
    # The clamp changes the value, but the derivative of v with respect to var is 1 everywhere, as in PyTorch.
    var = var + (var.detach().clamp(min=eps) - var.detach())
    loss = 0.5 * (var.log() + (input - target).square() / var)
    return reduced(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)


@autocasts("float32")
def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Compute ``x`` for inputs ``x`` with target 1, and ``max(0, margin - x)`` for inputs with target -1.

    >>> nn.functional.hinge_embedding_loss(fb.tensor([0.5, 0.25]), fb.tensor([1, -1]))
    tensor(0.6250)
    """
    reduction = chosen(reduction, size_average, reduce)
    far = (margin - input).clamp(min=0)
    loss = flambeau.where(target != 1, far, 0.0) + flambeau.where(target != -1, input, 0.0)
    return reduced(loss, reduction)


@autocasts("float32")
def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Compute the logistic loss ``log(1 + exp(-y * x))`` of inputs ``x`` and targets ``y``, which are 1 or -1.

    >>> nn.functional.soft_margin_loss(fb.tensor([2.0, -1.0]), fb.tensor([1.0, -1.0]))
    tensor(0.2201)
    """
    reduction = chosen(reduction, size_average, reduce)
    return reduced(flambeau.softplus(-target * input, 1.0, SOFTPLUS_IS_LINEAR), reduction)
