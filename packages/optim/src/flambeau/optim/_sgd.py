"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flambeau import Tensor, zeros_like
from flambeau._core import sgd_

from ._optimizer import Group, Optimizer, check_nonnegative


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if asked for.

    With ``g`` the gradient plus ``weight_decay * p``, the buffer is ``g`` at the first step and then
    ``b = momentum * b + (1 - dampening) * g``; the step is ``p -= lr * b``, or ``p -= lr * (g + momentum * b)`` with
    Nesterov's.

    Args:
        params: parameters, or groups of them.
        lr: learning rate.
        momentum: how much of the last step goes on.
        dampening: reduces the gradient's part in the buffer.
        weight_decay: factor of the L2 penalty.
        nesterov: looks ahead; needs momentum and no dampening.
        maximize: goes uphill.
    State: ``momentum_buffer``.
    Raises: ValueError for options out of range.
    Source: Sutskever et al. 2013, ICML.

    >>> weight = fb.tensor([1.0])
    >>> weight.grad = fb.tensor([2.0])
    >>> fb.optim.SGD([weight], lr=0.1).step()
    >>> weight
    tensor([0.8000])
    """

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
    ) -> None:
        check_nonnegative(lr=lr, momentum=momentum, weight_decay=weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _update(self, group: Group, params: list[Tensor], grads: list[Tensor]) -> None:
        if group["momentum"] == 0:
            _descend(group, params, grads, [], False)
            return
        states = [self.state[param] for param in params]
        try:
            buffers = [state["momentum_buffer"] for state in states]
        except KeyError:
            self._start(group, params, grads, states)
        else:
            _descend(group, params, grads, buffers, False)

    def _start(self, group: Group, params: list[Tensor], grads: list[Tensor], states: list[dict[str, Any]]) -> None:
        """Step where some parameters have no buffer yet: theirs begin as the gradient."""
        for first in (False, True):
            rows = [
                (param, grad, zeros_like(param.detach()) if first else state["momentum_buffer"], state)
                for param, grad, state in zip(params, grads, states, strict=True)
                if first is ("momentum_buffer" not in state)
            ]
            if not rows:
                continue
            chosen, gradients, buffers, owners = (list(column) for column in zip(*rows, strict=True))
            _descend(group, chosen, gradients, buffers, first)
            for owner, buffer in zip(owners, buffers, strict=True):
                owner["momentum_buffer"] = buffer


def _descend(group: Group, params: list[Tensor], grads: list[Tensor], buffers: list[Any], first: bool) -> None:
    sgd_(
        params,
        grads,
        buffers,
        group["lr"],
        group["momentum"],
        group["dampening"],
        group["weight_decay"],
        group["nesterov"],
        group["maximize"],
        first,
    )
