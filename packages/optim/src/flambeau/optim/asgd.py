"""Averaged stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flambeau import Tensor

from ._functional import apply_rule
from .optimizer import Optimizer, check_nonnegative, options

__all__ = ["ASGD", "asgd"]


class ASGD(Optimizer):
    """Averaged stochastic gradient descent: steps that decrease in size, and a running average of the parameters.

    In step ``t``: ``p = (1 - lambd * eta) * p - eta * g`` with ``eta = lr / (1 + lambd * lr * t)**alpha``. The average
    ``ax`` is the mean of the values of ``p`` from step ``t0`` on.

    Args:
        params: parameters or parameter groups.
        lr: learning rate.
        lambd: decay rate of the parameters and of the step size.
        alpha: exponent of the decay of the step size.
        t0: number of the step at which averaging begins.
        weight_decay: factor of the L2 penalty.
        maximize: if True, maximise the objective instead of minimising it.
        foreach, capturable, differentiable: see `Optimizer`.
    State: ``step``, ``eta``, ``mu`` (the weight of the last value in the average) and ``ax``.
    Source: Polyak, Juditsky 1992, SIAM Journal on Control and Optimization 30.

    >>> weight = fb.tensor([1.0])
    >>> weight.grad = fb.tensor([2.0])
    >>> fb.optim.ASGD([weight], lr=0.1, lambd=0).step()
    >>> weight
    tensor([0.8000])
    """

    _rule = "asgd"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_nonnegative(lr=lr, weight_decay=weight_decay)
        super().__init__(params, options(locals()))


def asgd(
    params: list[Tensor],
    grads: list[Tensor],
    axs: list[Tensor],
    mus: list[Tensor],
    etas: list[Tensor],
    state_steps: list[Tensor],
    foreach: bool | None = None,
    maximize: bool = False,
    differentiable: bool = False,
    capturable: bool = False,
    has_complex: bool = False,
    *,
    lambd: float,
    lr: float,
    t0: float,
    alpha: float,
    weight_decay: float,
) -> None:
    """Apply one step of `ASGD` to lists with one entry for each parameter, in place.

    Args:
        params, grads: the parameters and their gradients.
        axs, mus, etas: states ``ax``, ``mu`` and ``eta``.
        state_steps: numbers of steps so far, as scalar tensors.
        foreach, capturable, has_complex: ignored.
        differentiable: if True, autograd records the step.
        maximize, lambd, lr, t0, alpha, weight_decay: options of `ASGD`.

    >>> weight, average, step = fb.tensor([1.0]), fb.zeros(1), fb.tensor(0.0)
    >>> mu, eta = fb.tensor(1.0), fb.tensor(0.1)  # the initial step size is lr
    >>> options = {"lambd": 0, "lr": 0.1, "t0": 1e6, "alpha": 0.75, "weight_decay": 0}
    >>> asgd([weight], [fb.tensor([2.0])], [average], [mu], [eta], [step], **options)
    >>> weight
    tensor([0.8000])
    """
    apply_rule("asgd", locals(), ax=axs, mu=mus, eta=etas)
