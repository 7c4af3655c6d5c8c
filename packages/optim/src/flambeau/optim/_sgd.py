"""Descent along the gradient, and by its signs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .optimizer import Optimizer, check_nonnegative, options


class SGD(Optimizer):
    """Stochastic gradient descent, optionally with momentum.

    With ``g`` the gradient plus ``weight_decay * p``, the buffer is ``g`` at the first step and then
    ``b = momentum * b + (1 - dampening) * g``; the step is ``p -= lr * b``, or ``p -= lr * (g + momentum * b)`` with
    Nesterov's.

    Args:
        params: parameters, or groups of them.
        lr: learning rate.
        momentum: momentum factor.
        dampening: reduces the weight of the gradient in the buffer.
        weight_decay: factor of the L2 penalty.
        nesterov: use Nesterov momentum, which requires momentum and no dampening.
        maximize: maximise the objective instead of minimising it.
        foreach, differentiable, fused: see `Optimizer`.
    State: ``momentum_buffer``.
    Raises: ValueError for options out of range.
    Source: Sutskever et al. 2013, ICML.

    >>> weight = fb.tensor([1.0])
    >>> weight.grad = fb.tensor([2.0])
    >>> fb.optim.SGD([weight], lr=0.1).step()
    >>> weight
    tensor([0.8000])
    """

    _rule = "sgd"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_nonnegative(lr=lr, momentum=momentum, weight_decay=weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        super().__init__(params, options(locals()))


class ASGD(Optimizer):
    """Averaged stochastic gradient descent: steps that shrink, beside the average of where they led.

    ``p = (1 - lambd * eta) * p - eta * g`` with ``eta = lr / (1 + lambd * lr * t)**alpha``; ``ax`` is the mean of the
    values of ``p`` from step ``t0`` on.

    Args:
        params: parameters, or groups of them.
        lr: learning rate.
        lambd: how fast values decay and steps shrink.
        alpha: the power of the shrinking.
        t0: the step at which averaging begins.
        weight_decay: factor of the L2 penalty.
        maximize: maximise the objective instead of minimising it.
        foreach, capturable, differentiable: see `Optimizer`.
    State: ``step``, ``eta``, ``mu`` (the share of the last value in the average) and ``ax``.
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


class Rprop(Optimizer):
    """Steps of a size of each element's own, which grows while its gradient keeps its sign and shrinks where it turns.

    Args:
        params: parameters, or groups of them.
        lr: the first size.
        etas: (factor of shrinking, factor of growing), with ``0 < shrinking < 1 < growing``.
        step_sizes: (least, greatest) size.
        capturable, foreach, maximize, differentiable: see `Optimizer`.
    State: ``step``, ``prev`` (the last gradient, zero after a turn) and ``step_size``.
    Raises: ValueError for options out of range.
    Source: Riedmiller, Braun 1993, IEEE International Conference on Neural Networks.

    >>> weight = fb.tensor([1.0, 1.0])
    >>> weight.grad = fb.tensor([2.0, -0.1])
    >>> fb.optim.Rprop([weight], lr=0.1).step()
    >>> weight
    tensor([0.9000, 1.1000])
    """

    _rule = "rprop"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_nonnegative(lr=lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        super().__init__(params, options(locals()))
