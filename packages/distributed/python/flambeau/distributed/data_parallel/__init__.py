"""Data-parallel training: a module that averages gradients over processes."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import flambeau
from flambeau import Tensor, _public_names, distributed, is_grad_enabled
from flambeau.distributed._values import broadcast_values
from flambeau.distributed.algorithms.join import Join, Joinable, JoinHook
from flambeau.distributed.groups import ProcessGroup, member
from flambeau.distributed.work import Work
from flambeau.nn.modules.module import Module
from flambeau.nn.parallel.data_parallel import _index
from flambeau.nn.parameter import UninitializedParameter

from ._agreement import check_same_parameters
from ._nested import moved, tensors_in
from ._reducer import Reducer

__all__ = ["DistributedDataParallel"]

MEGABYTE = 1024 * 1024
_FIRST_BUCKET, _BUCKET = MEGABYTE, 25 * MEGABYTE

_NO_GRADIENT = (
    "DistributedDataParallel is not needed when a module doesn't have any parameter that requires a gradient."
)
_UNINITIALIZED = (
    "Modules with uninitialized parameters can't be used with `DistributedDataParallel`. Run a dummy forward pass to "
    "correctly initialize the modules"
)
_DEVICES = (
    "DistributedDataParallel device_ids and output_device arguments only work with single-device GPU modules, but got "
    "device_ids {device_ids}, output_device {output_device}, and module parameters on {devices}."
)
_ONE_GROUP_ALONE = (
    "DDP Pickling/Unpickling are only supported when using DDP with the default process group. That is, when you have "
    "called init_process_group and have not passed process_group argument to DDP constructor"
)


class DistributedDataParallel(Module, Joinable):
    """Wrapper that trains copies of a module in several processes and averages their gradients.

    Parameters and buffers are first copied from the first process. After ``backward()``, each ``.grad`` is the mean of
    the gradients that the processes computed from their own inputs, so that the copies stay equal if their optimizers
    are equal. Gradients are sent in buckets, in reverse order of the parameters, as soon as a bucket is complete. Keys
    of ``state_dict()`` have the prefix ``module.``.

    Args:
        module: the module; the number of its parameters and their ``requires_grad`` must not change.
        device_ids: None for the CPU, or a list with the module's GPU. Inputs are moved to this GPU.
        output_device: the module's GPU.
        dim: ignored, because inputs are not split.
        broadcast_buffers: if True (default), each forward pass first copies the buffers of the first process.
        init_sync: if True, compare parameters and copy the first process's values.
        process_group: the group; None for all processes.
        bucket_cap_mb: MiB per bucket of gradients; by default 1 for the first bucket and 25 for others.
        find_unused_parameters: if True, search after each forward pass for parameters that do not affect the outputs.
            If False, a parameter without a gradient raises an error in the next forward pass.
        check_reduction: ignored.
        gradient_as_bucket_view: if True, each ``.grad`` is a view of its bucket, which saves memory and copies.
        static_graph: if True, the outputs depend on the same parameters in each iteration, and one search suffices.
        skip_all_reduce_unused_params: if True, do not send buckets that have only unused parameters. These parameters
            must be the same in all processes.
        bucket_cap_mb_list: MiB of the first buckets; the last entry applies to all further buckets.
        batched_grad_copy: ignored.
        forward_sync_buffers: like ``broadcast_buffers``, but False still copies the buffers initially.
        delay_all_reduce_named_params, param_to_hook_all_reduce, mixed_precision, device_mesh: not supported.
    Raises: RuntimeError if no parameter requires a gradient, if a parameter is uninitialized, or, in all processes, if
        shapes differ; ValueError for unsuitable GPUs or in a process outside the group; NotImplementedError for
        unsupported arguments.

    >>> from flambeau import distributed
    >>> distributed.init_process_group(store=distributed.HashStore(), rank=0, world_size=1)
    >>> model = nn.parallel.DistributedDataParallel(nn.Linear(2, 1))
    >>> model(fb.ones(3, 2)).sum().backward()
    >>> model.module.weight.grad
    tensor([[3., 3.]])
    >>> distributed.destroy_process_group()
    """

    reducer: Reducer

    def __init__(
        self,
        module: Module,
        device_ids: Sequence[Any] | None = None,
        output_device: Any = None,
        dim: int = 0,
        broadcast_buffers: bool | None = None,
        init_sync: bool = True,
        process_group: ProcessGroup | None = None,
        bucket_cap_mb: float | None = None,
        find_unused_parameters: bool = False,
        check_reduction: bool = False,
        gradient_as_bucket_view: bool = False,
        static_graph: bool = False,
        delay_all_reduce_named_params: Any = None,
        param_to_hook_all_reduce: Any = None,
        mixed_precision: Any = None,
        device_mesh: Any = None,
        skip_all_reduce_unused_params: bool = False,
        bucket_cap_mb_list: Sequence[float] | None = None,
        batched_grad_copy: bool = False,
        forward_sync_buffers: bool | None = None,
    ) -> None:
        super().__init__()
        Joinable.__init__(self)
        if (delay_all_reduce_named_params is None) != (param_to_hook_all_reduce is None):
            raise ValueError(
                "delay_all_reduce_named_params and param_to_hook_all_reduce need to be set at the same time."
            )
        _reject(
            delay_all_reduce_named_params=delay_all_reduce_named_params,
            mixed_precision=mixed_precision,
            device_mesh=device_mesh,
        )
        self.process_group = _group(process_group)
        self.module, self.dim = module, dim
        self.parameters_to_ignore = set(getattr(module, "_ddp_params_and_buffers_to_ignore", ()))
        parameters = [parameter for _, parameter in self._named_parameters()]
        _check_parameters(parameters)
        self.device = parameters[0].device
        self.device_ids, self.output_device = _devices(parameters, device_ids, output_device)
        self.find_unused_parameters, self.static_graph = find_unused_parameters, static_graph
        self.gradient_as_bucket_view = gradient_as_bucket_view
        self.skip_all_reduce_unused_params = skip_all_reduce_unused_params
        self.broadcast_buffers = (
            broadcast_buffers is not False if forward_sync_buffers is None else forward_sync_buffers
        )
        self.require_backward_grad_sync = self.require_forward_param_sync = True
        self._bucket_sizes = _bucket_sizes(bucket_cap_mb, bucket_cap_mb_list)
        if init_sync and self.process_group.size() > 1:
            check_same_parameters(self._trainable_parameters(), self.process_group)
            takes_buffers = self.broadcast_buffers or forward_sync_buffers is not None
            broadcast_values(parameters + (self._synchronized_buffers() if takes_buffers else []), self.process_group)
        self._begin()

    def _begin(self) -> None:
        """Create the reducer that averages gradients."""
        self.reducer = Reducer(
            {parameter: name for name, parameter in self._trainable_parameters()},
            self.process_group,
            self._bucket_sizes,
            as_views=self.gradient_as_bucket_view,
            find_unused=self.find_unused_parameters,
            skip_unused=self.skip_all_reduce_unused_params,
            static=self.static_graph,
        )
        # The parameters can outlive this module, so their hooks are removed together with this module.
        self._ending = weakref.finalize(self, self.reducer.close)
        self._ending.atexit = False

    def _named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        return (each for each in self.module.named_parameters() if each[0] not in self.parameters_to_ignore)

    def _trainable_parameters(self) -> list[tuple[str, Tensor]]:
        return [(name, parameter) for name, parameter in self._named_parameters() if parameter.requires_grad]

    def _synchronized_buffers(self) -> list[Tensor]:
        named = self.module.named_buffers()
        return [buffer for name, buffer in named if name not in self.parameters_to_ignore]

    # Computing

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        syncs = is_grad_enabled() and self.require_backward_grad_sync
        if syncs:
            self.reducer.check_finished()
        self._prepare_forward()
        if self.device_ids:
            inputs, kwargs = moved(inputs, self.device), moved(kwargs, self.device)
        output = self.module(*inputs, **kwargs)
        self.require_forward_param_sync = syncs
        if syncs:
            self.reducer.prepare(tensors_in(output))
        return output

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """Accumulate gradients in this process inside the block, without averaging them over processes.

        The next forward and backward pass after the block averages the accumulated gradients. A backward pass belongs
        to the block if its forward pass ran inside the block.
        """
        before, self.require_backward_grad_sync = self.require_backward_grad_sync, False
        try:
            yield
        finally:
            self.require_backward_grad_sync = before

    def register_comm_hook(self, state: object, hook: Callable[[Any, distributed.GradBucket], Any]) -> None:
        """Register a function that processes each bucket of gradients, instead of averaging it.

        Args:
            state: first argument of the hook.
            hook: function ``hook(state, bucket)`` of a `GradBucket` that returns a ``Future`` of a tensor, which
                replaces the bucket's contents. `flambeau.distributed.algorithms.ddp_comm_hooks` provides some hooks.
        Raises: TypeError if the hook is not callable, ValueError for wrong annotations, RuntimeError for a second hook.
        """
        if not callable(hook):
            raise TypeError("Communication hook must be callable.")
        parameter = inspect.signature(hook).parameters.get("bucket")
        if parameter is not None and not _accepts_bucket(parameter.annotation):
            raise ValueError("Communication hook: bucket annotation should be dist.GradBucket.")
        if self.reducer.comm_hook is not None:
            raise RuntimeError("register_comm_hook or register_builtin_comm_hook can only be called once.")
        self.reducer.comm_hook = lambda bucket: hook(state, bucket)

    # Buffers, and processes with fewer inputs

    def _prepare_forward(self) -> None:
        """Prepare a forward pass: notify the `Join` context, and synchronise the buffers.

        Processes that have no more inputs call the same collectives as this function.
        """
        notified = Join.notify_join_context(self)
        self.reducer.even = not self._join_config.enable
        if notified is not None and not self._divides_by_initial:
            self.reducer.divisor = lambda: _count_active(notified)
        self._sync_buffers(joined=False)
        if self._join_config.enable:
            self._gradients_are_averaged(joined=False)

    def _sync_buffers(self, joined: bool) -> None:
        """Copy the buffers of the first process or, in a `Join` context, of the highest rank that still has inputs."""
        if not self.broadcast_buffers or not self.require_forward_param_sync or self.process_group.size() == 1:
            return
        buffers = self._synchronized_buffers()
        if buffers:
            source = self._last_rank(not joined) if self._join_config.enable else 0
            broadcast_values(buffers, self.process_group, source)

    def _last_rank(self, counts: bool) -> int:
        """Return the highest rank among the processes in which ``counts`` is True."""
        rank = flambeau.tensor([self.process_group.rank() if counts else -1], device=self.device)
        distributed.all_reduce(rank, distributed.ReduceOp.MAX, self.process_group)
        return int(rank.item())

    def _gradients_are_averaged(self, joined: bool) -> bool:
        """Return True if the processes with inputs average the gradients of this iteration."""
        own = float(self.require_backward_grad_sync and not joined)
        total = flambeau.full((1,), own, device=self.device)
        distributed.all_reduce(total, group=self.process_group)
        return bool(total.item())

    def join(
        self, divide_by_initial_world_size: bool = True, enable: bool = True, throw_on_early_termination: bool = False
    ) -> Join:
        """Return a context in which processes may have different numbers of inputs.

        A process that has no more inputs contributes zeros to the averages until the other processes have finished.
        Then it copies the parameters and buffers of a process that finished last.

        Args:
            divide_by_initial_world_size: if True, divide sums of gradients by the number of all processes; if False, by
                the number of processes that still have inputs.
            enable: if False, do nothing, because all processes have the same number of inputs.
            throw_on_early_termination: if True, raise RuntimeError in all processes when the first process has no more
                inputs.
        """
        options: dict[str, Any] = {"divide_by_initial_world_size": divide_by_initial_world_size}
        return Join([self], enable, throw_on_early_termination, **options)

    def join_hook(self, **kwargs: Any) -> JoinHook:
        """Return the hook that communicates in place of this module. ``kwargs`` are the arguments of `join`."""
        self._divides_by_initial = kwargs.get("divide_by_initial_world_size", True)
        self.reducer.divisor = self.process_group.size
        return _JoinedHook(self)

    _divides_by_initial = True

    @property
    def join_device(self) -> flambeau.device:
        return self.device

    @property
    def join_process_group(self) -> ProcessGroup:
        return self.process_group

    # State

    def __getstate__(self) -> dict[str, Any]:
        if self.process_group is not distributed.group.WORLD:
            raise RuntimeError(_ONE_GROUP_ALONE)
        return {key: value for key, value in vars(self).items() if key not in ("process_group", "reducer", "_ending")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.process_group = _group(None)
        self._begin()

    @staticmethod
    def _set_params_and_buffers_to_ignore_for_model(
        module: Module, params_and_buffers_to_ignore: Sequence[str]
    ) -> None:
        """Exclude parameters and buffers, given by their keys in ``module.state_dict()``, from synchronisation."""
        module._ddp_params_and_buffers_to_ignore = params_and_buffers_to_ignore


class _JoinedHook(JoinHook):
    """Hook that participates in the collectives of other processes when this process has no more inputs."""

    def __init__(self, model: DistributedDataParallel) -> None:
        self._model = model

    def main_hook(self) -> None:
        model = self._model
        model._sync_buffers(joined=True)
        model.require_forward_param_sync = model._gradients_are_averaged(joined=True)
        if model.require_forward_param_sync:
            model.reducer.match()

    def post_hook(self, is_last_joiner: bool) -> None:
        model = self._model
        source = model._last_rank(is_last_joiner)
        values = [each for _, each in model._named_parameters()] + model._synchronized_buffers()
        broadcast_values(values, model.process_group, source)
        model.reducer.divisor = model.process_group.size


def _group(group: ProcessGroup | None) -> ProcessGroup:
    own_group = member(group)
    if own_group is None:
        raise ValueError("DistributedDataParallel: this process does not belong to process_group")
    return own_group


def _reject(**options: Any) -> None:
    for name, value in options.items():
        if value is not None:
            raise NotImplementedError(f"DistributedDataParallel does not support the argument '{name}'.")


def _check_parameters(parameters: Sequence[Tensor]) -> None:
    if any(isinstance(each, UninitializedParameter) for each in parameters):
        raise RuntimeError(_UNINITIALIZED)
    if not any(each.requires_grad for each in parameters):
        raise RuntimeError(_NO_GRADIENT)
    kinds = {each.device.type for each in parameters}
    if len(kinds) > 1:
        raise ValueError(
            "DistributedDataParallel's input module must be on the same type of devices, but input module parameters "
            f"locate in {kinds}."
        )


def _devices(parameters: Sequence[Tensor], device_ids: Any, output_device: Any) -> tuple[list[int] | None, int | None]:
    """Return a list with the GPU of the inputs, and the GPU of the outputs. On the CPU, return None for both."""
    if device_ids is not None and len(device_ids) > 1:
        raise ValueError(f"device_ids can only be None or contain a single element, got {device_ids}.")
    devices = {each.device for each in parameters}
    if not device_ids or len(devices) > 1 or parameters[0].device.type == "cpu":
        if device_ids or output_device:
            shown = {"device_ids": device_ids, "output_device": output_device, "devices": devices}
            raise ValueError(_DEVICES.format(**shown))
        return None, None
    return [_index(device_ids[0])], _index(device_ids[0] if output_device is None else output_device)


def _bucket_sizes(megabytes: float | None, one_by_one: Sequence[float] | None) -> list[int]:
    """Convert ``bucket_cap_mb`` or ``bucket_cap_mb_list`` to sizes in bytes for `in_buckets`."""
    if one_by_one:
        return [int(each * MEGABYTE) for each in one_by_one]
    return [_FIRST_BUCKET, _BUCKET] if megabytes is None else [int(megabytes * MEGABYTE)]


def _accepts_bucket(annotation: Any) -> bool:
    """Return True if a hook's annotation of its bucket is missing or is `GradBucket`."""
    named = isinstance(annotation, str) and annotation.endswith("GradBucket")  # a string if evaluation is postponed
    return named or annotation in (inspect.Parameter.empty, distributed.GradBucket)


def _count_active(notified: Work) -> float:
    """Wait for the notification and return how many processes have inputs."""
    notified.wait()
    return float(notified.result()[0].item())


def __dir__() -> list[str]:
    return _public_names.public_names(globals(), __all__)
