"""RAdam: Adam with a rectified denominator."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flambeau import Tensor

from ._functional import apply_rule
from .optimizer import Optimizer, check_betas, check_nonnegative, options

__all__ = ["RAdam", "radam"]


class RAdam(Optimizer):
    """RAdam optimizer: Adam with a rectified denominator.

    During the first steps, the variance of the denominator is large. In these steps, RAdam uses only the momentum. The
    arguments have the same meaning as for `Adam`.

    State: ``step``, ``exp_avg`` and ``exp_avg_sq``.
    Source: Liu et al. 2020, arXiv:1908.03265.

    >>> weight = fb.tensor([1.0])
    >>> weight.grad = fb.tensor([2.0])
    >>> fb.optim.RAdam([weight], lr=0.1).step()
    >>> weight
    tensor([0.8000])
    """

    _rule = "radam"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_nonnegative(lr=lr, eps=eps, weight_decay=weight_decay)
        check_betas(betas)
        order = "lr betas eps weight_decay maximize foreach capturable decoupled_weight_decay differentiable"
        super().__init__(params, options(locals(), order))


def radam(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_sqs: list[Tensor],
    state_steps: list[Tensor],
    decoupled_weight_decay: bool = False,
    foreach: bool | None = None,
    differentiable: bool = False,
    capturable: bool = False,
    has_complex: bool = False,
    maximize: bool = False,
    *,
    beta1: float,
    beta2: float,
    lr: float,
    weight_decay: float,
    eps: float,
) -> None:
    """Apply one step of `RAdam` to lists with one entry for each parameter, in place.

    Args:
        params, grads: the parameters and their gradients.
        exp_avgs, exp_avg_sqs: states ``exp_avg`` and ``exp_avg_sq``.
        state_steps: numbers of steps so far, as scalar tensors.
        foreach, capturable, has_complex: ignored.
        differentiable: if True, autograd records the step.
        decoupled_weight_decay, maximize, lr, weight_decay, eps: options of `RAdam`.
        beta1, beta2: the option ``betas``.

    >>> weight, mean, square, step = fb.tensor([1.0]), fb.zeros(1), fb.zeros(1), fb.tensor(0.0)
    >>> options = {"beta1": 0.9, "beta2": 0.999, "lr": 0.1, "weight_decay": 0, "eps": 1e-8}
    >>> radam([weight], [fb.tensor([2.0])], [mean], [square], [step], **options)
    >>> weight
    tensor([0.8000])
    """
    apply_rule("radam", locals(), exp_avg=exp_avgs, exp_avg_sq=exp_avg_sqs)
