"""Hooks that average gradients, also in half precision, which halves what travels."""

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


def _averaged(group: ProcessGroup | None, tensor: Tensor) -> Future[Tensor]:
    """The mean of the processes' tensors, in place."""
    found = member(group)
    if found is None:
        raise ValueError("this process does not belong to the group of the hook")
    tensor.div_(found.size())  # before the sum, which may overflow
    work = distributed.all_reduce(tensor, group=found, async_op=True)
    assert work is not None  # as this process belongs to the group
    return work.get_future().then(lambda done: done.value()[0])


def allreduce_hook(process_group: ProcessGroup | None, bucket: GradBucket) -> Future[Tensor]:
    """What is done without a hook: the mean over a group, None for all processes.

    >>> flat = fb.arange(3.0)
    >>> bucket = flambeau.distributed.GradBucket(0, flat, [flat], [], True)
    >>> from flambeau.distributed.algorithms.ddp_comm_hooks import default_hooks
    >>> default_hooks.allreduce_hook(None, bucket).wait()  # of one process
    tensor([0., 1., 2.])
    """
    return _averaged(process_group, bucket.buffer())


def _compressed(dtype: flambeau.dtype, group: ProcessGroup | None, bucket: GradBucket) -> Future[Tensor]:
    buffer = bucket.buffer()
    return _averaged(group, buffer.to(dtype)).then(lambda done: buffer.copy_(done.value()))


def fp16_compress_hook(process_group: ProcessGroup | None, bucket: GradBucket) -> Future[Tensor]:
    """The mean, computed and sent in float16."""
    return _compressed(flambeau.float16, process_group, bucket)


def bf16_compress_hook(process_group: ProcessGroup | None, bucket: GradBucket) -> Future[Tensor]:
    """The mean, computed and sent in bfloat16."""
    return _compressed(flambeau.bfloat16, process_group, bucket)


def _compressing(dtype: flambeau.dtype, hook: Hook) -> Hook:
    def compressing_hook(hook_state: Any, bucket: GradBucket) -> Future[Tensor]:
        buffer = bucket.buffer()
        bucket.set_buffer(buffer.to(dtype))
        return hook(hook_state, bucket).then(lambda done: buffer.copy_(done.value()))

    return compressing_hook


def fp16_compress_wrapper(hook: Hook) -> Hook:
    """A hook that is given each bucket in float16, and whose results become of the parameters' dtype again."""
    return _compressing(flambeau.float16, hook)


def bf16_compress_wrapper(hook: Hook) -> Hook:
    """A hook that is given each bucket in bfloat16, and whose results become of the parameters' dtype again."""
    return _compressing(flambeau.bfloat16, hook)
