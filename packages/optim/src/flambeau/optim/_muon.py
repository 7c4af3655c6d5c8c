"""Muon: gradient descent with orthogonalised momentum, for matrices."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import flambeau
from flambeau import Tensor

from .optimizer import Group, Optimizer, check_nonnegative, options

__all__ = ["Muon"]


class Muon(Optimizer):
    """Muon optimizer: momentum with orthogonalised updates, whose singular values are near 1.

    ``b = lerp(b, g, 1 - momentum)``, ``p -= lr * weight_decay * p + adjusted lr * orthogonal(b)``. A Newton-Schulz
    iteration in bfloat16 computes ``orthogonal(b)``. Use `Muon` for the weight matrices of hidden layers, and `AdamW`
    for the other parameters.

    Args:
        params: parameters with two dimensions, or groups of such parameters.
        lr: learning rate.
        weight_decay: factor of the decoupled weight decay.
        momentum: momentum factor.
        nesterov: if True, use Nesterov momentum.
        ns_coefficients: the coefficients (a, b, c) of the iteration ``X = a X + (b X X^T + c (X X^T)^2) X``.
        eps: lower bound of the norm by which the matrix is divided before the iteration.
        ns_steps: number of iterations, below 100.
        adjust_lr_fn: ``"original"`` (or None) multiplies ``lr`` by ``sqrt(max(1, rows / columns))``.
            ``"match_rms_adamw"`` multiplies ``lr`` by ``0.2 * sqrt(max(rows, columns))``.
    State: ``momentum_buffer``.
    Raises: ValueError for options out of range, and if a parameter does not have two dimensions.
    Source: Jordan et al. 2024, kellerjordan.github.io/posts/muon; adjustment: Liu et al. 2025, arXiv:2502.16982.

    >>> weight = fb.zeros(2, 2)
    >>> weight.grad = fb.eye(2)
    >>> fb.optim.Muon([weight], lr=0.1).step()
    >>> weight[0, 0] < -0.05
    tensor(True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        check_nonnegative(lr=lr, momentum=momentum, weight_decay=weight_decay)
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(
                f"Adjust learning rate function {adjust_lr_fn} is not supported; expected None, 'original' or "
                "'match_rms_adamw'"
            )
        if len(ns_coefficients) != 3:
            raise ValueError(f"Coefficients must be a tuple of exactly 3 values, got {ns_coefficients}")
        if ns_steps >= 100:
            raise ValueError(
                f"Number of steps must be less than 100 for computational efficiency, got ns_steps={ns_steps}"
            )
        super().__init__(params, options(locals()))

    def _check(self, group: Group) -> None:
        super()._check(group)
        for param in group["params"]:
            if param.ndim != 2:
                raise ValueError(
                    f"Muon only supports 2D parameters whereas we found a parameter with size: {list(param.shape)}"
                )

    @flambeau.no_grad()
    def _update(self, group: Group, params: list[Tensor], grads: list[Tensor]) -> None:
        lr = group["lr"]
        for param, grad in zip(params, grads, strict=True):
            if param.is_complex():
                raise RuntimeError("Muon does not support complex parameters")
            state = self.state[param]
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = flambeau.zeros_like(grad)
            buffer = state["momentum_buffer"].lerp_(grad, 1 - group["momentum"])
            update = _orthogonalize(grad.lerp(buffer, group["momentum"]) if group["nesterov"] else buffer, group)
            values = param.detach()
            values.mul_(1 - lr * group["weight_decay"])
            rate = lr * _lr_factor(group["adjust_lr_fn"], *param.shape)
            values.add_(update.to(values.dtype), alpha=-float(rate))


def _orthogonalize(matrix: Tensor, group: Group) -> Tensor:
    a, b, c = group["ns_coefficients"]
    x = matrix.bfloat16()
    transposed = x.size(0) > x.size(1)
    x = x.T if transposed else x
    x = x / x.norm().clamp(min=group["eps"])
    for _ in range(group["ns_steps"]):
        gram = x @ x.T
        x = flambeau.addmm(x, flambeau.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if transposed else x


def _lr_factor(kind: str | None, rows: int, columns: int) -> float:
    if kind == "match_rms_adamw":
        return 0.2 * math.sqrt(max(rows, columns))
    return math.sqrt(max(1.0, rows / columns))
