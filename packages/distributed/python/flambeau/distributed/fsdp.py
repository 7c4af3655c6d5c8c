"""Configuration of fully sharded data parallelism, which is not implemented."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
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
    "lambda_auto_wrap_policy",
    "transformer_auto_wrap_policy",
]

_NONE = (
    "flambeau does not shard parameters over processes (FSDP); nn.parallel.DistributedDataParallel divides the "
    "batches, and distributed.optim.ZeroRedundancyOptimizer the state of the optimizer"
)


@dataclass(frozen=True)
class MixedPrecisionPolicy:
    """Dtypes in which a sharded model computes in PyTorch. flambeau does not use them."""

    param_dtype: dtype | None = None
    reduce_dtype: dtype | None = None
    output_dtype: dtype | None = None
    cast_forward_inputs: bool = True


@dataclass
class OffloadPolicy:
    """Policy that keeps shards on the device where they are used."""


@dataclass
class CPUOffloadPolicy(OffloadPolicy):
    """Policy that keeps shards in CPU memory between uses."""

    pin_memory: bool = True


@dataclass
class CPUOffload:
    """Option to keep the shards of a model in CPU memory between uses."""

    offload_params: bool = False


class ShardingStrategy(enum.Enum):
    """Choice of the data to shard: parameters, gradients and optimizer state, or some of them."""

    FULL_SHARD = enum.auto()
    SHARD_GRAD_OP = enum.auto()
    NO_SHARD = enum.auto()
    HYBRID_SHARD = enum.auto()
    _HYBRID_SHARD_ZERO2 = enum.auto()


class FullyShardedDataParallel:
    """Class of sharded models in PyTorch, for ``isinstance`` checks only. flambeau does not support them."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError(_NONE)


class FSDPModule:
    """Class of modules sharded by PyTorch's ``fully_shard``, for ``isinstance`` checks only."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError(_NONE)


def transformer_auto_wrap_policy(
    module: Any, recurse: bool, nonwrapped_numel: int, transformer_layer_cls: set[type]
) -> bool:
    """Return True if ``recurse`` is True, or if ``module`` is an instance of a class in the set.

    With ``recurse``, the result tells the caller to visit the submodules.
    """
    return recurse or isinstance(module, tuple(transformer_layer_cls))


def lambda_auto_wrap_policy(
    module: Any, recurse: bool, nonwrapped_numel: int, lambda_fn: Callable[[Any], bool]
) -> bool:
    """Return True if ``recurse`` is True, or if ``lambda_fn`` returns True for ``module``.

    With ``recurse``, the result tells the caller to visit the submodules.
    """
    return recurse or lambda_fn(module)


def _or_policy(module: Any, recurse: bool, nonwrapped_numel: int, policies: Iterable[Callable[..., bool]]) -> bool:
    """Return True if one of the policies returns True."""
    return any(policy(module=module, recurse=recurse, nonwrapped_numel=nonwrapped_numel) for policy in policies)


def fully_shard(module: Any, **_: Any) -> NoReturn:
    """Raise NotImplementedError: flambeau does not shard models."""
    raise NotImplementedError(_NONE)
