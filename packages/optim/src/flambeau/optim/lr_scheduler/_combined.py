"""Combinations of learning-rate schedulers."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from ..optimizer import Optimizer
from ._base import LRScheduler, set_rate
from ._plateau import ReduceLROnPlateau


class _CombinedScheduler(LRScheduler):
    _schedulers: list[LRScheduler]

    def state_dict(self) -> dict[str, Any]:
        hidden = ("optimizer", "_schedulers")
        state = {name: value for name, value in vars(self).items() if name not in hidden}
        return {**state, "_schedulers": [each.state_dict() for each in self._schedulers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        vars(self).update({name: value for name, value in state_dict.items() if name != "_schedulers"})
        for each, state in zip(self._schedulers, state_dict["_schedulers"], strict=True):
            each.load_state_dict(state)


class ChainedScheduler(_CombinedScheduler):
    """Combination of schedulers that all change the learning rates at every step.

    >>> optimizer = fb.optim.SGD([fb.zeros(1)], lr=1.0)
    >>> warm = fb.optim.lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=4)
    >>> fall = fb.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> schedule = fb.optim.lr_scheduler.ChainedScheduler([warm, fall])
    >>> for epoch in range(2):
    ...     optimizer.step()
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.125]
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        if len(schedulers) < 1:
            raise ValueError(f"{type(self).__name__} expects at least one scheduler, but got no scheduler.")
        self.optimizer = schedulers[0].optimizer if optimizer is None else optimizer
        _require_common(self, schedulers)
        self._schedulers = list(schedulers)
        self._last_lr = self._current()

    def step(self) -> None:  # type: ignore[override]
        """Step every scheduler."""
        for each in self._schedulers:
            each.step()
        self._last_lr = self._current()


class SequentialLR(_CombinedScheduler):
    """Sequence of schedulers. At each epoch in ``milestones``, the next scheduler starts, at its epoch 0.

    >>> optimizer = fb.optim.SGD([fb.zeros(1)], lr=1.0)
    >>> warm = fb.optim.lr_scheduler.ConstantLR(optimizer, factor=0.1, total_iters=2)
    >>> fall = fb.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> schedule = fb.optim.lr_scheduler.SequentialLR(optimizer, [warm, fall], milestones=[2])
    >>> rates = []
    >>> for epoch in range(4):
    ...     optimizer.step()
    ...     rates += schedule.get_last_lr()
    ...     schedule.step()
    >>> rates
    [0.1, 0.1, 1.0, 0.5]
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int], last_epoch: int = -1
    ) -> None:
        if len(schedulers) < 1:
            raise ValueError(f"{type(self).__name__} expects at least one scheduler, but got no scheduler.")
        self.optimizer = optimizer
        _require_common(self, schedulers)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                "Sequential Schedulers expects number of schedulers provided to be one more than the number of "
                f"milestone points, but got number of schedulers {len(schedulers)} and the number of milestones to be "
                f"equal to {len(milestones)}"
            )
        self._schedulers = list(schedulers)
        self._milestones = list(milestones)
        self.last_epoch = last_epoch + 1
        for group in optimizer.param_groups:  # the constructors of the schedulers made initial steps: undo these steps
            set_rate(group, group["initial_lr"])
        for each in schedulers:
            each.last_epoch -= 1
        schedulers[0]._initial_step()
        self._last_lr = schedulers[0].get_last_lr()

    def step(self) -> None:  # type: ignore[override]
        """Step the scheduler that is active at this epoch."""
        self.last_epoch += 1
        turn = bisect_right(self._milestones, self.last_epoch)
        each = self._schedulers[turn]
        if turn > 0 and self._milestones[turn - 1] == self.last_epoch:
            each._update_lr(0)
        else:
            each.step()
        self._last_lr = each.get_last_lr()


def _require_common(own: LRScheduler, schedulers: Sequence[LRScheduler]) -> None:
    for number, each in enumerate(schedulers):
        if not hasattr(each, "optimizer"):
            raise TypeError(f"{type(own).__name__} at index {number} should have `optimizer` as its attribute.")
        if isinstance(each, ReduceLROnPlateau):
            raise ValueError(
                f"{type(own).__name__} does not support `ReduceLROnPlateau` scheduler as it requires additional kwargs "
                f"to be specified when calling `step`, but got one at index {number}."
            )
        if each.optimizer is not own.optimizer:
            raise ValueError(
                f"{type(own).__name__} expects all schedulers to belong to the same optimizer, but got scheduler "
                f"{type(each).__name__} at index {number}, which belongs to a different one."
            )
