"""Averaging of gradients over processes during the backward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import flambeau
from flambeau import Tensor, distributed
from flambeau.distributed.groups import ProcessGroup
from flambeau.distributed.work import Work

from ._buckets import Bucket, in_buckets

__all__ = ["Reducer"]

_UNFINISHED = (
    "Expected to have finished reduction in the prior iteration before starting a new one. This error indicates that "
    "your module has parameters that were not used in producing loss. DistributedDataParallel(find_unused_parameters="
    "True) looks for such parameters; they should be the cause if all outputs of forward take part in the loss. "
    "Parameters which did not receive grad for rank {rank}: {names}"
)
_TWICE = (
    "Expected to mark a variable ready only once, but the gradient of '{name}' was computed a second time, or although "
    "the outputs of forward do not depend on the parameter. Does the module use the parameter outside of its forward, "
    "or in several checkpoints with use_reentrant=True?"
)


class Reducer:
    """Reducer that averages gradients bucket by bucket, as soon as all gradients of a bucket exist.

    All processes send buckets in the same order. The hook that completes the last bucket waits for all buckets, so that
    gradients are averaged when ``backward()`` returns.

    Args:
        names: dictionary from parameters, in order of use, to names.
        group: the processes.
        caps: see `in_buckets`.
        as_views: if True, gradients are views of buckets.
        find_unused: if True, search for parameters that do not affect the outputs.
        skip_unused: if True, do not send buckets that have only unused parameters. These parameters must be the same in
            all processes.
        static: if True, the outputs depend on the same parameters in each iteration.
    """

    def __init__(
        self,
        names: Mapping[Tensor, str],
        group: ProcessGroup,
        caps: Sequence[int],
        *,
        as_views: bool = False,
        find_unused: bool = False,
        skip_unused: bool = False,
        static: bool = False,
    ) -> None:
        self.names, self.group, self.buckets = names, group, in_buckets(list(names), caps)
        self.as_views, self.find_unused, self.skip_unused, self.static = as_views, find_unused, skip_unused, static
        self.comm_hook: Callable[[distributed.GradBucket], Any] | None = None
        self.divisor: Callable[[], float] = group.size
        self.expecting = False  # True while gradients are averaged
        # Gradients are averaged in place, without a bucket's buffer, if all ranks have all gradients.
        self.even = True  # True while all ranks have inputs
        self._may_skip_buffers = group.size() > 1 and not (as_views or find_unused or skip_unused or static)
        self._next = 0  # next bucket to send
        self._unused: set[Tensor] | None = None
        self._unused_anywhere: set[Tensor] | None = None
        hooks = [(each, self._hook(bucket)) for bucket in self.buckets for each in bucket.parameters]
        self._handles = [each.register_post_accumulate_grad_hook(hook) for each, hook in hooks]

    def close(self) -> None:
        """Remove the hooks from the parameters."""
        for handle in self._handles:
            handle.remove()

    def check_finished(self) -> None:
        """Raise RuntimeError that names the parameters if gradients of the last backward pass are missing."""
        if not self.expecting or all(len(bucket.waiting) == bucket.expected for bucket in self.buckets):
            return
        missing = {parameter for bucket in self.buckets for parameter in bucket.waiting}
        names = ", ".join(name for parameter, name in self.names.items() if parameter in missing)
        raise RuntimeError(
            _UNFINISHED.format(rank=distributed.get_rank(), names=names or "none: an error ended the backward pass")
        )

    def prepare(self, outputs: Iterable[Tensor]) -> None:
        """Prepare for a backward pass that starts from the given outputs."""
        if (self.find_unused or self.static) and not (self.static and self._unused is not None):
            self._unused = self.names.keys() - leaves_of(outputs)
        for bucket in self.buckets:
            bucket.begin_backward(self._unused or set())
        self._next, self.expecting = 0, True

    def _hook(self, bucket: Bucket) -> Callable[[Tensor], None]:
        """Return the hook for the parameters of a bucket. It is called when the gradient of a parameter is complete."""
        waiting = bucket.waiting

        def on_gradient(parameter: Tensor) -> None:
            if not self.expecting:
                return
            try:
                waiting.remove(parameter)
            except KeyError:
                raise RuntimeError(_TWICE.format(name=self.names[parameter])) from None
            if parameter.grad is None and self._may_skip_buffers:  # other ranks may average their gradients in place
                parameter.grad = flambeau.zeros_like(parameter)
            if not waiting:
                self._launch()

        return on_gradient

    @flambeau.no_grad()
    def _launch(self) -> None:
        """Send complete buckets in order. After the last bucket, wait for all buckets."""
        while self._next < len(self.buckets) and not self.buckets[self._next].waiting:
            self._begin(self.buckets[self._next])
            self._next += 1
        if self._next == len(self.buckets):
            self.expecting = False
            self._finish()

    def _begin(self, bucket: Bucket) -> None:
        if self.comm_hook is None and self.group.size() == 1 and not self.as_views:
            return
        if self.skip_unused and not bucket.expected:
            return
        if gradients := self._in_place(bucket):
            average = distributed.ReduceOp.AVG
            work = distributed.all_reduce_coalesced(gradients, average, group=self.group, async_op=True)
            bucket.finish = partial(_wait, work, None)
            return
        bucket.pack()
        if self.comm_hook is None:
            bucket.buffer.div_(self.divisor())  # before the sum, which may overflow
        self._send(bucket)

    def _in_place(self, bucket: Bucket) -> list[Tensor]:
        """Return the bucket's gradients if they are averaged in place, else []. All ranks make the same decision."""
        first = bucket.parameters[0]
        floats = first.device.type == "cpu" and first.dtype in (flambeau.float32, flambeau.float64)
        if not (self._may_skip_buffers and self.even and self.comm_hook is None and floats):
            return []
        gradients = [parameter.grad for parameter in bucket.parameters if parameter.grad is not None]
        dense = all(not each.is_sparse and each.dtype == first.dtype for each in gradients)
        return gradients if dense and len(gradients) == len(bucket.parameters) else []

    def _send(self, bucket: Bucket) -> None:
        if self.comm_hook is not None:
            bucket.finish = partial(_result, self.comm_hook(bucket.shown()))
            return
        several = self.group.size() > 1
        work = distributed.all_reduce(bucket.buffer, group=self.group, async_op=True) if several else None
        bucket.finish = partial(_wait, work, bucket.buffer)

    def _finish(self) -> None:
        """Wait for all buckets and set the gradients."""
        untouched = self._unused_everywhere()
        for bucket in self.buckets:
            if bucket.finish is not None:
                finish, bucket.finish = bucket.finish, None
                result = finish()
                if result is not None:
                    bucket.unpack(result, untouched, self.as_views)

    def _unused_everywhere(self) -> set[Tensor]:
        """Return the parameters that no process used."""
        if self._unused is None or self.skip_unused or self.group.size() == 1:
            return self._unused or set()
        if not self.static or self._unused_anywhere is None:
            self._unused_anywhere = self._unused_by_all(self._unused)
        return self._unused_anywhere

    def _unused_by_all(self, unused: set[Tensor]) -> set[Tensor]:
        parameters = list(self.names)
        used = flambeau.tensor([float(each not in unused) for each in parameters], device=parameters[0].device)
        distributed.all_reduce(used, group=self.group)
        return {each for each, count in zip(parameters, used.tolist(), strict=True) if not count}

    @flambeau.no_grad()
    def match(self) -> None:
        """Contribute zeros to the averages of a backward pass of other processes, and set the averaged gradients."""
        known = self._unused
        if (self.find_unused or self.static) and not (known is not None and (self.static or self.skip_unused)):
            self._unused = set(self.names)
        for bucket in self.buckets:
            if not self.skip_unused or known is None or not known.issuperset(bucket.parameters):
                bucket.buffer.zero_()
                self._send(bucket)
        self._finish()
        self._unused = known


def _wait(work: Work | None, buffer: Tensor | None) -> Tensor | None:
    if work is not None:
        work.wait()
    return buffer


def _result(future: Any) -> Tensor:
    """Return the tensor of a hook's future."""
    value = future.wait()
    tensor = value[0] if isinstance(value, (list, tuple)) else value
    if not isinstance(tensor, Tensor):
        raise TypeError(f"the future of a communication hook should hold a tensor, got {type(tensor).__name__}")
    return tensor


def leaves_of(outputs: Iterable[Tensor]) -> set[Tensor]:
    """Return the leaves of the autograd graph of the outputs."""
    differentiable = [each for each in outputs if each.requires_grad]
    leaves = {each for each in differentiable if each.grad_fn is None}
    waiting: list[Any] = [each.grad_fn for each in differentiable if each.grad_fn is not None]
    seen = set(waiting)
    while waiting:
        node = waiting.pop()
        below = {each for each, _ in node.next_functions if each is not None} - seen
        if not node.next_functions and node.name() == "torch::autograd::AccumulateGrad":
            leaves.add(node.variable)
        seen |= below
        waiting.extend(below)
    return leaves
