"""Models whose parameters several processes divide among them: what programs configure it by. It is not there."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, NoReturn

from flambeau import dtype

__all__ = [
    "CPUOffload",
    "CPUOffloadPolicy",
    "FSDPModule",
    "FullyShardedDataParallel",
    "MixedPrecisionPolicy",
    "OffloadPolicy",
    "ShardingStrategy",
    "fully_shard",
    "transformer_auto_wrap_policy",
]

_NONE = (
    "flambeau divides no model's parameters among processes (FSDP); nn.parallel.DistributedDataParallel and "
    "distributed.optim.ZeroRedundancyOptimizer divide a training's work and state"
)


@dataclass(frozen=True)
class MixedPrecisionPolicy:
    """The dtypes that a divided model would compute in."""

    param_dtype: dtype | None = None
    reduce_dtype: dtype | None = None
    output_dtype: dtype | None = None
    cast_forward_inputs: bool = True


@dataclass
class OffloadPolicy:
    """Parts stay where they are computed with."""


@dataclass
class CPUOffloadPolicy(OffloadPolicy):
    """Parts would be in the memory of the CPU between their uses."""

    pin_memory: bool = True


@dataclass
class CPUOffload:
    """Whether the parts of a divided model would be in the memory of the CPU between their uses."""

    offload_params: bool = False


class ShardingStrategy(enum.Enum):
    """What of a model would be divided: parameters, gradients and states of optimizers, or less of them."""

    FULL_SHARD = enum.auto()
    SHARD_GRAD_OP = enum.auto()
    NO_SHARD = enum.auto()
    HYBRID_SHARD = enum.auto()
    _HYBRID_SHARD_ZERO2 = enum.auto()


class FullyShardedDataParallel:
    """A model that is divided: nothing is one. It is there for programs that ask whether something is."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError(_NONE)


class FSDPModule:
    """What ``fully_shard`` would make of a module: nothing is one. It is there for programs that ask."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError(_NONE)


def transformer_auto_wrap_policy(
    module: Any, recurse: bool, nonwrapped_numel: int, transformer_layer_cls: set[type]
) -> bool:
    """Whether to look into a module, or (``recurse=False``) whether it is of the classes that are divided whole."""
    return recurse or isinstance(module, tuple(transformer_layer_cls))


def fully_shard(module: Any, **_: Any) -> NoReturn:
    """Raises: NotImplementedError."""
    raise NotImplementedError(_NONE)
