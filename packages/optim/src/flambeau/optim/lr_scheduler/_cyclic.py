"""Schedulers of cyclic learning rates. The momentum changes in the opposite direction.

Call ``step()`` after every batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ..optimizer import Optimizer
from ._base import LRScheduler, check_optimizer, each_group, set_rate

_SHAPES: dict[str, tuple[Callable[[float, float], float], str]] = {  # amplitude as a function of gamma and x; unit of x
    "triangular": (lambda gamma, x: 1.0, "cycle"),
    "triangular2": (lambda gamma, x: 1 / 2.0 ** (x - 1), "cycle"),
    "exp_range": (lambda gamma, x: gamma**x, "iterations"),
}


class _WithMomentum(LRScheduler):
    """Base class of schedulers that may also set the momentum: ``momentum`` of SGD, or ``beta1`` of Adam."""

    def _find_momentum(self) -> None:
        """Set ``use_beta1``, which says whether the momentum is the ``beta1`` of the optimizer."""
        if not {"momentum", "betas"} & set(self.optimizer.defaults):
            raise ValueError(
                "optimizer must support momentum or beta1 with `cycle_momentum` option enabled; "
                f"set cycle_momentum=False for {type(self.optimizer).__name__}"
            )
        self.use_beta1 = "betas" in self.optimizer.defaults

    def _set_momentum(self, group: dict[str, Any], value: float) -> None:
        if self.use_beta1:
            group["betas"] = (value, *group["betas"][1:])
        else:
            group["momentum"] = value


class CyclicLR(_WithMomentum):
    """Scheduler that moves the learning rates from ``base_lr`` to ``max_lr`` and back, in cycles.

    Args:
        optimizer: optimizer whose learning rates the scheduler sets.
        base_lr, max_lr: minimum and maximum learning rate: a number for all groups, or a list with a number per group.
        step_size_up, step_size_down: numbers of steps with increasing and decreasing rates; equal by default.
        mode: ``"triangular"``, ``"triangular2"`` (each cycle halves the amplitude) or ``"exp_range"`` (the amplitude is
            multiplied by ``gamma**step``).
        gamma: base of the power in the mode ``"exp_range"``.
        scale_fn: function that returns the amplitude. It replaces ``mode``.
        scale_mode: argument of ``scale_fn``: the number of the cycle (``"cycle"``) or of the step (``"iterations"``).
        cycle_momentum: if True, move the momentum from ``max_momentum`` to ``base_momentum`` and back.
        base_momentum, max_momentum: minimum and maximum momentum.
        last_epoch: number of the last step if training is resumed.
    Source: Smith 2017, arXiv:1506.01186.

    >>> optimizer = fb.optim.SGD([fb.zeros(1)], lr=1.0)
    >>> options = {"base_lr": 0.1, "max_lr": 0.5, "step_size_up": 4, "cycle_momentum": False}
    >>> schedule = fb.optim.lr_scheduler.CyclicLR(optimizer, **options)
    >>> for epoch in range(2):
    ...     optimizer.step()
    ...     schedule.step()
    >>> [round(rate, 4) for rate in schedule.get_last_lr()]
    [0.3]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | Sequence[float],
        max_lr: float | Sequence[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.8,
        max_momentum: float | Sequence[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(optimizer)
        if scale_fn is None and mode not in _SHAPES:
            raise ValueError(
                f"mode is invalid and scale_fn is None: mode must be one of {', '.join(map(repr, _SHAPES))}, got "
                f"{mode!r}"
            )
        self.optimizer = optimizer
        bases = each_group(optimizer, "base_lr", base_lr)
        if last_epoch == -1:
            for rate, group in zip(bases, optimizer.param_groups, strict=True):
                set_rate(group, rate)
        self.max_lrs = each_group(optimizer, "max_lr", max_lr)
        down = step_size_up if step_size_down is None else step_size_down
        self.total_size = float(step_size_up + down)
        self.step_ratio = step_size_up / self.total_size
        self.mode, self.gamma = mode, gamma
        self._scale_fn_custom = scale_fn
        self.scale_mode = scale_mode if scale_fn is not None else _SHAPES[mode][1]
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self._find_momentum()
            self.base_momentums = each_group(optimizer, "base_momentum", base_momentum)
            self.max_momentums = each_group(optimizer, "max_momentum", max_momentum)
            if last_epoch == -1:
                ends = zip(self.base_momentums, self.max_momentums, optimizer.param_groups, strict=True)
                for base, most, group in ends:
                    self._set_momentum(group, most)
                    group["max_momentum"], group["base_momentum"] = most, base
        super().__init__(optimizer, last_epoch)
        self.base_lrs = bases

    def scale_fn(self, x: float) -> float:
        """Return the amplitude in cycle ``x``, or in step ``x`` if ``scale_mode`` is ``"iterations"``."""
        return self._scale_fn_custom(x) if self._scale_fn_custom is not None else _SHAPES[self.mode][0](self.gamma, x)

    def _rates(self) -> list[float]:
        """Return the rates of the current step, and set the momentum."""
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        share = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        height = share * self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            ends = zip(self.base_momentums, self.max_momentums, self.optimizer.param_groups, strict=True)
            for base, most, group in ends:
                self._set_momentum(group, most - (most - base) * height)
        return [base + (most - base) * height for base, most in zip(self.base_lrs, self.max_lrs, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        state = super().state_dict()
        function = state.pop("_scale_fn_custom")
        plain = function is None or isinstance(function, type(lambda: 0))
        return {**state, "_scale_fn_custom": None if plain else dict(vars(function))}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        saved = dict(state_dict)
        attributes = saved.pop("_scale_fn_custom", None)
        super().load_state_dict(saved)
        if attributes is not None and self._scale_fn_custom is not None:
            vars(self._scale_fn_custom).update(attributes)


class OneCycleLR(_WithMomentum):
    """Scheduler of the 1cycle policy: the learning rate rises to ``max_lr``, then falls far below the initial rate.

    Args:
        optimizer: optimizer whose learning rates the scheduler sets.
        max_lr: maximum learning rate: a number for all groups, or a list with a number per group.
        total_steps: total number of steps. If it is not given, ``epochs`` and ``steps_per_epoch`` are required.
        epochs, steps_per_epoch: numbers whose product is the total number of steps.
        pct_start: fraction of the steps in which the rate rises.
        anneal_strategy: ``"cos"`` or ``"linear"``, the shape of the rise and the fall.
        cycle_momentum: if True, move the momentum from ``max_momentum`` to ``base_momentum`` and back.
        base_momentum, max_momentum: minimum and maximum momentum.
        div_factor: the initial rate is ``max_lr / div_factor``.
        final_div_factor: the final rate is the initial rate divided by ``final_div_factor``.
        three_phase: if True, the rate first falls to the initial rate in as many steps as it rises, then to the final
            rate.
        last_epoch: number of the last step if training is resumed.
    Raises: ValueError for options out of range, and for more steps than ``total_steps``.
    Source: Smith, Topin 2018, arXiv:1708.07120.

    >>> optimizer = fb.optim.SGD([fb.zeros(1)], lr=1.0)
    >>> schedule = fb.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=10, cycle_momentum=False)
    >>> for epoch in range(2):
    ...     optimizer.step()
    ...     schedule.step()
    >>> [round(rate, 4) for rate in schedule.get_last_lr()]
    [1.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(optimizer)
        self.optimizer = optimizer
        self.total_steps = _checked_total_steps(total_steps, epochs, steps_per_epoch)
        if not 0 <= pct_start <= 1 or not isinstance(pct_start, (int, float)):
            raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        self._anneal_func_type = anneal_strategy
        self._schedule_phases = _phases(self.total_steps, pct_start, three_phase)
        if last_epoch == -1:
            for rate, group in zip(each_group(optimizer, "max_lr", max_lr), optimizer.param_groups, strict=True):
                group["initial_lr"] = rate / div_factor
                group["max_lr"] = rate
                group["min_lr"] = group["initial_lr"] / final_div_factor
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self._find_momentum()
            if last_epoch == -1:
                self._set_limits(
                    each_group(optimizer, "base_momentum", base_momentum),
                    each_group(optimizer, "max_momentum", max_momentum),
                )
        super().__init__(optimizer, last_epoch)

    def _set_limits(self, bases: list[float], most: list[float]) -> None:
        for base, largest, group in zip(bases, most, self.optimizer.param_groups, strict=True):
            group["max_momentum"], group["base_momentum"] = largest, base
            self._set_momentum(group, largest)

    def _rates(self) -> list[float]:
        """Return the rates of the current step, and set the momentum."""
        step = self.last_epoch
        if step > self.total_steps:
            raise ValueError(f"Tried to step {step} times. The specified number of total steps is {self.total_steps}")
        start = 0.0
        for phase in self._schedule_phases:
            if step <= phase["end_step"] or phase is self._schedule_phases[-1]:
                break
            start = phase["end_step"]
        share = (step - start) / (phase["end_step"] - start)
        if self.cycle_momentum:
            for group in self.optimizer.param_groups:
                ends = group[phase["start_momentum"]], group[phase["end_momentum"]]
                self._set_momentum(group, self._interpolate(*ends, share))
        groups = self.optimizer.param_groups
        return [self._interpolate(group[phase["start_lr"]], group[phase["end_lr"]], share) for group in groups]

    def _interpolate(self, start: float, end: float, share: float) -> float:
        if self._anneal_func_type == "linear":
            return (end - start) * share + start
        return end + (start - end) / 2.0 * (math.cos(math.pi * share) + 1)


def _phases(total_steps: int, pct_start: float, three: bool) -> list[dict[str, Any]]:
    """Return, for each phase, its last step and the names of the options with its initial and final values."""
    rise = float(pct_start * total_steps) - 1
    ends = [(rise, "initial_lr", "max_lr", "max_momentum", "base_momentum")]
    if three:
        fall = float(2 * pct_start * total_steps) - 2
        ends.append((fall, "max_lr", "initial_lr", "base_momentum", "max_momentum"))
        ends.append((total_steps - 1, "initial_lr", "min_lr", "max_momentum", "max_momentum"))
    else:
        ends.append((total_steps - 1, "max_lr", "min_lr", "base_momentum", "max_momentum"))
    names = ("end_step", "start_lr", "end_lr", "start_momentum", "end_momentum")
    return [dict(zip(names, phase, strict=True)) for phase in ends]


def _checked_total_steps(total_steps: int | None, epochs: int | None, steps_per_epoch: int | None) -> int:
    if total_steps is None:
        if epochs is None or steps_per_epoch is None:
            raise ValueError("You must define either total_steps OR (epochs AND steps_per_epoch)")
        for name, value in (("epochs", epochs), ("steps_per_epoch", steps_per_epoch)):
            if value <= 0 or not isinstance(value, int):
                raise ValueError(f"Expected positive integer {name}, but got {value}")
        return epochs * steps_per_epoch
    if total_steps <= 0 or not isinstance(total_steps, int):
        raise ValueError(f"Expected positive integer total_steps, but got {total_steps}")
    return total_steps
