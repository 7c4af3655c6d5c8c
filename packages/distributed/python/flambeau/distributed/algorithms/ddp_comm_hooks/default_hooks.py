"""Hooks that average gradients, optionally in half precision, which halves the number of bytes sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flambeau
from flambeau import Tensor, distributed
from flambeau.distributed import GradBucket
from flambeau.distributed.groups import ProcessGroup, member
from flambeau.futures import Future

__all__ = [
    "allreduce_hook",
    "bf16_compress_hook",
    "bf16_compress_wrapper",
    "fp16_compress_hook",
    "fp16_compress_wrapper",
]

Hook = Callable[[Any, GradBucket], Future[Tensor]]


def _average(group: ProcessGroup | None, tensor: Tensor) -> Future[Tensor]:
    """Average a tensor over the processes in place."""
    own_group = member(group)
    if own_group is None:
        raise ValueError("communication hook: this process does not belong to the process group of the hook")
    tensor.div_(own_group.size())  # before the sum, which may overflow
    work = distributed.all_reduce(tensor, group=own_group, async_op=True)
    assert work is not None  # because this process belongs to the group
    return work.get_future().then(lambda done: done.value()[0])


def allreduce_hook(process_group: ProcessGroup | None, bucket: GradBucket) -> Future[Tensor]:
    """Average the gradients over a group (None: all processes), as `DistributedDataParallel` does without a hook.

    >>> flat = fb.arange(3.0)
    >>> bucket = flambeau.distributed.GradBucket(0, flat, [flat], [], True)
    >>> from flambeau.distributed.algorithms.ddp_comm_hooks import default_hooks
    >>> default_hooks.allreduce_hook(None, bucket).wait()  # a group of one process
    tensor([0., 1., 2.])
    """
    return _average(process_group, bucket.buffer())


def _compress_and_average(dtype: flambeau.dtype, group: ProcessGroup | None, bucket: GradBucket) -> Future[Tensor]:
    buffer = bucket.buffer()
    return _average(group, buffer.to(dtype)).then(lambda done: buffer.copy_(done.value()))


def fp16_compress_hook(process_group: ProcessGroup | None, bucket: GradBucket) -> Future[Tensor]:
    """Average the gradients in float16, over ``process_group`` (None: all processes).

    >>> flat = fb.tensor([2049.0])
    >>> bucket = flambeau.distributed.GradBucket(0, flat, [flat], [], True)
    >>> from flambeau.distributed.algorithms.ddp_comm_hooks import default_hooks
    >>> default_hooks.fp16_compress_hook(None, bucket).wait()  # a group of one process
    tensor([2048.])
    """
    return _compress_and_average(flambeau.float16, process_group, bucket)


def bf16_compress_hook(process_group: ProcessGroup | None, bucket: GradBucket) -> Future[Tensor]:
    """Average the gradients in bfloat16, over ``process_group`` (None: all processes). See `fp16_compress_hook`."""
    return _compress_and_average(flambeau.bfloat16, process_group, bucket)


def _with_compression(dtype: flambeau.dtype, hook: Hook) -> Hook:
    def compressing_hook(hook_state: Any, bucket: GradBucket) -> Future[Tensor]:
        buffer = bucket.buffer()
        bucket.set_buffer(buffer.to(dtype))
        return hook(hook_state, bucket).then(lambda done: buffer.copy_(done.value()))

    return compressing_hook


def fp16_compress_wrapper(hook: Hook) -> Hook:
    """Return a hook that converts buckets to float16 for ``hook``, and its results back to the parameters' dtype.

    >>> flat = fb.tensor([2049.0])
    >>> bucket = flambeau.distributed.GradBucket(0, flat, [flat], [], True)
    >>> from flambeau.distributed.algorithms.ddp_comm_hooks import default_hooks
    >>> hook = default_hooks.fp16_compress_wrapper(default_hooks.allreduce_hook)
    >>> hook(None, bucket).wait()  # a group of one process
    tensor([2048.])
    """
    return _with_compression(flambeau.float16, hook)


def bf16_compress_wrapper(hook: Hook) -> Hook:
    """Return a hook that converts buckets to bfloat16 for ``hook``, and its results back to the parameters' dtype.

    See `fp16_compress_wrapper`.
    """
    return _with_compression(flambeau.bfloat16, hook)
