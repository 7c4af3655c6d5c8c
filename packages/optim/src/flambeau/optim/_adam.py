"""Adam, and AdamW, which decays the weights apart from the gradient."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flambeau import Tensor, float32, zeros, zeros_like
from flambeau._core import adam_

from ._optimizer import Group, Optimizer, check_nonnegative


class Adam(Optimizer):
    """Steps scaled, for each element, by running means of the gradient and its square.

    ``m = beta1 * m + (1 - beta1) * g``, ``v = beta2 * v + (1 - beta2) * g**2``,
    ``p -= lr * (m / (1 - beta1**t)) / (sqrt(v / (1 - beta2**t)) + eps)``, where ``g`` is the gradient plus
    ``weight_decay * p``.

    Args:
        params: parameters, or groups of them.
        lr: learning rate.
        betas: (beta1, beta2), both in [0, 1).
        eps: keeps the denominator off zero.
        weight_decay: factor of the L2 penalty.
        amsgrad: use the largest ``v`` so far.
        maximize: goes uphill.
        decoupled_weight_decay: decay as `AdamW` does.
    State: ``step`` (float32), ``exp_avg``, ``exp_avg_sq`` and, with amsgrad, ``max_exp_avg_sq``.
    Raises: ValueError for options out of range.
    Source: Kingma, Ba 2015, arXiv:1412.6980; amsgrad: Reddi, Kale, Kumar 2018, arXiv:1904.09237.

    >>> weight = fb.tensor([1.0])
    >>> weight.grad = fb.tensor([2.0])
    >>> fb.optim.Adam([weight], lr=0.1).step()
    >>> weight
    tensor([0.9000])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
    ) -> None:
        check_nonnegative(lr=lr, eps=eps, weight_decay=weight_decay)
        for index, beta in enumerate(betas):
            if not 0.0 <= beta < 1.0:
                raise ValueError(f"Invalid beta parameter at index {index}: {beta}")
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def _update(self, group: Group, params: list[Tensor], grads: list[Tensor]) -> None:
        amsgrad = group["amsgrad"]
        states = [self.state[param] for param in params]
        if not all(states):
            for param, state in zip(params, states, strict=True):
                if not state:
                    state.update(_initial_state(param, amsgrad))
        beta1, beta2 = group["betas"]
        adam_(
            params,
            grads,
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [state["max_exp_avg_sq"] for state in states] if amsgrad else [],
            [state["step"] for state in states],
            group["lr"],
            beta1,
            beta2,
            group["eps"],
            group["weight_decay"],
            amsgrad,
            group["maximize"],
            group["decoupled_weight_decay"],
        )


class AdamW(Adam):
    """Adam with decoupled weight decay: ``p -= lr * weight_decay * p`` apart from the scaled gradient.

    Arguments and state are Adam's. Source: Loshchilov, Hutter 2019, arXiv:1711.05101.

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
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, decoupled_weight_decay=True)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        super().load_state_dict(state_dict)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True


def _initial_state(param: Tensor, amsgrad: bool) -> dict[str, Tensor]:
    value = param.detach()
    state = {"step": zeros((), dtype=float32), "exp_avg": zeros_like(value), "exp_avg_sq": zeros_like(value)}
    if amsgrad:
        state["max_exp_avg_sq"] = zeros_like(value)
    return state
