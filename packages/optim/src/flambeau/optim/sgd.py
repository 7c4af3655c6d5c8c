"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flambeau import Tensor, strided

from ._functional import apply_rule
from .optimizer import Group, Optimizer, check_nonnegative, options

__all__ = ["SGD", "sgd"]


class SGD(Optimizer):
    """Stochastic gradient descent, optionally with momentum.

    Let ``g`` be the gradient plus ``weight_decay * p``. The buffer ``b`` is ``g`` at the first step and then
    ``b = momentum * b + (1 - dampening) * g``. The step is ``p -= lr * b``, or ``p -= lr * (g + momentum * b)`` with
    Nesterov momentum.

    Args:
        params: parameters or parameter groups.
        lr: learning rate.
        momentum: momentum factor.
        dampening: number that reduces the weight of the gradient in the buffer.
        weight_decay: factor of the L2 penalty.
        nesterov: if True, use Nesterov momentum, which requires ``momentum > 0`` and ``dampening=0``.
        maximize: if True, maximise the objective instead of minimising it.
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
            raise ValueError(
                "Nesterov momentum requires a momentum and zero dampening, got "
                f"momentum={momentum} and dampening={dampening}"
            )
        super().__init__(params, options(locals()))

    def _init_group(
        self, group: Group, params: list[Tensor], grads: list[Tensor], momentum_buffer_list: list[Tensor | None]
    ) -> bool:
        """Append the parameters that have a gradient, and their momentum buffers or None, to the lists.

        Optimizers of other packages that override `step` call this method of PyTorch.

        Returns: True if a gradient is sparse.
        """
        used = [param for param in group["params"] if param.grad is not None]
        params += used
        grads += [param.grad for param in used]
        if group["momentum"] != 0:
            momentum_buffer_list += [self.state[param].get("momentum_buffer") for param in used]
        return any(param.grad.layout is not strided for param in used)


def sgd(
    params: list[Tensor],
    d_p_list: list[Tensor],
    momentum_buffer_list: list[Tensor | None],
    has_sparse_grad: bool = False,
    foreach: bool | None = None,
    fused: bool | None = None,
    grad_scale: Tensor | None = None,
    found_inf: Tensor | None = None,
    *,
    weight_decay: float,
    momentum: float,
    lr: float,
    dampening: float,
    nesterov: bool,
    maximize: bool,
) -> None:
    """Apply one step of `SGD` to lists with one entry for each parameter, in place.

    Args:
        params, d_p_list: the parameters and their gradients.
        momentum_buffer_list: states ``momentum_buffer``. With momentum, the new buffer replaces an entry that is None.
        has_sparse_grad, foreach, fused: ignored.
        grad_scale, found_inf: not supported; must be None.
        weight_decay, momentum, lr, dampening, nesterov, maximize: options of `SGD`.
    Raises: NotImplementedError for ``grad_scale`` or ``found_inf``.

    >>> weight, buffers = fb.tensor([1.0]), [None]
    >>> options = {"weight_decay": 0, "momentum": 0.9, "lr": 0.1, "dampening": 0, "nesterov": False, "maximize": False}
    >>> sgd([weight], [fb.tensor([2.0])], buffers, **options)
    >>> weight, buffers
    (tensor([0.8000]), [tensor([2.])])
    """
    arguments = {**locals(), "grads": d_p_list}
    state = apply_rule("sgd", arguments, momentum_buffer=momentum_buffer_list)
    if momentum != 0:
        momentum_buffer_list[:] = [state[param]["momentum_buffer"] for param in params]
