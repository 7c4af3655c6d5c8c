"""What each process has of a tensor that they share."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Partial", "Placement", "Replicate", "Shard"]


class Placement:
    """What the processes along one dimension of a mesh have of a tensor."""

    def is_shard(self, dim: int | None = None) -> bool:
        """Whether they have parts of it along a dimension, or along any."""
        return isinstance(self, Shard) and dim in (None, self.dim)

    def is_replicate(self) -> bool:
        """Whether they all have all of it."""
        return isinstance(self, Replicate)

    def is_partial(self, reduce_op: str | None = None) -> bool:
        """Whether it is what theirs give together, by one operation or by any."""
        return isinstance(self, Partial) and reduce_op in (None, self.reduce_op)


@dataclass(frozen=True)
class Shard(Placement):
    """Each has a part along a dimension: all the same number of rows, but for the last that have any.

    >>> from flambeau.distributed.tensor import Shard
    >>> [Shard.local_shard_size_and_offset(5, 4, rank) for rank in range(4)]
    [(2, 0), (2, 2), (1, 4), (0, 5)]
    """

    dim: int

    @staticmethod
    def local_shard_size_and_offset(curr_local_size: int, num_chunks: int, rank: int) -> tuple[int, int]:
        """How many of ``curr_local_size`` rows a process has, and where they begin."""
        most = -(-curr_local_size // num_chunks)
        offset = min(most * rank, curr_local_size)
        return min(most, curr_local_size - offset), offset


@dataclass(frozen=True)
class Replicate(Placement):
    """Each has all of it."""


@dataclass(frozen=True)
class Partial(Placement):
    """Each has a tensor of its shape; all of them together, by ``reduce_op``, are it."""

    reduce_op: str = "sum"


@dataclass(frozen=True)
class _StridedShard(Shard):
    """Parts of each of ``split_factor`` blocks along a dimension."""

    split_factor: int = 1
