"""Clipping of gradients before an optimizer's step."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator

from flambeau import Tensor, linalg, no_grad, stack, tensor

from ._tensors import listed

__all__ = ["clip_grad_norm", "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]

NONFINITE_NORM = (
    "The total norm of order {order} for gradients from `parameters` is non-finite, so it cannot be clipped. "
    "To disable this error and scale the gradients by the non-finite norm anyway, set `error_if_nonfinite=False`"
)


def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Return the norm of all elements of all tensors.

    Args:
        tensors: a tensor or an iterable of tensors.
        norm_type: order of the norm; ``inf`` for the largest magnitude.
        error_if_nonfinite: if True, raise an error instead of returning NaN or inf.
        foreach: accepted for compatibility, without effect.
    Raises: RuntimeError if ``error_if_nonfinite`` is True and the norm is NaN or inf.

    >>> nn.utils.get_total_norm([fb.tensor([3.0]), fb.tensor([4.0])])
    tensor(5.)
    """
    order = float(norm_type)
    with no_grad():
        total = _norm(listed("get_total_norm", tensors), order)
    if error_if_nonfinite and not math.isfinite(total.item()):
        raise RuntimeError(NONFINITE_NORM.format(order=order))
    return total


def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """Scale all gradients by ``max_norm / (total_norm + 1e-6)`` if this factor is below 1.

    ``parameters`` and ``max_norm`` are described in `clip_grad_norm_`; ``total_norm`` is the norm of all gradients.

    >>> weight = fb.zeros(2, requires_grad=True)
    >>> weight.grad = fb.tensor([3.0, 4.0])
    >>> nn.utils.clip_grads_with_norm_([weight], 1.0, fb.tensor(5.0))
    >>> weight.grad
    tensor([0.6000, 0.8000])
    """
    with no_grad():
        factor = (float(max_norm) / (total_norm + 1e-6)).clamp(max=1.0)
        for gradient in _gradients(listed("clip_grads_with_norm_", parameters)):
            gradient.mul_(factor.to(gradient.dtype))


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale all gradients by one factor, so that the norm of all their elements is at most ``max_norm``.

    Args:
        parameters: one tensor or an iterable of tensors. Tensors without a gradient are ignored.
        max_norm: maximum norm after clipping.
        norm_type: order of the norm; ``inf`` for the largest magnitude.
        error_if_nonfinite: if True, raise an error instead of scaling by NaN or 0.
        foreach: accepted for compatibility, without effect.
    Returns: the norm before scaling.
    Raises: RuntimeError if ``error_if_nonfinite`` is True and the norm is NaN or inf.

    >>> weight = nn.Parameter(fb.zeros(2))
    >>> weight.grad = fb.tensor([3.0, 4.0])
    >>> nn.utils.clip_grad_norm_([weight], max_norm=1.0)
    tensor(5.)
    >>> weight.grad
    tensor([0.6000, 0.8000])
    """
    held = listed("clip_grad_norm_", parameters)
    if not held and isinstance(parameters, Iterator):
        warnings.warn("`parameters` is an empty generator, no gradient clipping will occur.", stacklevel=2)
    total = get_total_norm(_gradients(held), norm_type, error_if_nonfinite)
    clip_grads_with_norm_(held, max_norm, total)
    return total


def clip_grad_norm(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Warn that the name is deprecated, and clip the gradients. See `clip_grad_norm_`."""
    warnings.warn(
        "`nn.utils.clip_grad_norm` is now deprecated in favor of `nn.utils.clip_grad_norm_`.",
        FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None) -> None:
    """Limit every element of every gradient to ``[-clip_value, clip_value]``.

    >>> weight = fb.zeros(2, requires_grad=True)
    >>> weight.grad = fb.tensor([3.0, -0.5])
    >>> nn.utils.clip_grad_value_([weight], 1.0)
    >>> weight.grad
    tensor([ 1.0000, -0.5000])
    """
    limit = float(clip_value)
    with no_grad():
        for gradient in _gradients(listed("clip_grad_value_", parameters)):
            gradient.copy_(gradient.clamp(-limit, limit))


def _gradients(parameters: list[Tensor]) -> list[Tensor]:
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def _norm(tensors: list[Tensor], order: float) -> Tensor:
    """Return the norm of all elements of all tensors."""
    norms = [linalg.vector_norm(each, order) for each in tensors if each.numel()]
    return linalg.vector_norm(stack(norms), order) if norms else tensor(0.0)
