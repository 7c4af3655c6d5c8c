"""Scheduler that reduces the learning rates when a metric stops improving."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

from ..optimizer import Optimizer
from ._base import EPOCH_DEPRECATION_WARNING, LRScheduler, check_optimizer, each_group


class ReduceLROnPlateau(LRScheduler):
    """Scheduler that multiplies the learning rates by ``factor`` when a metric stops improving.

    The rates change after more than ``patience`` epochs without improvement. Call ``step(metrics)`` after every epoch
    with the value of the metric.

    Args:
        optimizer: optimizer whose learning rates the scheduler sets.
        mode: ``"min"`` if the metric should decrease, ``"max"`` if the metric should increase.
        factor: factor of the learning rates, below 1.
        patience: number of consecutive epochs without improvement that do not reduce the rates.
        threshold: smallest change of the metric that is an improvement.
        threshold_mode: ``"rel"`` if ``threshold`` is relative to the best value, ``"abs"`` if it is absolute.
        cooldown: number of epochs after a reduction in which epochs without improvement are not counted.
        min_lr: minimum learning rate: a number for all groups, or a list with a number per group.
        eps: smallest reduction of a learning rate. Smaller reductions are skipped.

    >>> optimizer = fb.optim.SGD([fb.zeros(1)], lr=1.0)
    >>> schedule = fb.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1)
    >>> for loss in (3.0, 2.0, 2.0, 2.0):
    ...     schedule.step(loss)
    >>> schedule.get_last_lr()
    [0.1]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0,
        eps: float = 1e-8,
    ) -> None:
        if factor >= 1.0:
            raise ValueError(f"Factor should be < 1.0, but got {factor}.")
        check_optimizer(optimizer)
        if mode not in ("min", "max"):
            raise ValueError(f"mode {mode} is unknown! Expected 'min' or 'max'.")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"threshold mode {threshold_mode} is unknown! Expected 'rel' or 'abs'.")
        self.optimizer = optimizer
        self.default_min_lr = None if isinstance(min_lr, (list, tuple)) else min_lr
        self.min_lrs = each_group(optimizer, "min_lr", min_lr)
        self.factor, self.patience, self.cooldown, self.eps = factor, patience, cooldown, eps
        self.mode, self.threshold, self.threshold_mode = mode, threshold, threshold_mode
        self.last_epoch = 0
        self._last_lr = self._current()
        self._reset()

    def _reset(self) -> None:
        """Reset the best value and the counters."""
        self.mode_worse = math.inf if self.mode == "min" else -math.inf
        self.best = self.mode_worse
        self.cooldown_counter = 0
        self.num_bad_epochs = 0

    def step(self, metrics: Any, epoch: int | None = None) -> None:  # type: ignore[override]
        """Record the metric of an epoch, which is a number or a tensor of one element. Reduce the rates if required.

        The argument ``epoch`` is deprecated.
        """
        current = float(metrics)
        if epoch is not None:
            warnings.warn(EPOCH_DEPRECATION_WARNING, stacklevel=2)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self._is_better(current, self.best):
            self.best, self.num_bad_epochs = current, 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce_lr(self.last_epoch)
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = self._current()

    def _reduce_lr(self, epoch: int) -> None:
        """Reduce the learning rates. A subclass can override this method."""
        rates = self._current()
        if len(rates) != len(self.min_lrs):
            if self.default_min_lr is None:
                raise RuntimeError(
                    "The number of param groups in the `optimizer` "
                    f"({len(rates)}) differs from when `ReduceLROnPlateau` was initialized ({len(self.min_lrs)}), "
                    "usually due to a new param group being added; pass min_lr as one number"
                )
            self.min_lrs = [self.default_min_lr] * len(rates)
        lower = [max(rate * self.factor, least) for rate, least in zip(rates, self.min_lrs, strict=True)]
        self._set_rates([new if old - new > self.eps else old for old, new in zip(rates, lower, strict=True)])

    @property
    def in_cooldown(self) -> bool:
        """True during the cooldown after a reduction."""
        return self.cooldown_counter > 0

    def _is_better(self, a: float, best: float) -> bool:
        margin = -self.threshold if self.mode == "min" else self.threshold
        bound = best * (1 + margin) if self.threshold_mode == "rel" else best + margin
        return a < bound if self.mode == "min" else a > bound
