"""Sampler that assigns a shard of a dataset to each process."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sized

import numpy as np

from . import _tensors
from .sampler import Sampler, check_positive

_NEEDS_BOTH = (
    "DistributedSampler needs num_replicas=... (the number of processes) and rank=... (the index of this process), "
    "because no process group is initialized"
)


def process_rank() -> tuple[int, int] | None:
    """Return the number of processes and the rank of this process, or None if no process group is initialized."""
    distributed = sys.modules.get("flambeau.distributed")  # a program that has not imported it has no group
    if distributed is None or not distributed.is_initialized():
        return None
    return distributed.get_world_size(), distributed.get_rank()


class DistributedSampler(Sampler[int]):
    """Sampler that yields the indices of the shard of one process.

    All processes draw the same order of indices from ``seed`` and the epoch. The shard of process ``rank`` consists of
    the positions ``rank``, ``rank + num_replicas``, ``rank + 2 * num_replicas``, ... of this order. All shards have the
    same length: if necessary, indices from the beginning are appended to the order, or the order is truncated.

    Args:
        dataset: an object with a length.
        num_replicas: number of processes (default: the size of the default process group).
        rank: index of this process, starting at 0 (default: its rank in the default process group).
        shuffle: if True, use a random order. Call :meth:`set_epoch` before each epoch to change the order.
        seed: seed of the order. It must be the same in all processes.
        drop_last: if True, truncate the order to a multiple of ``num_replicas`` instead of padding it.
    Raises:
        RuntimeError: if ``num_replicas`` or ``rank`` is missing and ``flambeau.distributed`` is not initialized.
        ValueError: if ``rank`` is not in ``[0, num_replicas)``.

    >>> list(DistributedSampler("abcde", num_replicas=2, rank=1, shuffle=False))
    [1, 3, 0]
    """

    def __init__(
        self,
        dataset: Sized,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        if num_replicas is None or rank is None:
            if (size_and_rank := process_rank()) is None:
                raise RuntimeError(_NEEDS_BOTH)
            size, own_rank = size_and_rank
            num_replicas, rank = size if num_replicas is None else num_replicas, own_rank if rank is None else rank
        check_positive("num_replicas", num_replicas)
        if not 0 <= rank < num_replicas:
            raise ValueError(f"Invalid rank {rank}, rank should be in the interval [0, {num_replicas - 1}]")
        self.dataset = dataset
        self.num_replicas = num_replicas
        self.rank = rank
        self.epoch = 0
        self.shuffle = shuffle
        self.seed = seed
        self.drop_last = drop_last
        length = len(dataset)
        self.num_samples = length // num_replicas if drop_last else -(-length // num_replicas)  # length of one shard
        self.total_size = self.num_samples * num_replicas

    def __iter__(self) -> Iterator[int]:
        size = len(self.dataset)
        order = np.arange(size)
        if self.shuffle and _tensors.draws_as_pytorch():
            order = _tensors.PyTorchDraws.seeded(self.seed + self.epoch).permutation(size)
        elif self.shuffle:
            order = np.random.default_rng([self.seed, self.epoch]).permutation(size)
        everyone = order[: self.total_size] if self.drop_last else np.resize(order, self.total_size)
        return iter(everyone[self.rank :: self.num_replicas].tolist())

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, which selects the order of the next pass."""
        self.epoch = epoch
