"""Models whose parameters several processes divide among them: what programs configure it by. It is not there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

from flambeau import dtype

__all__ = [
    "CPUOffloadPolicy",
    "FSDPModule",
    "FullyShardedDataParallel",
    "MixedPrecisionPolicy",
    "OffloadPolicy",
    "fully_shard",
]

_NONE = (
    "flambeau divides no model's parameters among processes (FSDP). nn.parallel.DistributedDataParallel and "
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


class FullyShardedDataParallel:
    """A model that is divided: nothing is one. It is there for programs that ask whether something is."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError(_NONE)


class FSDPModule:
    """What ``fully_shard`` would make of a module: nothing is one. It is there for programs that ask."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError(_NONE)


def fully_shard(module: Any, **_: Any) -> NoReturn:
    """Raises: NotImplementedError."""
    raise NotImplementedError(_NONE)
