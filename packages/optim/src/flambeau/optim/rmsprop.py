"""RMSprop: steps scaled by a running mean of squared gradients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flambeau import Tensor

from ._functional import apply_rule
from .optimizer import Optimizer, check_nonnegative, options

__all__ = ["RMSprop", "rmsprop"]


class RMSprop(Optimizer):
    """RMSprop optimizer: steps divided by the square root of a running mean of squared gradients.

    ``v = alpha * v + (1 - alpha) * g**2``, ``p -= lr * g / (sqrt(v) + eps)``. With momentum:
    ``b = momentum * b + g / (sqrt(v) + eps)``, ``p -= lr * b``. With ``centered``, the square of the running mean of
    ``g`` is subtracted from ``v``.

    Args:
        params: parameters or parameter groups.
        lr: learning rate.
        alpha: decay rate of the running means.
        eps: added to the denominator for numerical stability.
        weight_decay: factor of the L2 penalty.
        momentum: momentum factor.
        centered: if True, divide by the estimated standard deviation of the gradient.
        capturable, foreach, maximize, differentiable: see `Optimizer`.
    State: ``step``, ``square_avg`` and, if the options require them, ``momentum_buffer`` and ``grad_avg``.
    Raises: ValueError for options out of range.
    Source: Tieleman, Hinton 2012, lecture 6.5; centred: Graves 2013, arXiv:1308.0850.

    >>> weight = fb.tensor([1.0])
    >>> weight.grad = fb.tensor([2.0])
    >>> fb.optim.RMSprop([weight], lr=0.1, alpha=0.75).step()
    >>> weight
    tensor([0.8000])
    """

    _rule = "rmsprop"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_nonnegative(lr=lr, eps=eps, momentum=momentum, weight_decay=weight_decay, alpha=alpha)
        order = "lr momentum alpha eps centered weight_decay capturable foreach maximize differentiable"
        super().__init__(params, options(locals(), order))


def rmsprop(
    params: list[Tensor],
    grads: list[Tensor],
    square_avgs: list[Tensor],
    grad_avgs: list[Tensor],
    momentum_buffer_list: list[Tensor],
    state_steps: list[Tensor],
    foreach: bool | None = None,
    maximize: bool = False,
    differentiable: bool = False,
    capturable: bool = False,
    has_complex: bool = False,
    *,
    lr: float,
    alpha: float,
    eps: float,
    weight_decay: float,
    momentum: float,
    centered: bool,
) -> None:
    """Apply one step of `RMSprop` to lists with one entry for each parameter, in place.

    Args:
        params, grads: the parameters and their gradients.
        square_avgs, grad_avgs, momentum_buffer_list: states ``square_avg``, ``grad_avg`` and ``momentum_buffer``. A
            list may be empty if the options do not need this state.
        state_steps: numbers of steps so far, as scalar tensors.
        foreach, capturable, has_complex: ignored.
        differentiable: if True, autograd records the step.
        maximize, lr, alpha, eps, weight_decay, momentum, centered: options of `RMSprop`.

    >>> weight, square, step = fb.tensor([1.0]), fb.zeros(1), fb.tensor(0.0)
    >>> options = {"lr": 0.1, "alpha": 0.75, "eps": 1e-8, "weight_decay": 0, "momentum": 0, "centered": False}
    >>> rmsprop([weight], [fb.tensor([2.0])], [square], [], [], [step], **options)
    >>> weight
    tensor([0.8000])
    """
    apply_rule("rmsprop", locals(), square_avg=square_avgs, grad_avg=grad_avgs, momentum_buffer=momentum_buffer_list)
