"""Training with more inputs in some processes than in others.

A process that has no more inputs joins: it takes part in the collectives of the other processes until all processes
have joined.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import Any, NamedTuple

import flambeau
from flambeau import Tensor, distributed
from flambeau.distributed.groups import ProcessGroup
from flambeau.distributed.work import Work

__all__ = ["Join", "JoinHook", "Joinable"]

_SKEW = 1000  # number of iterations after which a process that has joined warns
_UNEVEN = (
    "Detected uneven input skew of greater than {skew}. This means that rank {rank} has at least {skew} fewer inputs "
    "than other currently-active ranks. This level of skew could lead to performance degradation during training."
)


class JoinHook:
    """Base class of the actions of a process that has joined.

    >>> from flambeau.distributed.algorithms.join import JoinHook
    >>> class AddZero(JoinHook):
    ...     def main_hook(self):
    ...         flambeau.distributed.all_reduce(fb.zeros(1))  # the other processes add their values
    >>> AddZero().main_hook()  # a group of one process
    """

    def main_hook(self) -> None:
        """Take part in the collectives of one iteration of the other processes."""

    def post_hook(self, is_last_joiner: bool) -> None:
        """Run after all processes have joined.

        Args:
            is_last_joiner: True if this process was among the last to join.
        """


class _JoinConfig(NamedTuple):
    enable: bool = False
    throw_on_early_termination: bool = False
    is_first_joinable: bool = False


class Joinable(ABC):
    """Base class of objects that call `Join.notify_join_context` and then communicate in each iteration. See `Join`."""

    @abstractmethod
    def __init__(self) -> None:
        super().__init__()
        self._join_config = _JoinConfig()

    @abstractmethod
    def join_hook(self, **kwargs: Any) -> JoinHook:
        """Return the hook that replaces this object after its process has joined. For ``kwargs``, see `Join`."""

    @property
    @abstractmethod
    def join_device(self) -> flambeau.device:
        """Device of the tensor with which the processes count the processes that have not joined."""

    @property
    @abstractmethod
    def join_process_group(self) -> ProcessGroup:
        """Process group over which the object communicates."""


class Join:
    """Context manager within which processes may have different numbers of inputs.

    Args:
        joinables: objects that communicate in each iteration, in this order, all over the same group.
        enable: if False, do nothing, because all processes have the same number of inputs.
        throw_on_early_termination: if True, raise RuntimeError in all processes when the first process has no more
            inputs.
        kwargs: arguments for the ``join_hook`` of the joinables.
    Raises: ValueError if there are no joinables, or if their groups differ.

    >>> from flambeau.distributed.algorithms.join import Join
    >>> model = fb.nn.parallel.DistributedDataParallel(fb.nn.Linear(2, 1))  # a group of one process
    >>> with Join([model]):
    ...     for batch in (fb.ones(3, 2), fb.ones(1, 2)):
    ...         model(batch).sum().backward()
    >>> model.module.bias.grad
    tensor([4.])
    """

    def __init__(
        self,
        joinables: Sequence[Joinable],
        enable: bool = True,
        throw_on_early_termination: bool = False,
        **kwargs: Any,
    ) -> None:
        if not joinables:
            raise ValueError("The join context manager requires at least one joinable")
        first = joinables[0]
        if any(each.join_process_group is not first.join_process_group for each in joinables):
            raise ValueError("Using join context manager with multiple process groups")
        self._joinables, self._hooks = list(joinables), [each.join_hook(**kwargs) for each in joinables]
        self._enable, self._throws = enable, throw_on_early_termination
        self._group, self._device = first.join_process_group, first.join_device
        for each in joinables:
            each._join_config = _JoinConfig(enable, throw_on_early_termination, each is first)

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if self._enable and kind is None:
                self._join()
        finally:
            for each in self._joinables:
                each._join_config = _JoinConfig()

    def _join(self) -> None:
        """Take part in the iterations of the other processes until all have joined."""
        iterations = 0
        while self._sum(0.0):
            if self._throws:
                self._sum(1.0)
                raise RuntimeError(f"Rank {self._group.rank()} exhausted all inputs.")
            for hook in self._hooks:
                hook.main_hook()
            iterations += 1
            if iterations == _SKEW:
                warnings.warn(_UNEVEN.format(skew=_SKEW, rank=self._group.rank()), stacklevel=3)
        for hook in self._hooks:
            hook.post_hook(is_last_joiner=iterations == 0)

    def _sum(self, value: float) -> float:
        return float(_sum_over_ranks(value, self._device, self._group)[0].item())

    @staticmethod
    def notify_join_context(joinable: Joinable) -> Work | None:
        """Tell the other processes that this process still has inputs, before the joinable communicates.

        Returns: for the first joinable, a work whose result is the number of processes with inputs. None for other
            joinables, and outside a `Join` block.
        Raises: RuntimeError if a process has no more inputs and ``throw_on_early_termination`` is set.
        """
        if not hasattr(joinable, "_join_config"):
            raise AssertionError(f"Check that the {type(joinable)} constructor calls the ``Joinable`` constructor")
        config = joinable._join_config
        if not config.enable or not config.is_first_joinable:
            return None
        device, group = joinable.join_device, joinable.join_process_group
        work = distributed.all_reduce(flambeau.ones(1, device=device), group=group, async_op=True)
        if config.throw_on_early_termination and _sum_over_ranks(0.0, device, group).item():
            raise RuntimeError("Detected at least one rank that exhausted inputs. Throwing across all ranks.")
        return work


def _sum_over_ranks(value: float, device: flambeau.device, group: ProcessGroup) -> Tensor:
    total = flambeau.full((1,), value, device=device)
    distributed.all_reduce(total, group=group)
    return total
