"""Base class of learning-rate schedulers."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

from flambeau import Tensor

from ..optimizer import Optimizer

TOO_EARLY = (
    "Detected call of `lr_scheduler.step()` before `optimizer.step()`. Call them in the opposite order: "
    "`optimizer.step()` before `lr_scheduler.step()`; else the first value of the schedule is skipped. See "
    "https://pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate"
)
REPLACED = (
    "Seems like `optimizer.step()` has been overridden after learning rate scheduler initialization. Please, make sure "
    "to call `optimizer.step()` before `lr_scheduler.step()`. See "
    "https://pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate"
)
GET_LAST_LR_WARNING = "To get the last learning rate computed by the scheduler, please use `get_last_lr()`."
EPOCH_DEPRECATION_WARNING = (
    "The epoch parameter in `scheduler.step()` is deprecated. Call `scheduler.step()` without it: the scheduler counts "
    "the epochs."
)


def check_optimizer(optimizer: Any) -> None:
    """Raise TypeError if ``optimizer`` is not an Optimizer."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")


def _warn_get_lr_called_within_step(lr_scheduler: LRScheduler) -> None:
    """Warn that ``get_lr`` is called outside of ``step``, where it does not return the current rates."""
    if not lr_scheduler._get_lr_called_within_step:
        warnings.warn(GET_LAST_LR_WARNING, stacklevel=3)


@contextlib.contextmanager
def _enable_get_lr_call(o: LRScheduler) -> Iterator[LRScheduler]:
    """Allow calls of ``get_lr`` without a warning inside a ``with`` block."""
    o._get_lr_called_within_step = True
    try:
        yield o
    finally:
        o._get_lr_called_within_step = False


class LRScheduler:
    """Base class of learning-rate schedulers.

    A subclass defines ``get_lr``, which returns the learning rate of each parameter group at ``self.last_epoch``.

    Args:
        optimizer: optimizer whose groups have the option ``"lr"``, which the scheduler sets.
        last_epoch: number of the last epoch if training is resumed, -1 if training starts.
    Raises: TypeError if ``optimizer`` is not an Optimizer; KeyError if training is resumed and a group does not have
        the option ``"initial_lr"``.

    >>> from flambeau import optim
    >>> class InverseTime(optim.lr_scheduler.LRScheduler):
    ...     def get_lr(self):
    ...         return [rate / (1 + self.last_epoch) for rate in self.base_lrs]
    >>> optimizer = optim.SGD([fb.zeros(1)], lr=1.0)
    >>> schedule = InverseTime(optimizer)
    >>> optimizer.step()
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.5]
    """

    _is_initial = False
    _steps_by: Any = None  # attribute `step` that the optimizer instance had before the first step, if any
    _get_lr_called_within_step = False  # schedulers of user programs read this attribute

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        check_optimizer(optimizer)
        self.optimizer = optimizer
        for number, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", _copied(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{number}] when resuming with "
                    "last_epoch >= 0; load the optimizer's state first"
                )
        self.base_lrs = [_copied(group["initial_lr"]) for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count = 0
        if "step" in vars(self.optimizer):
            self._steps_by = vars(self.optimizer)["step"]
        self._is_initial = True
        self.step()
        self._is_initial = False

    def get_lr(self) -> list[float]:
        """Return the learning rate of every group for ``self.last_epoch``. ``step()`` calls this and sets the rates.

        While ``self._is_initial`` is true, a scheduler that multiplies the current rates returns the rates unchanged.
        """
        _warn_get_lr_called_within_step(self)
        return self._rates()

    def _rates(self) -> list[float]:
        """Compute the result of ``get_lr`` for the schedulers of this package."""
        raise NotImplementedError(f"{type(self).__name__} does not define get_lr()")

    def step(self, epoch: int | None = None) -> None:
        """Advance to the next epoch and set the learning rates. The argument ``epoch`` is deprecated."""
        if self._step_count == 1:
            if vars(self.optimizer).get("step") is not self._steps_by:
                warnings.warn(REPLACED, stacklevel=2)
            elif not self.optimizer._stepped and hasattr(self.optimizer.step, "hooked"):
                warnings.warn(TOO_EARLY, stacklevel=2)
        if epoch is not None:
            warnings.warn(EPOCH_DEPRECATION_WARNING, stacklevel=2)
        self._step_count += 1
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        closed = getattr(self, "_get_closed_form_lr", self._scheduled)
        self._set_rates(self._scheduled() if epoch is None else closed())

    def _scheduled(self) -> list[float]:
        with _enable_get_lr_call(self):
            return self.get_lr()

    def _set_rates(self, rates: list[float]) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            set_rate(group, rate)
        self._last_lr = self._current()

    def get_last_lr(self) -> list[float]:
        """Return the learning rates that the last ``step()`` set. The rate of a group is a tensor if its option is."""
        return list(self._last_lr)

    def state_dict(self) -> dict[str, Any]:
        """Return all attributes except the optimizer and its ``step``."""
        return {name: value for name, value in vars(self).items() if name not in ("optimizer", "_steps_by")}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state that ``state_dict()`` returned. The state of the optimizer contains the learning rates."""
        vars(self).update({name: value for name, value in state_dict.items() if name != "optimizer"})

    def _current(self) -> list[float]:
        return [_copied(group["lr"]) for group in self.optimizer.param_groups]

    def _scaled(self, factor: float) -> list[float]:
        """Return the current learning rates times ``factor``."""
        return [rate * factor for rate in self._current()]


def _copied(rate: Any) -> Any:
    """Return a learning rate. A tensor is copied, because optimizers and schedulers change it in place."""
    return rate.detach().clone() if isinstance(rate, Tensor) else rate


def set_rate(group: dict[str, Any], rate: Any) -> None:
    """Set the learning rate of a group. A tensor keeps its identity, because CUDA graphs read it."""
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(rate.squeeze() if isinstance(rate, Tensor) else rate)
    else:
        group["lr"] = rate


def each_group(optimizer: Optimizer, name: str, values: Any) -> list[Any]:
    """Return an option of a scheduler as a list with one value for each group. ``name`` is for the error message."""
    groups = len(optimizer.param_groups)
    if not isinstance(values, (list, tuple)):
        return [values] * groups
    if len(values) != groups:
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups. {name} has {len(values)} values, "
            f"param_groups has {groups}."
        )
    return list(values)
