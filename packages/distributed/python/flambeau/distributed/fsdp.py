"""Configuration of fully sharded data parallelism, which is not implemented."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

from flambeau import dtype

__all__ = [
    "BackwardPrefetch",
    "CPUOffload",
    "CPUOffloadPolicy",
    "FSDPModule",
    "FullyShardedDataParallel",
    "MixedPrecisionPolicy",
    "OffloadPolicy",
    "ShardingStrategy",
    "StateDictType",
    "fully_shard",
    "lambda_auto_wrap_policy",
    "transformer_auto_wrap_policy",
]

_NONE = (
    "flambeau does not shard parameters over processes (FSDP); nn.parallel.DistributedDataParallel divides the "
    "batches, and distributed.optim.ZeroRedundancyOptimizer the state of the optimizer"
)


@dataclass(frozen=True)
class MixedPrecisionPolicy:
    """Dtypes in which a sharded model computes in PyTorch. flambeau does not use them.

    >>> from flambeau.distributed.fsdp import MixedPrecisionPolicy
    >>> MixedPrecisionPolicy(param_dtype=fb.bfloat16).param_dtype
    flambeau.bfloat16
    """

    param_dtype: dtype | None = None
    reduce_dtype: dtype | None = None
    output_dtype: dtype | None = None
    cast_forward_inputs: bool = True


@dataclass
class OffloadPolicy:
    """Policy that keeps shards on the device where they are used.

    >>> from flambeau.distributed.fsdp import CPUOffloadPolicy, OffloadPolicy
    >>> isinstance(CPUOffloadPolicy(), OffloadPolicy)
    True
    """


@dataclass
class CPUOffloadPolicy(OffloadPolicy):
    """Policy that keeps shards in CPU memory between uses.

    >>> from flambeau.distributed.fsdp import CPUOffloadPolicy
    >>> CPUOffloadPolicy(pin_memory=False)
    CPUOffloadPolicy(pin_memory=False)
    """

    pin_memory: bool = True


@dataclass
class CPUOffload:
    """Option to keep the shards of a model in CPU memory between uses.

    >>> from flambeau.distributed.fsdp import CPUOffload
    >>> CPUOffload(offload_params=True)
    CPUOffload(offload_params=True)
    """

    offload_params: bool = False


class ShardingStrategy(enum.Enum):
    """Choice of the data to shard: parameters, gradients and optimizer state, or some of them.

    >>> from flambeau.distributed.fsdp import ShardingStrategy
    >>> ShardingStrategy["NO_SHARD"] is ShardingStrategy.NO_SHARD
    True
    """

    FULL_SHARD = enum.auto()
    SHARD_GRAD_OP = enum.auto()
    NO_SHARD = enum.auto()
    HYBRID_SHARD = enum.auto()
    _HYBRID_SHARD_ZERO2 = enum.auto()


class BackwardPrefetch(enum.Enum):
    """Choice of the time to collect the parameters of the next layer. See `ShardingStrategy`."""

    BACKWARD_PRE = enum.auto()
    BACKWARD_POST = enum.auto()


class StateDictType(enum.Enum):
    """Choice of the tensors in the state of a sharded model. See `ShardingStrategy`."""

    FULL_STATE_DICT = enum.auto()
    LOCAL_STATE_DICT = enum.auto()
    SHARDED_STATE_DICT = enum.auto()


class FullyShardedDataParallel:
    """Class of sharded models in PyTorch, for ``isinstance`` checks only. flambeau does not support them.

    >>> from flambeau.distributed.fsdp import FullyShardedDataParallel
    >>> isinstance(fb.nn.Linear(2, 3), FullyShardedDataParallel)
    False
    """

    def __init__(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError(_NONE)


class FSDPModule:
    """Class of modules sharded by PyTorch's ``fully_shard``, for ``isinstance`` checks only.

    >>> from flambeau.distributed.fsdp import FSDPModule
    >>> isinstance(fb.nn.Linear(2, 3), FSDPModule)
    False
    """

    def __init__(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError(_NONE)


class _FSDPState(FSDPModule):
    """Class of the states of sharded modules, for ``isinstance`` checks only."""


def _get_module_state(module: Any) -> None:
    """Return None: no module is sharded."""


def transformer_auto_wrap_policy(
    module: Any, recurse: bool, nonwrapped_numel: int, transformer_layer_cls: set[type]
) -> bool:
    """Return True if ``recurse`` is True, or if ``module`` is an instance of a class in the set.

    With ``recurse``, the result tells the caller to visit the submodules.

    >>> from flambeau.distributed.fsdp import transformer_auto_wrap_policy
    >>> transformer_auto_wrap_policy(fb.nn.Linear(2, 3), False, 9, transformer_layer_cls={fb.nn.Linear})
    True
    """
    return recurse or isinstance(module, tuple(transformer_layer_cls))


def lambda_auto_wrap_policy(
    module: Any, recurse: bool, nonwrapped_numel: int, lambda_fn: Callable[[Any], bool]
) -> bool:
    """Return True if ``recurse`` is True, or if ``lambda_fn`` returns True for ``module``.

    With ``recurse``, the result tells the caller to visit the submodules.

    >>> from flambeau.distributed.fsdp import lambda_auto_wrap_policy
    >>> lambda_auto_wrap_policy(fb.nn.Linear(2, 3), False, 9, lambda_fn=lambda module: module.in_features > 2)
    False
    """
    return recurse or lambda_fn(module)


def _or_policy(module: Any, recurse: bool, nonwrapped_numel: int, policies: Iterable[Callable[..., bool]]) -> bool:
    """Return True if one of the policies returns True."""
    return any(policy(module=module, recurse=recurse, nonwrapped_numel=nonwrapped_numel) for policy in policies)


def fully_shard(module: Any, **_: Any) -> NoReturn:
    """Raise NotImplementedError: flambeau does not shard models.

    Use data parallelism without sharding. See `nn.parallel.DistributedDataParallel`.
    """
    raise NotImplementedError(_NONE)
