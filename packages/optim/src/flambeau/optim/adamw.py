"""AdamW: Adam with decoupled weight decay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flambeau import Tensor

from .adam import Adam, adam
from .optimizer import options

__all__ = ["AdamW", "adamw"]


class AdamW(Adam):
    """AdamW optimizer: Adam with decoupled weight decay.

    Weight decay is the separate update ``p -= lr * weight_decay * p`` and does not change the gradient. The arguments
    and the state have the same meaning as for `Adam`. Source: Loshchilov, Hutter 2019, arXiv:1711.05101.

    >>> weight = fb.tensor([1.0])
    >>> weight.grad = fb.tensor([0.0])
    >>> fb.optim.AdamW([weight], lr=0.1, weight_decay=0.5).step()
    >>> weight
    tensor([0.9500])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(params, **options(locals()), decoupled_weight_decay=True)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        super().load_state_dict(state_dict)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True


def adamw(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_sqs: list[Tensor],
    max_exp_avg_sqs: list[Tensor],
    state_steps: list[Tensor],
    foreach: bool | None = None,
    capturable: bool = False,
    differentiable: bool = False,
    fused: bool | None = None,
    grad_scale: Tensor | None = None,
    found_inf: Tensor | None = None,
    has_complex: bool = False,
    *,
    amsgrad: bool,
    beta1: float | Tensor,
    beta2: float | Tensor,
    lr: float | Tensor,
    weight_decay: float,
    eps: float,
    maximize: bool,
) -> None:
    """Apply one step of `AdamW` to lists with one entry for each parameter, in place.

    Args:
        params, grads: the parameters and their gradients.
        amsgrad, lr, weight_decay, eps, maximize: options of `AdamW`.
        Other arguments: see `adam.adam`.
    Raises: NotImplementedError for ``grad_scale`` or ``found_inf``.

    >>> weight, mean, square, step = fb.tensor([1.0]), fb.zeros(1), fb.zeros(1), fb.tensor(0.0)
    >>> options = {"amsgrad": False, "lr": 0.1, "weight_decay": 0.5, "eps": 1e-8, "maximize": False}
    >>> adamw([weight], [fb.tensor([0.0])], [mean], [square], [], [step], beta1=0.9, beta2=0.999, **options)
    >>> weight
    tensor([0.9500])
    """
    adam(**locals(), decoupled_weight_decay=True)
