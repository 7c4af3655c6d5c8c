"""Learning-rate schedulers that follow a cosine."""

from __future__ import annotations

import math

from ..optimizer import Optimizer
from ._base import LRScheduler


class CosineAnnealingLR(LRScheduler):
    """Scheduler that moves the learning rates along a cosine to ``eta_min`` in ``T_max`` epochs, and back again.

    A rate is ``eta_min + (initial - eta_min) * (1 + cos(pi * epoch / T_max)) / 2``. Source: Loshchilov, Hutter 2017,
    arXiv:1608.03983 (without the restarts).

    >>> optimizer = fb.optim.SGD([fb.zeros(1)], lr=1.0)
    >>> schedule = fb.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=4)
    >>> for epoch in range(2):
    ...     optimizer.step()
    ...     schedule.step()
    >>> [round(rate, 4) for rate in schedule.get_last_lr()]
    [0.5]
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def _rates(self) -> list[float]:
        """Compute the new learning rates from the current rates, so that schedulers can be combined."""
        if self._is_initial:
            return self._current()
        before, now = (1 + math.cos(math.pi * epoch / self.T_max) for epoch in (self.last_epoch - 1, self.last_epoch))
        at_minimum = (self.last_epoch - 1 - self.T_max) % (2 * self.T_max) == 0
        return [
            rate + (base - self.eta_min) * now / 2
            if at_minimum
            else self.eta_min + (rate - self.eta_min) * now / before
            for base, rate in zip(self.base_lrs, self._current(), strict=True)
        ]

    def _get_closed_form_lr(self) -> list[float]:
        share = (1 + math.cos(math.pi * self.last_epoch / self.T_max)) / 2
        return [self.eta_min + (base - self.eta_min) * share for base in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """Scheduler that decreases the learning rates along a cosine to ``eta_min`` and then restarts at the initial rates.

    ``step(epoch)`` also accepts a fractional epoch.

    Args:
        optimizer: optimizer whose learning rates the scheduler sets.
        T_0: number of epochs until the first restart.
        T_mult: ratio of the length of each period to the length of the previous period.
        eta_min: minimum learning rate.
        last_epoch: number of the last epoch if training is resumed.
    Source: Loshchilov, Hutter 2017, arXiv:1608.03983.

    >>> optimizer = fb.optim.SGD([fb.zeros(1)], lr=1.0)
    >>> schedule = fb.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=4)
    >>> for epoch in range(2):
    ...     optimizer.step()
    ...     schedule.step()
    >>> [round(rate, 4) for rate in schedule.get_last_lr()]
    [0.5]
    """

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        if T_0 <= 0 or not isinstance(T_0, int):
            raise ValueError(f"Expected positive integer T_0, but got {T_0}")
        if T_mult < 1 or not isinstance(T_mult, int):
            raise ValueError(f"Expected integer T_mult >= 1, but got {T_mult}")
        if not isinstance(eta_min, (int, float)):
            raise ValueError(f"Expected float or int eta_min, but got {eta_min} of type {type(eta_min)}")
        self.T_0 = self.T_i = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def _rates(self) -> list[float]:
        share = (1 + math.cos(math.pi * self.T_cur / self.T_i)) / 2
        return [self.eta_min + (base - self.eta_min) * share for base in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Advance to the next epoch, or to ``epoch``, which may be fractional."""
        self._step_count += 1
        self._update_lr(epoch)

    def _update_lr(self, epoch: float | None = None) -> None:
        if epoch is None and self.last_epoch < 0:
            epoch = 0
        if epoch is None:
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur %= self.T_i
                self.T_i *= self.T_mult
            epoch = self.last_epoch + 1
        else:
            if epoch < 0:
                raise ValueError(f"Expected non-negative epoch, but got {epoch}")
            self._find_round(epoch)
        self.last_epoch = math.floor(epoch)
        self._set_rates(self._scheduled())

    def _find_round(self, epoch: float) -> None:
        if self.T_mult == 1:
            self.T_cur, self.T_i = epoch % self.T_0, self.T_0
            return
        rounds = int(math.log(epoch / self.T_0 * (self.T_mult - 1) + 1, self.T_mult)) if epoch >= self.T_0 else 0
        passed = self.T_0 * (self.T_mult**rounds - 1) / (self.T_mult - 1)
        self.T_cur, self.T_i = epoch - passed, self.T_0 * self.T_mult**rounds
