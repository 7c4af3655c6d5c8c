"""Check that processes have the same model."""

from __future__ import annotations

from collections.abc import Sequence

from flambeau import Tensor, distributed
from flambeau.distributed.groups import ProcessGroup

__all__ = ["check_same_parameters"]

_OTHER_NUMBER = (
    "DistributedDataParallel expects same model across all ranks, but Rank {first} has {one} params, while rank {rank} "
    "has inconsistent {other} params: {names}"
)
_OTHER_SHAPE = (
    "DistributedDataParallel expects same model across all ranks: params[{number}] ({name!r} of shape {shape} and "
    "{dtype}) in process {rank} appears not to match that in process {first} ({first_name!r} of shape "
    "{first_shape} and {first_dtype})"
)

Described = list[tuple[str, tuple[int, ...], str]]


def check_same_parameters(named: Sequence[tuple[str, Tensor]], group: ProcessGroup) -> None:
    """Check that a model's parameters have the same shapes and dtypes in all processes.

    Raises: RuntimeError, in all processes, that names the first different parameter.
    """
    described: Described = [(name, tuple(tensor.shape), str(tensor.dtype)) for name, tensor in named]
    everyone: list[Described] = [[] for _ in range(group.size())]
    distributed.all_gather_object(everyone, described, group)
    for rank, other in zip(group.ranks[1:], everyone[1:], strict=True):
        _compare(group.ranks[0], everyone[0], rank, other)


def _compare(first: int, expected: Described, rank: int, actual: Described) -> None:
    """Raise RuntimeError if the parameters of ``rank`` do not match those of the process ``first``."""
    if len(actual) != len(expected):
        names = sorted({name for name, *_ in actual} ^ {name for name, *_ in expected})
        raise RuntimeError(
            _OTHER_NUMBER.format(
                first=first,
                one=len(expected),
                rank=rank,
                other=len(actual),
                names=", ".join(map(repr, names)) or "repeated names",
            )
        )
    for number, (one, other) in enumerate(zip(expected, actual, strict=True)):
        if one[1:] != other[1:]:
            there = {"first": first, "first_name": one[0], "first_shape": list(one[1]), "first_dtype": one[2]}
            here = {"rank": rank, "name": other[0], "shape": list(other[1]), "dtype": other[2]}
            raise RuntimeError(_OTHER_SHAPE.format(number=number, **there, **here))
