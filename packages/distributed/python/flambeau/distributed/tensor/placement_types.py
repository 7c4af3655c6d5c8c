"""Placements: how a tensor is distributed over processes."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Partial", "Placement", "Replicate", "Shard"]


class Placement:
    """Base class of the ways to distribute a tensor along one dimension of a mesh."""

    def is_shard(self, dim: int | None = None) -> bool:
        """Return whether the tensor is sharded along ``dim``, or along any dimension if it is None."""
        return isinstance(self, Shard) and dim in (None, self.dim)

    def is_replicate(self) -> bool:
        """Return whether every process holds the whole tensor."""
        return isinstance(self, Replicate)

    def is_partial(self, reduce_op: str | None = None) -> bool:
        """Return whether the tensor is the reduction of those of the processes, by ``reduce_op`` or any operation."""
        return isinstance(self, Partial) and reduce_op in (None, self.reduce_op)


@dataclass(frozen=True)
class Shard(Placement):
    """Shards along a dimension, all with the same number of rows except the last ones.

    >>> from flambeau.distributed.tensor import Shard
    >>> [Shard.local_shard_size_and_offset(5, 4, rank) for rank in range(4)]
    [(2, 0), (2, 2), (1, 4), (0, 5)]
    """

    dim: int

    @staticmethod
    def local_shard_size_and_offset(curr_local_size: int, num_chunks: int, rank: int) -> tuple[int, int]:
        """Return how many of ``curr_local_size`` rows a process holds, and the index of the first."""
        most = -(-curr_local_size // num_chunks)
        offset = min(most * rank, curr_local_size)
        return min(most, curr_local_size - offset), offset


@dataclass(frozen=True)
class Replicate(Placement):
    """The whole tensor on every process."""


@dataclass(frozen=True)
class Partial(Placement):
    """Tensors of the full shape, whose reduction by ``reduce_op`` is the tensor."""

    reduce_op: str = "sum"


@dataclass(frozen=True)
class _StridedShard(Shard):
    """Shards of each of ``split_factor`` blocks along a dimension."""

    split_factor: int = 1
