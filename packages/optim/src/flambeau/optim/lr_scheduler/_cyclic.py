"""Cyclic learning rates, with momentum in the opposite direction; call ``step()`` after every batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ..optimizer import Optimizer
from ._base import LRScheduler, check_optimizer, each_group

_SHAPES: dict[str, tuple[Callable[[float, float], float], str]] = {  # amplitude as a function of gamma and x; unit of x
    "triangular": (lambda gamma, x: 1.0, "cycle"),
    "triangular2": (lambda gamma, x: 1 / 2.0 ** (x - 1), "cycle"),
    "exp_range": (lambda gamma, x: gamma**x, "iterations"),
}


class _WithMomentum(LRScheduler):
    """A schedule that may also set the momentum: ``momentum`` of SGD, or the first of Adam's ``betas``."""

    def _momentum_name(self) -> str:
        for name in ("momentum", "betas"):
            if name in self.optimizer.defaults:
                return name
        raise ValueError(
            "optimizer must support momentum or beta1 with `cycle_momentum` option enabled; set cycle_momentum=False "
            f"for {type(self.optimizer).__name__}"
        )

    def _set_momentum(self, group: dict[str, Any], value: float) -> None:
        if "momentum" in self.optimizer.defaults:
            group["momentum"] = value
        else:
            group["betas"] = (value, *group["betas"][1:])


class CyclicLR(_WithMomentum):
    """Cycle the rates between ``base_lr`` and ``max_lr``.

    Args:
        optimizer: the optimizer to adjust.
        base_lr, max_lr: minimum and maximum rate, for all groups or one for each.
        step_size_up, step_size_down: numbers of steps with rising and falling rates; equal by default.
        mode: ``"triangular"``, ``"triangular2"`` (the amplitude halves each cycle) or ``"exp_range"`` (the amplitude is
            multiplied by ``gamma**step``).
        gamma: base of ``"exp_range"``.
        scale_fn, scale_mode: amplitude as a function of the cycle (``"cycle"``) or of the step (``"iterations"``).
        cycle_momentum: if True, move the momentum from ``max_momentum`` to ``base_momentum`` and back.
        base_momentum, max_momentum: minimum and maximum momentum.
        last_epoch: the last step made, when resuming.
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
                group["lr"] = rate
        self.max_lrs = each_group(optimizer, "max_lr", max_lr)
        down = step_size_up if step_size_down is None else step_size_down
        self.total_size = float(step_size_up + down)
        self.step_ratio = step_size_up / self.total_size
        self.mode, self.gamma = mode, gamma
        self._scale_fn_custom = scale_fn
        self.scale_mode = scale_mode if scale_fn is not None else _SHAPES[mode][1]
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self._momentum_name()
            self.base_momentums = each_group(optimizer, "base_momentum", base_momentum)
            self.max_momentums = each_group(optimizer, "max_momentum", max_momentum)
            if last_epoch == -1:
                for momentum, group in zip(self.max_momentums, optimizer.param_groups, strict=True):
                    self._set_momentum(group, momentum)
        super().__init__(optimizer, last_epoch)
        self.base_lrs = bases

    def scale_fn(self, x: float) -> float:
        """Return the amplitude at cycle (or step) ``x``."""
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
    """The 1cycle policy: the rate rises once to ``max_lr``, then falls far below the initial rate.

    Args:
        optimizer: the optimizer to adjust.
        max_lr: maximum rate, for all groups or one for each.
        total_steps: total number of steps. Give either this, or ``epochs`` and ``steps_per_epoch``.
        epochs, steps_per_epoch: factors of the total number of steps.
        pct_start: fraction of the steps in which the rate rises.
        anneal_strategy: ``"cos"`` or ``"linear"``.
        cycle_momentum: if True, move the momentum from ``max_momentum`` to ``base_momentum`` and back.
        base_momentum, max_momentum: minimum and maximum momentum.
        div_factor: the initial rate is ``max_lr / div_factor``.
        final_div_factor: the final rate is the initial rate divided by this.
        three_phase: if True, first fall symmetrically to the initial rate, then to the final rate.
        last_epoch: the last step made, when resuming.
    Raises: ValueError for options out of range, and for a step beyond the last.
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
            self._momentum_name()
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
    """Return the last step of each phase, and the names of the group entries for its initial and final values."""
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
