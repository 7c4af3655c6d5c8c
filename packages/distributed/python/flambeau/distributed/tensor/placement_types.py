"""Placements: how a tensor is distributed over processes."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Partial", "Placement", "Replicate", "Shard"]


class Placement:
    """Base class of the ways to distribute a tensor along one dimension of a mesh.

    >>> from flambeau.distributed.tensor import Partial, Replicate, Shard
    >>> [placement.is_shard(0) for placement in (Shard(0), Shard(1), Replicate(), Partial())]
    [True, False, False, False]
    """

    def is_shard(self, dim: int | None = None) -> bool:
        """Return True if the tensor is sharded along ``dim``, or along any dimension if ``dim`` is None."""
        return isinstance(self, Shard) and dim in (None, self.dim)

    def is_replicate(self) -> bool:
        """Return True if every process holds the whole tensor."""
        return isinstance(self, Replicate)

    def is_partial(self, reduce_op: str | None = None) -> bool:
        """Return True if processes have partial results of the reduction ``reduce_op`` (None: of any reduction)."""
        return isinstance(self, Partial) and reduce_op in (None, self.reduce_op)


@dataclass(frozen=True)
class Shard(Placement):
    """Placement that shards a tensor along a dimension. All shards have the same size except the last ones.

    >>> from flambeau.distributed.tensor import Shard
    >>> [Shard.local_shard_size_and_offset(5, 4, rank) for rank in range(4)]
    [(2, 0), (2, 2), (1, 4), (0, 5)]
    """

    dim: int

    @staticmethod
    def local_shard_size_and_offset(curr_local_size: int, num_chunks: int, rank: int) -> tuple[int, int]:
        """Return the number of rows in the shard of ``rank``, and the index of its first row."""
        most = -(-curr_local_size // num_chunks)
        offset = min(most * rank, curr_local_size)
        return min(most, curr_local_size - offset), offset


@dataclass(frozen=True)
class Replicate(Placement):
    """Placement that stores the whole tensor in every process.

    >>> from flambeau.distributed.tensor import Replicate
    >>> Replicate().is_replicate(), Replicate().is_shard()
    (True, False)
    """


@dataclass(frozen=True)
class Partial(Placement):
    """Placement with a partial result in each process. Their reduction by ``reduce_op`` is the tensor.

    >>> from flambeau.distributed.tensor import Partial
    >>> Partial(), Partial("avg").is_partial("sum")
    (Partial(reduce_op='sum'), False)
    """

    reduce_op: str = "sum"


@dataclass(frozen=True)
class _StridedShard(Shard):
    """Placement that splits a dimension into ``split_factor`` blocks and shards each block."""

    split_factor: int = 1
