"""Rprop: steps along the signs of the gradients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flambeau import Tensor

from ._functional import apply_rule
from .optimizer import Optimizer, check_nonnegative, options

__all__ = ["Rprop", "rprop"]


class Rprop(Optimizer):
    """Rprop optimizer: steps along the sign of the gradient, with a separate step size for each element.

    The step size grows while the sign of the gradient stays the same, and shrinks if the sign changes.

    Args:
        params: parameters or parameter groups.
        lr: initial step size.
        etas: factors (decrease, increase) of the step size, with ``0 < decrease < 1 < increase``.
        step_sizes: (minimum, maximum) step size.
        capturable, foreach, maximize, differentiable: see `Optimizer`.
    State: ``step``, ``prev`` (the last gradient, zero after a sign change) and ``step_size``.
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
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}; expected 0 < etas[0] < 1 < etas[1]")
        order = "lr etas step_sizes foreach maximize differentiable capturable"
        super().__init__(params, options(locals(), order))


def rprop(
    params: list[Tensor],
    grads: list[Tensor],
    prevs: list[Tensor],
    step_sizes: list[Tensor],
    state_steps: list[Tensor],
    foreach: bool | None = None,
    capturable: bool = False,
    maximize: bool = False,
    differentiable: bool = False,
    has_complex: bool = False,
    *,
    step_size_min: float,
    step_size_max: float,
    etaminus: float,
    etaplus: float,
) -> None:
    """Apply one step of `Rprop` to lists with one entry for each parameter, in place.

    Args:
        params, grads: the parameters and their gradients.
        prevs, step_sizes: states ``prev`` and ``step_size``.
        state_steps: numbers of steps so far, as scalar tensors.
        foreach, capturable, has_complex: ignored.
        differentiable: if True, autograd records the step.
        maximize: option of `Rprop`.
        step_size_min, step_size_max, etaminus, etaplus: the options ``step_sizes`` and ``etas``.

    >>> weight, previous, size, step = fb.tensor([1.0]), fb.tensor([1.0]), fb.tensor([0.1]), fb.tensor(1.0)
    >>> options = {"step_size_min": 1e-6, "step_size_max": 50, "etaminus": 0.5, "etaplus": 1.2}
    >>> rprop([weight], [fb.tensor([2.0])], [previous], [size], [step], **options)  # the gradient keeps its sign
    >>> size, weight
    (tensor([0.1200]), tensor([0.8800]))
    """
    arguments = {**locals(), "etas": (etaminus, etaplus), "step_sizes": (step_size_min, step_size_max)}
    arguments["lr"] = 0.0  # the initial step size is not used, because the state has step sizes
    apply_rule("rprop", arguments, prev=prevs, step_size=step_sizes)
