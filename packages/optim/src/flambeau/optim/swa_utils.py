"""Averages of the parameters of a model during training: stochastic weight averaging and exponential moving averages.

This module requires flambeau-nn.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any, Literal

import flambeau
from flambeau import Tensor, no_grad, tensor

from .lr_scheduler import LRScheduler
from .lr_scheduler._base import each_group
from .optimizer import Optimizer

__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]

OneByOne = Callable[[Tensor, Tensor, Tensor], Tensor]
Together = Callable[[list[Tensor], list[Tensor], Tensor], None]


def _check_decay(decay: float) -> None:
    if not 0.0 <= decay <= 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")


def get_ema_avg_fn(decay: float = 0.999) -> OneByOne:
    """Return an ``avg_fn`` for `AveragedModel`: ``average * decay + value * (1 - decay)``.

    Args:
        decay: weight of the previous average, in [0, 1].
    Raises: ValueError for a decay outside [0, 1].

    >>> from flambeau.optim.swa_utils import get_ema_avg_fn
    >>> get_ema_avg_fn(0.75)(fb.tensor(4.0), fb.tensor(8.0), fb.tensor(1))
    tensor(5.)
    """
    _check_decay(decay)

    @no_grad()
    def average(averaged: Tensor, value: Tensor, num_averaged: Tensor) -> Tensor:
        return decay * averaged + (1 - decay) * value

    return average


def get_swa_avg_fn() -> OneByOne:
    """Return an ``avg_fn`` for `AveragedModel`: the mean of all values so far.

    >>> from flambeau.optim.swa_utils import get_swa_avg_fn
    >>> get_swa_avg_fn()(fb.tensor(4.0), fb.tensor(8.0), fb.tensor(1))
    tensor(6.)
    """

    @no_grad()
    def average(averaged: Tensor, value: Tensor, num_averaged: Tensor) -> Tensor:
        return averaged + (value - averaged) / (num_averaged + 1)

    return average


def get_ema_multi_avg_fn(decay: float = 0.999) -> Together:
    """Return a ``multi_avg_fn`` for `AveragedModel`: `get_ema_avg_fn` for lists of tensors, in place.

    Args:
        decay: weight of the previous average, in [0, 1].
    Raises: ValueError for a decay outside [0, 1].

    >>> from flambeau.optim.swa_utils import get_ema_multi_avg_fn
    >>> average = fb.tensor(4.0)
    >>> get_ema_multi_avg_fn(0.75)([average], [fb.tensor(8.0)], fb.tensor(1))
    >>> average
    tensor(5.)
    """
    _check_decay(decay)

    @no_grad()
    def average(averaged: list[Tensor], values: list[Tensor], num_averaged: Tensor) -> None:
        for mean, value in zip(averaged, values, strict=True):
            _move_towards(mean, value, 1 - decay)

    return average


def get_swa_multi_avg_fn() -> Together:
    """Return a ``multi_avg_fn`` for `AveragedModel`: `get_swa_avg_fn` for lists of tensors, in place.

    >>> from flambeau.optim.swa_utils import get_swa_multi_avg_fn
    >>> average = fb.tensor(4.0)
    >>> get_swa_multi_avg_fn()([average], [fb.tensor(8.0)], fb.tensor(1))
    >>> average
    tensor(6.)
    """

    @no_grad()
    def average(averaged: list[Tensor], values: list[Tensor], num_averaged: Tensor) -> None:
        for mean, value in zip(averaged, values, strict=True):
            _move_towards(mean, value, 1 / (float(num_averaged) + 1))

    return average


def _move_towards(mean: Tensor, value: Tensor, share: float) -> None:
    if mean.is_floating_point() or mean.is_complex():
        mean.lerp_(value, share)
    else:
        mean.add_(((value - mean) * share).to(mean.dtype))


class AveragedModel(flambeau.nn.Module):
    """Copy of a model that stores averages of the model's parameters.

    Call ``update_parameters(model)`` after a step or an epoch to include the current values of the model.

    Args:
        model: the model to copy.
        device: device of the copy.
        avg_fn: function of ``(average, value, count)`` that returns the next average. The default is the mean.
        multi_avg_fn: function of ``(averages, values, count)``, where the first two arguments are lists of tensors. It
            updates the averages in place.
        use_buffers: if True, average the buffers as well. If False, copy the buffers of the model.
    State: ``n_averaged`` and the state of ``module``, the copy.
    Source: Izmailov et al. 2018, arXiv:1803.05407.

    >>> from flambeau.optim.swa_utils import AveragedModel
    >>> model = fb.nn.Linear(1, 1, bias=False)
    >>> averaged = AveragedModel(model)
    >>> for value in (1.0, 3.0):
    ...     _ = fb.nn.init.constant_(model.weight, value)
    ...     averaged.update_parameters(model)
    >>> averaged.module.weight.item()
    2.0
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: Any,
        device: Any = None,
        avg_fn: OneByOne | None = None,
        multi_avg_fn: Together | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", tensor(0, dtype=flambeau.long, device=device))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def _averaged_tensors(self, model: Any) -> list[Tensor]:
        buffers: Iterable[Tensor] = model.buffers() if self.use_buffers else ()
        return [value.detach() for value in itertools.chain(model.parameters(), buffers)]

    def update_parameters(self, model: Any) -> None:
        """Update the averages with the parameters of ``model``."""
        means = self._averaged_tensors(self.module)
        values = [value.to(mean.device) for value, mean in zip(self._averaged_tensors(model), means, strict=True)]
        with no_grad():
            if self.n_averaged == 0:
                for mean, value in zip(means, values, strict=True):
                    mean.copy_(value)
            elif self.avg_fn is not None:
                for mean, value in zip(means, values, strict=True):
                    mean.copy_(self.avg_fn(mean, value, self.n_averaged))
            else:
                (self.multi_avg_fn or get_swa_multi_avg_fn())(means, values, self.n_averaged)
            if not self.use_buffers:
                for mean, value in zip(self.module.buffers(), model.buffers(), strict=True):
                    mean.copy_(value)
            self.n_averaged += 1


@no_grad()
def update_bn(loader: Iterable[Any], model: Any, device: Any = None) -> None:
    """Recompute the running statistics of the batch normalisation layers of a model, in one pass over a loader.

    Args:
        loader: iterable of inputs, or of lists or tuples whose first element is the input.
        model: the model. It runs in training mode, then its former mode is restored.
        device: device to which the inputs are moved.

    >>> from flambeau.optim.swa_utils import update_bn
    >>> layer = fb.nn.BatchNorm1d(1)
    >>> update_bn([fb.tensor([[1.0], [3.0]]), fb.tensor([[5.0], [7.0]])], layer)
    >>> layer.running_mean
    tensor([4.])
    """
    layers: list[Any] = [m for m in model.modules() if hasattr(m, "running_mean") and hasattr(m, "momentum")]
    momenta = {layer: layer.momentum for layer in layers}
    if not momenta:
        return
    training = model.training
    model.train()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the running statistics are the mean over all batches
    for batch in loader:
        inputs = batch[0] if isinstance(batch, (list, tuple)) else batch
        model(inputs if device is None else inputs.to(device))
    for layer, momentum in momenta.items():
        layer.momentum = momentum
    model.train(training)


class SWALR(LRScheduler):
    """Scheduler that moves the learning rates to ``swa_lr`` in ``anneal_epochs`` epochs, then keeps the rates constant.

    Args:
        optimizer: optimizer whose learning rates the scheduler sets.
        swa_lr: final learning rate: a number for all groups, or a list with a number per group.
        anneal_epochs: number of epochs until the rate is ``swa_lr``. 0 sets ``swa_lr`` immediately.
        anneal_strategy: ``"cos"`` or ``"linear"``, the shape of the change.
        last_epoch: number of the last epoch if training is resumed.
    Source: Izmailov et al. 2018, arXiv:1803.05407.

    >>> from flambeau.optim.swa_utils import SWALR
    >>> optimizer = fb.optim.SGD([fb.zeros(1)], lr=1.0)
    >>> schedule = SWALR(optimizer, swa_lr=0.5, anneal_epochs=2, anneal_strategy="linear")
    >>> for epoch in range(3):
    ...     optimizer.step()
    ...     schedule.step()
    ...     print(schedule.get_last_lr())
    [0.75]
    [0.5]
    [0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | list[float],
        anneal_epochs: int = 10,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        last_epoch: int = -1,
    ) -> None:
        for rate, group in zip(each_group(optimizer, "swa_lr", swa_lr), optimizer.param_groups, strict=True):
            group["swa_lr"] = rate
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be an int equal or greater than 0, got {anneal_epochs!r}")
        self._anneal_strategy = anneal_strategy
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _annealed_fraction(self, epoch: float) -> float:
        t = max(0.0, min(1.0, epoch / max(1, self.anneal_epochs)))
        return t if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * t)) / 2

    def _rates(self) -> list[float]:
        """Compute the next learning rates from the current rates, which other schedulers may have set."""
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._annealed_fraction(step - 1), self._annealed_fraction(step)
        rates = []
        for group, rate in zip(self.optimizer.param_groups, self._current(), strict=True):
            start = rate if before == 1 else (rate - before * group["swa_lr"]) / (1 - before)
            rates.append(group["swa_lr"] * now + start * (1 - now))
        return rates
