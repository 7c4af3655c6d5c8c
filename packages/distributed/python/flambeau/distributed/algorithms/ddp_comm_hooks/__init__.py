"""Hooks for `DistributedDataParallel.register_comm_hook`, which average gradients in half precision or compressed."""

from __future__ import annotations

import enum
from typing import Any

from flambeau import _public_names

from . import default_hooks, powerSGD_hook

__all__ = ["DDPCommHookType", "register_ddp_comm_hook"]


class DDPCommHookType(enum.Enum):
    """Hooks that `register_ddp_comm_hook` can register.

    >>> from flambeau.distributed.algorithms.ddp_comm_hooks import DDPCommHookType
    >>> DDPCommHookType["FP16_COMPRESS"]
    <DDPCommHookType.FP16_COMPRESS: 'fp16'>
    """

    ALLREDUCE = "allreduce"
    FP16_COMPRESS = "fp16"
    BF16_COMPRESS = "bf16"
    POWER_SGD = "PowerSGD"
    POWER_SGD_RANK2 = "PowerSGD with two columns"


_HOOKS: dict[DDPCommHookType, Any] = {
    DDPCommHookType.ALLREDUCE: default_hooks.allreduce_hook,
    DDPCommHookType.FP16_COMPRESS: default_hooks.fp16_compress_hook,
    DDPCommHookType.BF16_COMPRESS: default_hooks.bf16_compress_hook,
}


def register_ddp_comm_hook(comm_hook_type: DDPCommHookType, model: Any, state: Any = None) -> None:
    """Register one of the hooks of this package with a `DistributedDataParallel`.

    Args:
        comm_hook_type: the hook.
        model: the `DistributedDataParallel` module.
        state: process group over which the hook averages; None for all processes.

    >>> from flambeau.distributed.algorithms.ddp_comm_hooks import DDPCommHookType, register_ddp_comm_hook
    >>> model = fb.nn.parallel.DistributedDataParallel(fb.nn.Linear(1, 1))  # a group of one process
    >>> register_ddp_comm_hook(DDPCommHookType.FP16_COMPRESS, model)
    >>> model(fb.tensor([[2049.0]])).backward()
    >>> model.module.weight.grad  # rounded to float16
    tensor([[2048.]])
    """
    if comm_hook_type in _HOOKS:
        model.register_comm_hook(state, _HOOKS[comm_hook_type])
        return
    columns = 2 if comm_hook_type is DDPCommHookType.POWER_SGD_RANK2 else 1
    model.register_comm_hook(powerSGD_hook.PowerSGDState(state, columns), powerSGD_hook.powerSGD_hook)


def __dir__() -> list[str]:
    return _public_names.public_names(globals(), __all__)
