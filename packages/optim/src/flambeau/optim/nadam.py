"""NAdam: Adam with Nesterov momentum."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flambeau import Tensor

from ._functional import apply_rule
from .optimizer import Optimizer, check_betas, check_nonnegative, options

__all__ = ["NAdam", "nadam"]


class NAdam(Optimizer):
    """NAdam optimizer: Adam with Nesterov momentum.

    In step ``t``, with ``mu_t = beta1 * (1 - 0.96**(t * momentum_decay) / 2)`` and ``M_t = mu_1 * ... * mu_t``:
    ``p -= lr * ((1 - mu_t) / (1 - M_t) * g + mu_{t+1} / (1 - M_{t+1}) * m) / (sqrt(v / (1 - beta2**t)) + eps)``.

    Args:
        momentum_decay: rate at which the momentum ``mu_t`` grows from about ``beta1 / 2`` to ``beta1``.
        decoupled_weight_decay: if True, decouple weight decay from the gradient, as `AdamW` does.
        Other arguments: see `Adam`.
    State: ``step``, ``mu_product``, ``exp_avg`` and ``exp_avg_sq``.
    Source: Dozat 2016, ICLR workshop.

    >>> weight = fb.tensor([1.0])
    >>> weight.grad = fb.tensor([2.0])
    >>> fb.optim.NAdam([weight], lr=0.1).step()
    >>> weight < 1
    tensor([True])
    """

    _rule = "nadam"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_nonnegative(lr=lr, eps=eps, weight_decay=weight_decay, momentum_decay=momentum_decay)
        check_betas(betas)
        order = (
            "lr betas eps weight_decay momentum_decay decoupled_weight_decay maximize foreach capturable differentiable"
        )
        super().__init__(params, options(locals(), order))


def nadam(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_sqs: list[Tensor],
    mu_products: list[Tensor],
    state_steps: list[Tensor],
    decoupled_weight_decay: bool = False,
    foreach: bool | None = None,
    capturable: bool = False,
    differentiable: bool = False,
    has_complex: bool = False,
    maximize: bool = False,
    *,
    beta1: float,
    beta2: float,
    lr: float,
    weight_decay: float,
    momentum_decay: float,
    eps: float,
) -> None:
    """Apply one step of `NAdam` to lists with one entry for each parameter, in place.

    Args:
        params, grads: the parameters and their gradients.
        exp_avgs, exp_avg_sqs, mu_products: states ``exp_avg``, ``exp_avg_sq`` and ``mu_product``.
        state_steps: numbers of steps so far, as scalar tensors.
        foreach, capturable, has_complex: ignored.
        differentiable: if True, autograd records the step.
        decoupled_weight_decay, maximize, lr, weight_decay, momentum_decay, eps: options of `NAdam`.
        beta1, beta2: the option ``betas``.

    >>> weight, mean, square, step = fb.tensor([1.0]), fb.zeros(1), fb.zeros(1), fb.tensor(0.0)
    >>> options = {"beta1": 0.9, "beta2": 0.999, "lr": 0.1, "weight_decay": 0, "momentum_decay": 4e-3, "eps": 1e-8}
    >>> nadam([weight], [fb.tensor([2.0])], [mean], [square], [fb.tensor(1.0)], [step], **options)
    >>> weight
    tensor([0.8944])
    """
    apply_rule("nadam", locals(), exp_avg=exp_avgs, exp_avg_sq=exp_avg_sqs, mu_product=mu_products)
