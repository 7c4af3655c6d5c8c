"""Adagrad: steps scaled by the sum of squared gradients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import flambeau
from flambeau import Tensor

from ._functional import apply_rule
from .optimizer import Optimizer, check_nonnegative, options

__all__ = ["Adagrad", "adagrad"]


class Adagrad(Optimizer):
    """Adagrad optimizer: steps divided by the square root of the sum of all squared gradients so far.

    In step ``t``: ``sum += g**2``, ``p -= lr / (1 + (t - 1) * lr_decay) * g / (sqrt(sum) + eps)``.

    Args:
        params: parameters or parameter groups.
        lr: learning rate.
        lr_decay: decay rate of the learning rate.
        weight_decay: factor of the L2 penalty.
        initial_accumulator_value: initial value of the sum.
        eps: added to the denominator for numerical stability.
        foreach, maximize, differentiable, fused: see `Optimizer`.
    State: ``step`` and ``sum``, which the constructor creates.
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
        order = "lr lr_decay eps weight_decay initial_accumulator_value foreach maximize differentiable fused"
        super().__init__(params, options(locals(), order))
        # Skip parameters of lazy layers, which have no elements, and sparse parameters, which step() rejects.
        params = [param for group in self.param_groups for param in group["params"]]
        for param in (p for p in params if p.layout is flambeau.strided and p.numel()):
            value = initial_accumulator_value
            start = complex(value, value) if param.is_complex() else value
            step = flambeau.tensor(0.0, dtype=flambeau.float32)
            self.state[param] = {"step": step, "sum": flambeau.full_like(param, start)}

    def share_memory(self) -> None:
        """Move the sums to shared memory, for training in several processes."""
        for group in self.param_groups:
            for param in group["params"]:
                self.state[param]["sum"].share_memory_()


def adagrad(
    params: list[Tensor],
    grads: list[Tensor],
    state_sums: list[Tensor],
    state_steps: list[Tensor],
    fused: bool | None = None,
    grad_scale: Tensor | None = None,
    found_inf: Tensor | None = None,
    has_sparse_grad: bool = False,
    foreach: bool | None = None,
    differentiable: bool = False,
    has_complex: bool = False,
    *,
    lr: float,
    weight_decay: float,
    lr_decay: float,
    eps: float,
    maximize: bool,
) -> None:
    """Apply one step of `Adagrad` to lists with one entry for each parameter, in place.

    Args:
        params, grads: the parameters and their gradients.
        state_sums: states ``sum``.
        state_steps: numbers of steps so far, as scalar tensors.
        fused, has_sparse_grad, foreach, has_complex: ignored.
        grad_scale, found_inf: not supported; must be None.
        differentiable: if True, autograd records the step.
        lr, weight_decay, lr_decay, eps, maximize: options of `Adagrad`.
    Raises: NotImplementedError for ``grad_scale`` or ``found_inf``.

    >>> weight, total, step = fb.tensor([1.0]), fb.zeros(1), fb.tensor(0.0)
    >>> options = {"lr": 0.1, "weight_decay": 0, "lr_decay": 0, "eps": 1e-10, "maximize": False}
    >>> adagrad([weight], [fb.tensor([2.0])], [total], [step], **options)
    >>> weight
    tensor([0.9000])
    """
    initial_accumulator_value = 0.0  # initial value of sums that do not exist
    apply_rule("adagrad", locals(), sum=state_sums)
