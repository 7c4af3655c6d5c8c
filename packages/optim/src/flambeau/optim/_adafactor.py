"""Adafactor: adaptive steps with factored second moments."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import flambeau
from flambeau import Tensor

from .optimizer import Group, Optimizer, check_nonnegative, options

__all__ = ["Adafactor"]


class Adafactor(Optimizer):
    """Adafactor optimizer, which stores one second moment per row and column and so saves memory for large matrices.

    In step ``t``: ``R = lerp(R, mean of g**2 in each row, t**beta2_decay)``, ``C`` likewise for columns,
    ``V = R C / mean(R)``, ``u = g / sqrt(V)``, ``u /= max(1, rms(u) / d)``,
    ``p -= max(eps2, rms(p)) * min(lr, 1 / sqrt(t)) * u``.

    Args:
        params: parameters or parameter groups.
        lr: maximum relative learning rate.
        beta2_decay: exponent of ``t`` in the weight of the last gradient, at most 0.
        eps: pair ``(eps1, eps2)``. ``eps1`` is the lower bound of ``mean(R)`` and ``sqrt(V)``. None selects the epsilon
            of the dtype. ``eps2`` is the lower bound of the root mean square (rms) of a parameter.
        d: threshold for the rms of an update. The rms of larger updates is reduced to ``d``.
        weight_decay: factor of the decoupled weight decay.
        foreach, maximize: see `Optimizer`.
    State: ``step``; ``row_var`` and ``col_var`` for parameters of two or more dimensions, else ``variance``.
    Raises: ValueError for options out of range.
    Source: Shazeer, Stern 2018, arXiv:1804.04235.

    >>> weight = fb.ones(2, 2)
    >>> weight.grad = fb.ones(2, 2)
    >>> fb.optim.Adafactor([weight], lr=0.1).step()
    >>> weight
    tensor([[0.9000, 0.9000],
            [0.9000, 0.9000]])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        check_nonnegative(lr=lr, weight_decay=weight_decay)
        if not beta2_decay <= 0.0:
            raise ValueError(f"beta2_decay should be <= 0 but is: {beta2_decay}")
        if eps[0] is not None and not eps[0] >= 0.0:
            raise ValueError(f"epsilon1 should be >= 0 but is: {eps[0]}")
        if not eps[1] >= 0.0:
            raise ValueError(f"epsilon2 should be >= 0 but is: {eps[1]}")
        if not d >= 1.0:
            raise ValueError(f"Clipping threshold d should be >= 1 but is: {d}")
        super().__init__(params, options(locals()))

    @flambeau.no_grad()
    def _update(self, group: Group, params: list[Tensor], grads: list[Tensor]) -> None:
        for param, grad in zip(params, grads, strict=True):
            if param.is_complex():
                raise RuntimeError("Adafactor does not support complex parameters")
            state = self.state[param]
            if not state:
                state.update(_moments(grad))
            _factored_step(group, state, param.detach(), -grad if group["maximize"] else grad)


def _moments(grad: Tensor) -> dict[str, Tensor]:
    state = {"step": flambeau.tensor(0.0, dtype=flambeau.float32)}
    if grad.ndim < 2:
        return {**state, "variance": flambeau.zeros_like(grad)}
    rows, columns = list(grad.shape), list(grad.shape)
    rows[-1] = columns[-2] = 1
    return {**state, "row_var": grad.new_zeros(rows), "col_var": grad.new_zeros(columns)}


def _factored_step(group: Group, state: dict[str, Tensor], param: Tensor, grad: Tensor) -> None:
    state["step"] += 1
    number = float(state["step"])
    share, lr = number ** group["beta2_decay"], float(group["lr"])
    least = flambeau.finfo(param.dtype).eps if group["eps"][0] is None else group["eps"][0]
    rate = max(group["eps"][1], _rms(param)) * min(lr, 1 / math.sqrt(number))
    if group["weight_decay"]:
        param.mul_(1 - lr * group["weight_decay"])
    square = grad * grad
    if grad.ndim > 1:
        rows = state["row_var"].lerp_(square.mean(-1, keepdim=True), share)
        columns = state["col_var"].lerp_(square.mean(-2, keepdim=True), share)
        variance = rows @ columns / rows.mean(-2, keepdim=True).clamp(min=least)
    else:
        variance = state["variance"].lerp_(square, share)
    update = variance.clamp(min=least * least).rsqrt() * grad
    param.add_(update, alpha=-rate / max(1.0, _rms(update) / group["d"]))


def _rms(values: Tensor) -> float:
    return float(values.norm()) / math.sqrt(values.numel()) if values.numel() else 0.0
