"""Steps scaled, for each element, by the size that its gradients had."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .optimizer import Optimizer, check_nonnegative, options


class Adagrad(Optimizer):
    """Steps divided by the root of the sum of all squared gradients so far.

    ``sum += g**2``, ``p -= lr / (1 + (t - 1) * lr_decay) * g / (sqrt(sum) + eps)``.

    Args:
        params: parameters, or groups of them.
        lr: learning rate.
        lr_decay: decay rate of the learning rate.
        weight_decay: factor of the L2 penalty.
        initial_accumulator_value: initial value of the sum.
        eps: added to the denominator for numerical stability.
        foreach, maximize, differentiable, fused: see `Optimizer`.
    State: ``step`` and ``sum``.
    Raises: ValueError for options out of range.
    Source: Duchi, Hazan, Singer 2011, JMLR 12.

    >>> weight = fb.tensor([1.0])
    >>> weight.grad = fb.tensor([2.0])
    >>> fb.optim.Adagrad([weight], lr=0.1).step()
    >>> weight
    tensor([0.9000])
    """

    _rule = "adagrad"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_nonnegative(
            lr=lr,
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            eps=eps,
        )
        super().__init__(params, options(locals()))


class Adadelta(Optimizer):
    """Steps in the parameters' own unit: the ratio of running sizes of steps and gradients, times the gradient.

    ``v = rho * v + (1 - rho) * g**2``, ``d = sqrt(u + eps) / sqrt(v + eps) * g``,
    ``u = rho * u + (1 - rho) * d**2``, ``p -= lr * d``.

    Args:
        params: parameters, or groups of them.
        lr: factor of the step.
        rho: decay rate of the running means, in [0, 1].
        eps: added under the roots.
        weight_decay: factor of the L2 penalty.
        foreach, capturable, maximize, differentiable: see `Optimizer`.
    State: ``step``, ``square_avg`` and ``acc_delta``.
    Raises: ValueError for options out of range.
    Source: Zeiler 2012, arXiv:1212.5701.

    >>> weight = fb.tensor([1.0])
    >>> weight.grad = fb.tensor([2.0])
    >>> fb.optim.Adadelta([weight], eps=1.0).step()
    >>> weight
    tensor([-0.6903])
    """

    _rule = "adadelta"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_nonnegative(lr=lr, eps=eps, weight_decay=weight_decay)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        super().__init__(params, options(locals()))


class RMSprop(Optimizer):
    """Steps divided by the root of a running mean of squared gradients.

    ``v = alpha * v + (1 - alpha) * g**2``, ``p -= lr * g / (sqrt(v) + eps)``; with momentum
    ``b = momentum * b + g / (sqrt(v) + eps)``, ``p -= lr * b``; centred, the square of the gradients' running mean is
    taken off ``v``.

    Args:
        params: parameters, or groups of them.
        lr: learning rate.
        alpha: decay rate of the running means.
        eps: added to the denominator for numerical stability.
        weight_decay: factor of the L2 penalty.
        momentum: momentum factor.
        centered: divide by the estimated deviation instead.
        capturable, foreach, maximize, differentiable: see `Optimizer`.
    State: ``step``, ``square_avg`` and, where they are needed, ``momentum_buffer`` and ``grad_avg``.
    Raises: ValueError for options out of range.
    Source: Tieleman, Hinton 2012, lecture 6.5; centred: Graves 2013, arXiv:1308.0850.

    >>> weight = fb.tensor([1.0])
    >>> weight.grad = fb.tensor([2.0])
    >>> fb.optim.RMSprop([weight], lr=0.1, alpha=0.75).step()
    >>> weight
    tensor([0.8000])
    """

    _rule = "rmsprop"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_nonnegative(lr=lr, eps=eps, momentum=momentum, weight_decay=weight_decay, alpha=alpha)
        super().__init__(params, options(locals()))
