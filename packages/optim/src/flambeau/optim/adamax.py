"""Adamax: Adam with a running maximum in place of the running mean square."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flambeau import Tensor

from ._functional import apply_rule
from .optimizer import Optimizer, check_betas, check_nonnegative, options

__all__ = ["Adamax", "adamax"]


class Adamax(Optimizer):
    """Adamax optimizer: Adam with a running maximum of ``|g|`` in place of the running mean of ``g**2``.

    In step ``t``: ``m = beta1 * m + (1 - beta1) * g``, ``u = max(beta2 * u, |g| + eps)``,
    ``p -= lr / (1 - beta1**t) * m / u``.

    The arguments have the same meaning as for `Adam`. State: ``step``, ``exp_avg`` and ``exp_inf``.
    Source: Kingma, Ba 2015, arXiv:1412.6980, section 7.1.

    >>> weight = fb.tensor([1.0])
    >>> weight.grad = fb.tensor([2.0])
    >>> fb.optim.Adamax([weight], lr=0.1).step()
    >>> weight
    tensor([0.9000])
    """

    _rule = "adamax"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_nonnegative(lr=lr, eps=eps, weight_decay=weight_decay)
        check_betas(betas)
        super().__init__(params, options(locals()))


def adamax(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_infs: list[Tensor],
    state_steps: list[Tensor],
    foreach: bool | None = None,
    maximize: bool = False,
    differentiable: bool = False,
    capturable: bool = False,
    has_complex: bool = False,
    *,
    eps: float,
    beta1: float,
    beta2: float,
    lr: float,
    weight_decay: float,
) -> None:
    """Apply one step of `Adamax` to lists with one entry for each parameter, in place.

    Args:
        params, grads: the parameters and their gradients.
        exp_avgs, exp_infs: states ``exp_avg`` and ``exp_inf``.
        state_steps: numbers of steps so far, as scalar tensors.
        foreach, capturable, has_complex: ignored.
        differentiable: if True, autograd records the step.
        maximize, eps, lr, weight_decay: options of `Adamax`.
        beta1, beta2: the option ``betas``.

    >>> weight, mean, largest, step = fb.tensor([1.0]), fb.zeros(1), fb.zeros(1), fb.tensor(0.0)
    >>> options = {"lr": 0.1, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0}
    >>> adamax([weight], [fb.tensor([2.0])], [mean], [largest], [step], **options)
    >>> weight
    tensor([0.9000])
    """
    apply_rule("adamax", locals(), exp_avg=exp_avgs, exp_inf=exp_infs)
