"""Adadelta: steps scaled by the running RMS of updates divided by the running RMS of gradients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flambeau import Tensor

from ._functional import apply_rule
from .optimizer import Optimizer, check_nonnegative, options

__all__ = ["Adadelta", "adadelta"]


class Adadelta(Optimizer):
    """Adadelta optimizer: gradients scaled by the running RMS of updates divided by the running RMS of gradients.

    ``v = rho * v + (1 - rho) * g**2``, ``d = sqrt(u + eps) / sqrt(v + eps) * g``,
    ``u = rho * u + (1 - rho) * d**2``, ``p -= lr * d``.

    Args:
        params: parameters or parameter groups.
        lr: factor of the step.
        rho: decay rate of the running means, in [0, 1].
        eps: number added under the square roots.
        weight_decay: factor of the L2 penalty.
        foreach, capturable, maximize, differentiable: see `Optimizer`.
    State: ``step``, ``square_avg`` and ``acc_delta``.
    Raises: ValueError for options out of range.
    Source: Zeiler 2012, arXiv:1212.5701.

    >>> weight = fb.tensor([1.0])
    >>> weight.grad = fb.tensor([2.0])
    >>> fb.optim.Adadelta([weight], eps=1.0).step()
    >>> weight
    tensor([-0.6903])
    """

    _rule = "adadelta"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_nonnegative(lr=lr, eps=eps, weight_decay=weight_decay)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}; expected a number in [0, 1]")
        order = "lr rho eps weight_decay maximize capturable foreach differentiable"
        super().__init__(params, options(locals(), order))


def adadelta(
    params: list[Tensor],
    grads: list[Tensor],
    square_avgs: list[Tensor],
    acc_deltas: list[Tensor],
    state_steps: list[Tensor],
    capturable: bool = False,
    foreach: bool | None = None,
    differentiable: bool = False,
    has_complex: bool = False,
    *,
    lr: float,
    rho: float,
    eps: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """Apply one step of `Adadelta` to lists with one entry for each parameter, in place.

    Args:
        params, grads: the parameters and their gradients.
        square_avgs, acc_deltas: states ``square_avg`` and ``acc_delta``.
        state_steps: numbers of steps so far, as scalar tensors.
        capturable, foreach, has_complex: ignored.
        differentiable: if True, autograd records the step.
        lr, rho, eps, weight_decay, maximize: options of `Adadelta`.

    >>> weight, size, delta, step = fb.tensor([1.0]), fb.zeros(1), fb.zeros(1), fb.tensor(0.0)
    >>> options = {"lr": 1.0, "rho": 0.9, "eps": 1.0, "weight_decay": 0, "maximize": False}
    >>> adadelta([weight], [fb.tensor([2.0])], [size], [delta], [step], **options)
    >>> weight
    tensor([-0.6903])
    """
    apply_rule("adadelta", locals(), square_avg=square_avgs, acc_delta=acc_deltas)
