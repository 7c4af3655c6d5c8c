"""Lion: steps along the sign of an interpolation between the momentum and the gradient."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import flambeau
from flambeau import Tensor

from .optimizer import Group, Optimizer, check_betas, check_nonnegative, options

__all__ = ["Lion"]


class Lion(Optimizer):
    """Lion optimizer: steps along the sign of an interpolation between the momentum and the gradient.

    ``p -= lr * (sign(beta1 * m + (1 - beta1) * g) + weight_decay * p)``, then ``m = beta2 * m + (1 - beta2) * g``.
    Weight decay is decoupled. Without weight decay, each step moves every element by ``lr``. Choose a learning rate 3
    to 10 times lower than for `AdamW`, and a weight decay higher by the same factor. The state is half as large as for
    `Adam`. PyTorch does not have this class.

    Args:
        params: parameters or parameter groups.
        lr: learning rate.
        betas: (beta1, beta2), the factors of the momentum in the update and in the new momentum.
        weight_decay: factor of the decoupled weight decay.
        maximize: if True, maximise the objective instead of minimising it.
    State: ``exp_avg``.
    Raises: ValueError for options out of range.
    Source: Chen et al. 2023, arXiv:2302.06675, algorithm 2.

    >>> weight = fb.tensor([1.0, 2.0])
    >>> weight.grad = fb.tensor([3.0, -0.5])
    >>> fb.optim.Lion([weight], lr=0.1).step()
    >>> weight
    tensor([0.9000, 2.1000])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0,
        *,
        maximize: bool = False,
    ) -> None:
        check_nonnegative(lr=lr, weight_decay=weight_decay)
        check_betas(betas)
        super().__init__(params, options(locals()))

    @flambeau.no_grad()
    def _update(self, group: Group, params: list[Tensor], grads: list[Tensor]) -> None:
        lr, (beta1, beta2) = float(group["lr"]), group["betas"]
        for param, grad in zip(params, grads, strict=True):
            state = self.state[param]
            if "exp_avg" not in state:
                state["exp_avg"] = flambeau.zeros_like(param)
            values, average = param.detach(), state["exp_avg"]
            if param.is_complex():  # real and imaginary parts are updated separately
                values, grad, average = (flambeau.view_as_real(part) for part in (values, grad, average))
            grad = -grad if group["maximize"] else grad
            update = grad.lerp(average, beta1).sign_()
            values.mul_(1 - lr * group["weight_decay"]).add_(update, alpha=-lr)
            average.lerp_(grad, 1 - beta2)
