"""Checks of the arguments of collectives before anything is sent."""

from __future__ import annotations

import enum
import functools
import inspect
import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import flambeau
from flambeau import Tensor

from .groups import ProcessGroup, get_global_rank, get_group_rank, get_rank, member
from .reduce_op import ReduceOp

__all__ = [
    "DebugLevel",
    "check_same_call",
    "among_members",
    "check_list",
    "check_operation",
    "check_tensor",
    "get_debug_level",
    "resolve_group_rank",
    "set_debug_level",
    "set_debug_level_from_env",
]

F = TypeVar("F", bound=Callable[..., Any])

_DESCRIBED = 240  # size in bytes of the description of a call that `check_same_call` exchanges


class DebugLevel(enum.IntEnum):
    """Level of checks; with ``DETAIL``, each collective compares the calls of all processes of the group.

    >>> flambeau.distributed.DebugLevel["DETAIL"] > flambeau.distributed.DebugLevel.INFO
    True
    """

    OFF = 0
    INFO = 1
    DETAIL = 2


_level = DebugLevel.OFF


def get_debug_level() -> DebugLevel:
    """Return the level of checks of collectives.

    >>> before = flambeau.distributed.get_debug_level()
    >>> flambeau.distributed.set_debug_level(flambeau.distributed.DebugLevel.INFO)
    >>> flambeau.distributed.get_debug_level()
    <DebugLevel.INFO: 1>
    >>> flambeau.distributed.set_debug_level(before)
    """
    return _level


def set_debug_level(level: DebugLevel) -> None:
    """Set the level of checks of collectives, which must be the same in all processes.

    >>> flambeau.distributed.set_debug_level(flambeau.distributed.DebugLevel.DETAIL)
    >>> flambeau.distributed.get_debug_level().name
    'DETAIL'
    >>> flambeau.distributed.set_debug_level(flambeau.distributed.DebugLevel.OFF)
    """
    global _level
    _level = DebugLevel(level)


def set_debug_level_from_env() -> None:
    """Set the level of checks from the environment variable TORCH_DISTRIBUTED_DEBUG, as importing this module does.

    See `set_debug_level`.
    """
    name = os.environ.get("TORCH_DISTRIBUTED_DEBUG", "OFF").upper()
    if name not in DebugLevel.__members__:
        raise RuntimeError(f"TORCH_DISTRIBUTED_DEBUG should be OFF, INFO or DETAIL, got {name!r}")
    set_debug_level(DebugLevel[name])


set_debug_level_from_env()


def among_members(function: F) -> F:
    """Decorate a function to receive ``group`` as a `ProcessGroup`. Outside the group, calls warn and return None."""
    name, position = function.__name__, list(inspect.signature(function).parameters).index("group")

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        own_group = member(args[position] if len(args) > position else kwargs.get("group"))
        if own_group is None:
            text = f"Running {name} on global rank {get_rank()} which does not belong to the given group."
            return warnings.warn(text, stacklevel=2)
        if len(args) > position:
            return function(*args[:position], own_group, *args[position + 1 :], **kwargs)
        return function(*args, **{**kwargs, "group": own_group})

    return call  # type: ignore[return-value]


def check_tensor(call: str, name: str, value: Any) -> Tensor:
    """Return ``value``, which must be a tensor. Raises: TypeError for other types."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{call}: {name} should be a tensor, got {type(value).__name__}")
    return value


def check_list(call: str, name: str, given: Any, size: int, like: Tensor | None) -> list[Tensor]:
    """Check a list of one tensor per process, and return it.

    Args:
        call, name: the function and its argument, for messages.
        size: number of processes.
        like: a tensor. All tensors in the list must have its dtype and number of elements. None: any tensors.
    Raises: TypeError, ValueError for other lists.
    """
    if isinstance(given, Tensor) or not isinstance(given, Sequence):
        raise TypeError(f"{call}: {name} should be a list of tensors, one for each process, got {type(given).__name__}")
    if len(given) != size:
        raise ValueError(f"{call}: {name} should have a tensor for each of {size} processes, got {len(given)}")
    for tensor in given:
        check_tensor(call, f"each of {name}", tensor)
        if like is not None and (tensor.numel(), tensor.dtype) != (like.numel(), like.dtype):
            raise ValueError(
                f"{call}: each of {name} should have {like.numel()} elements of {like.dtype}, like the tensor of shape "
                f"{list(like.shape)}, got shape {list(tensor.shape)} of {tensor.dtype}"
            )
    return list(given)


def check_operation(call: str, op: Any, dtype: flambeau.dtype) -> None:
    """Raise TypeError unless ``op`` is a `ReduceOp`, ValueError if it does not support the dtype."""
    if not isinstance(op, ReduceOp):
        raise TypeError(f"{call}: op should be a ReduceOp, such as ReduceOp.SUM, got {op!r}")
    inexact = dtype.is_floating_point or dtype.is_complex
    if op in (ReduceOp.BAND, ReduceOp.BOR, ReduceOp.BXOR):
        fits = not inexact
    elif op is ReduceOp.AVG:
        fits = inexact
    else:
        fits = not (dtype.is_complex and op in (ReduceOp.MIN, ReduceOp.MAX))
    if not fits:
        raise ValueError(f"{call} does not support ReduceOp.{op.name} for tensors of {dtype}")


def resolve_group_rank(
    call: str, name: str, group: Any, rank: int | None, group_rank: int | None, default: int | None = None
) -> int:
    """Return the rank within the group of a process, given its global rank or its rank within the group.

    Args:
        call, name: the function and its argument, for messages.
        rank: global rank, or None.
        group_rank: rank within the group, or None.
        default: rank within the group to return if both are None.
    Raises: ValueError if both or neither are given, or for an invalid rank; TypeError for other types.
    """
    if rank is not None and group_rank is not None:
        raise ValueError(f"{call}: pass either {name} or group_{name}, got both")
    if group_rank is not None:
        get_global_rank(group, group_rank)  # an invalid rank raises an error
        return group_rank
    if rank is None:
        if default is None:
            raise ValueError(f"{call}: pass a rank as {name} or group_{name}, got neither")
        return default
    if isinstance(rank, bool) or not isinstance(rank, int):
        raise TypeError(f"{call}: {name} should be a rank (an int), got {type(rank).__name__}")
    return get_group_rank(group, rank)


def check_same_call(group: ProcessGroup, call: str, *arguments: Any) -> None:
    """Check that all processes of a group make the same call, if the level is `DebugLevel.DETAIL`.

    Args:
        call: name of the function.
        arguments: arguments that must be the same in all processes.
    Raises: RuntimeError, in all processes, that lists the calls.
    """
    if _level < DebugLevel.DETAIL:
        return
    shown = [f"{list(each.shape)} of {each.dtype}" if isinstance(each, Tensor) else str(each) for each in arguments]
    text = f"{call}({', '.join(shown)})".encode()[:_DESCRIBED].ljust(_DESCRIBED)
    transport = next(iter(group.transports.values()))
    encoded = flambeau.tensor(list(text), dtype=flambeau.uint8, device=transport.device)
    everyone = encoded.new_empty(group.size() * _DESCRIBED)
    transport.all_gather(everyone, encoded).wait()
    calls = [bytes(each.tolist()).decode().rstrip() for each in everyone.view(-1, _DESCRIBED)]
    if len(set(calls)) > 1:
        ranks = zip(group.ranks, calls, strict=True)
        raise RuntimeError(
            "Detected mismatch between collectives on ranks: "
            + "; ".join(f"rank {rank} calls {each}" for rank, each in ranks)
        )
