"""Limits the size of gradients before an optimizer's step."""

from __future__ import annotations

import math
from collections.abc import Iterable

from flambeau import Tensor, no_grad, stack, tensor

NONFINITE_NORM = (
    "The total norm of order {order} for gradients from `parameters` is non-finite, so it cannot be clipped. "
    "To disable this error and scale the gradients by the non-finite norm anyway, set `error_if_nonfinite=False`"
)


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Scale all gradients by one factor, so that their common norm is at most ``max_norm``.

    Args:
        parameters: one tensor or several; those without a gradient do not count.
        max_norm: the largest norm to leave.
        norm_type: order of the norm; ``inf`` for the largest magnitude.
        error_if_nonfinite: raise instead of scaling by NaN or 0.
    Returns: the norm before scaling.
    Raises: RuntimeError for a norm of NaN or inf, if asked to.

    >>> weight = nn.Parameter(fb.zeros(2))
    >>> weight.grad = fb.tensor([3.0, 4.0])
    >>> nn.utils.clip_grad_norm_([weight], max_norm=1.0)
    tensor(5.)
    >>> weight.grad
    tensor([0.6000, 0.8000])
    """
    gradients = _gradients(parameters)
    order = float(norm_type)
    with no_grad():
        total = _norm(gradients, order)
        if error_if_nonfinite and not math.isfinite(total.item()):
            raise RuntimeError(NONFINITE_NORM.format(order=order))
        factor = (float(max_norm) / (total + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(factor.to(gradient.dtype))
    return total


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Limit every element of every gradient to ``[-clip_value, clip_value]``."""
    limit = float(clip_value)
    with no_grad():
        for gradient in _gradients(parameters):
            gradient.copy_(gradient.clamp(-limit, limit))


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    candidates = [parameters] if isinstance(parameters, Tensor) else parameters
    return [parameter.grad for parameter in candidates if parameter.grad is not None]


def _norm(tensors: list[Tensor], order: float) -> Tensor:
    """Return the norm of all elements of all tensors."""
    if not tensors:
        return tensor(0.0)
    magnitudes = [each.detach().abs() for each in tensors if each.numel()]
    if order == math.inf:
        return stack([each.max() for each in magnitudes]).max()
    if order == 2.0:
        return stack([(each * each).sum() for each in magnitudes]).sum().sqrt()
    return stack([(each**order).sum() for each in magnitudes]).sum() ** (1.0 / order)
