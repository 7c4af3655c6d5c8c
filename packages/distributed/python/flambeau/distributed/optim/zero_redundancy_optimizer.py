"""Optimizer with state that is sharded over processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import flambeau
from flambeau import Tensor, distributed
from flambeau.distributed._values import begin_broadcast
from flambeau.distributed.algorithms.join import Join, Joinable, JoinHook
from flambeau.distributed.groups import ProcessGroup, member
from flambeau.optim import Optimizer, _state_dict
from flambeau.optim.optimizer import ParamsT

__all__ = ["ZeroRedundancyOptimizer"]

Group = dict[str, Any]

_NOT_CONSOLIDATED = (
    "Optimizer state has not been consolidated on this rank. Please call `consolidate_state_dict(to={rank})` on all "
    "ranks beforehand if you meant to save the global state."
)


class ZeroRedundancyOptimizer(Optimizer, Joinable):
    """Optimizer that updates each parameter in one process, which stores the state and broadcasts the result.

    Each process has all parameters and gradients, for example from `DistributedDataParallel`, and an optimizer for its
    shard of the parameters. Parameters are assigned by decreasing size to the process with the fewest elements so far.

    Args:
        params: parameters as for every optimizer, the same in all processes, of one dtype.
        optimizer_class: class of the optimizer that each process runs on its shard.
        process_group: group of the processes; None for all.
        parameters_as_bucket_view: if True, store the parameters of a shard in one buffer, which is sent without copies.
        overlap_with_ddp: not supported.
        defaults: the options of ``optimizer_class``.
    Raises: TypeError, ValueError as for other optimizers, and for parameters of several dtypes; NotImplementedError for
        ``overlap_with_ddp``.
    Source: Rajbhandari, Rasley, Ruwase, He 2019, arXiv:1910.02054 (its first stage).

    >>> from flambeau import distributed
    >>> from flambeau.distributed.optim import ZeroRedundancyOptimizer
    >>> distributed.init_process_group(store=distributed.HashStore(), rank=0, world_size=1)
    >>> x = fb.tensor([1.0])
    >>> x.grad = fb.tensor([2.0])
    >>> ZeroRedundancyOptimizer([x], fb.optim.SGD, lr=0.25).step()
    >>> x
    tensor([0.5000])
    >>> distributed.destroy_process_group()
    """

    def __init__(
        self,
        params: ParamsT,
        optimizer_class: type[Optimizer],
        process_group: ProcessGroup | None = None,
        parameters_as_bucket_view: bool = False,
        overlap_with_ddp: bool = False,
        **defaults: Any,
    ) -> None:
        if overlap_with_ddp:
            raise NotImplementedError("ZeroRedundancyOptimizer does not have overlap_with_ddp.")
        own_group = member(process_group)
        if own_group is None:
            raise ValueError("ZeroRedundancyOptimizer: this process does not belong to process_group")
        self.process_group, self.rank, self.world_size = own_group, own_group.rank(), own_group.size()
        self.parameters_as_bucket_view = parameters_as_bucket_view
        self._shares: list[list[list[Tensor]]] = [[] for _ in range(self.world_size)]  # shards by rank and group
        self._saved: list[dict[str, Any]] = []  # states of all ranks after `consolidate_state_dict`
        self._buckets: list[list[Tensor]] = [[] for _ in range(self.world_size)]
        super().__init__(params, defaults)
        Joinable.__init__(self)
        self._check_dtype()
        self.optim: Any = optimizer_class(self._own_groups(), **defaults)
        _copy_options(self.optim.param_groups, self.param_groups)

    # Shards

    def add_param_group(self, param_group: Group) -> None:
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        sizes = [sum(each.numel() for part in share for each in part) for share in self._shares]
        parts: list[list[Tensor]] = [[] for _ in range(self.world_size)]
        for parameter in sorted(group["params"], key=lambda each: each.numel(), reverse=True):
            rank = sizes.index(min(sizes))
            parts[rank].append(parameter)
            sizes[rank] += parameter.numel()
        for rank, part in enumerate(parts):
            self._shares[rank].append(part)
            self._buckets[rank] += self._flatten_parameters(part) if self.parameters_as_bucket_view else part
        if "optim" in vars(self):
            self._check_dtype()
            self.optim.add_param_group(self._own_groups()[-1])
            _copy_options(self.optim.param_groups, self.param_groups)

    def _flatten_parameters(self, parameters: list[Tensor]) -> list[Tensor]:
        """Store the parameters in one buffer per device, make them views of the buffers, and return the buffers."""
        whole = []
        for device in dict.fromkeys(each.device for each in parameters):
            alike = [each for each in parameters if each.device == device]
            whole.append(flambeau.cat([each.detach().reshape(-1) for each in alike]))
            for each, part in zip(alike, whole[-1].split([each.numel() for each in alike]), strict=True):
                each.data = part.view(each.shape)
        return whole

    def _own_groups(self) -> list[Group]:
        options = (
            {key: value for key, value in group.items() if key not in _PARAMETER_KEYS} for group in self.param_groups
        )
        return [{**each, "params": part} for each, part in zip(options, self._shares[self.rank], strict=True)]

    def _check_dtype(self) -> None:
        kinds = {parameter.type() for group in self.param_groups for parameter in group["params"]}
        if len(kinds) > 1:
            raise ValueError(
                "ZeroRedundancyOptimizer only supports using the same dense type for all parameters but got "
                + " and ".join(sorted(kinds))
            )

    # Stepping

    def step(self, closure: Callable[[], Any] | None = None, **kwargs: Any) -> Any:
        """Update this process's shard, and receive the other parameters from the processes that update them."""
        Join.notify_join_context(self)
        _copy_options(self.param_groups, self.optim.param_groups)
        loss = self.optim.step(**kwargs) if closure is None else self.optim.step(closure=closure, **kwargs)
        if self.world_size > 1:
            finish = [begin_broadcast(each, self.process_group, rank) for rank, each in enumerate(self._buckets)]
            for each in finish:
                each()
        _copy_options(self.optim.param_groups, self.param_groups)
        return loss

    def join_hook(self, **kwargs: Any) -> JoinHook:
        """Return the hook that calls `step` while other processes still have inputs."""
        return _OptimizerJoinHook(self)

    @property
    def join_device(self) -> flambeau.device:
        device: flambeau.device = self.param_groups[0]["params"][0].device
        return device

    @property
    def join_process_group(self) -> ProcessGroup:
        return self.process_group

    # State

    def consolidate_state_dict(self, to: int = 0) -> None:
        """Gather the state of all processes in one process, which can then call `state_dict`.

        Args:
            to: rank of this process in the group.
        """
        own = self.optim.state_dict()
        own["state"] = {number: _to_cpu(entries) for number, entries in own["state"].items()}
        gathered: list[Any] | None = [None] * self.world_size if self.rank == to else None
        distributed.gather_object(own, gathered, group=self.process_group, group_dst=to)
        self._saved = gathered or []

    def state_dict(self) -> dict[str, Any]:
        """Return the state at the last `consolidate_state_dict`, in the form of an unsharded optimizer's state.

        Raises: RuntimeError in processes that did not gather the state.
        """
        if not self._saved:
            raise RuntimeError(_NOT_CONSOLIDATED.format(rank=self.rank))
        state: dict[Any, dict[str, Any]] = {}
        for saved, share in zip(self._saved, self._shares, strict=True):
            for group, part in zip(saved["param_groups"], share, strict=True):
                state |= {
                    parameter: saved["state"][number]
                    for number, parameter in zip(group["params"], part, strict=True)
                    if number in saved["state"]
                }
        found = _state_dict.save(state, self.param_groups)
        return {**found, "state": dict(sorted(found["state"].items()))}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load this process's shard from a state that `state_dict` or an unsharded optimizer returned.

        Raises: errors as in `Optimizer.load_state_dict`; the state is then unchanged.
        """
        _state_dict.check(state_dict, self.param_groups)
        groups = []
        for saved, group, part in zip(
            state_dict["param_groups"], self.param_groups, self._shares[self.rank], strict=True
        ):
            number_of = {id(each): number for each, number in zip(group["params"], saved["params"], strict=True)}
            groups.append({**saved, "params": [number_of[id(each)] for each in part]})
        numbers = {number for group in groups for number in group["params"]}
        state = {number: entries for number, entries in state_dict["state"].items() if number in numbers}
        self.optim.load_state_dict({"state": state, "param_groups": groups})
        _copy_options(self.optim.param_groups, self.param_groups)


_PARAMETER_KEYS = ("params", "param_names")


class _OptimizerJoinHook(JoinHook):
    def __init__(self, optimizer: ZeroRedundancyOptimizer) -> None:
        self._optimizer = optimizer

    def main_hook(self) -> None:
        self._optimizer.step()


def _copy_options(source: list[Group], groups: list[Group]) -> None:
    for given, group in zip(source, groups, strict=True):
        group.update({key: value for key, value in given.items() if key not in _PARAMETER_KEYS})


def _to_cpu(entries: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value.cpu() if isinstance(value, Tensor) else value for key, value in entries.items()}
