"""Every process of several reads a share of a dataset."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sized

import numpy as np

from . import _tensors
from .sampler import Sampler, check_positive

_NEEDS_BOTH = (
    "DistributedSampler needs num_replicas=... (how many processes there are) and rank=... (which of them this is): "
    "there is no process group to ask"
)


def process_rank() -> tuple[int, int] | None:
    """Return how many processes there are and which of them this is; None without a process group."""
    distributed = sys.modules.get("flambeau.distributed")  # who has made a group has loaded it
    if distributed is None or not distributed.is_initialized():
        return None
    return distributed.get_world_size(), distributed.get_rank()


class DistributedSampler(Sampler[int]):
    """The share of one of several processes in one order of all indices.

    All processes draw the same order, from ``seed`` and the epoch; process ``rank`` reads its positions ``rank``,
    ``rank + num_replicas``, ... So all shares are of one length: the order is filled up from its beginning, or cut.

    Args:
        dataset: what has the length.
        num_replicas: how many processes there are; by default as many as the group of all processes has.
        rank: which of them this is, from 0; by default its rank in that group.
        shuffle: whether the order is a random one; call :meth:`set_epoch` before each epoch for another.
        seed: what decides it, the same in all processes.
        drop_last: cut the order to a multiple of ``num_replicas`` instead of filling it up.
    Raises:
        RuntimeError: without ``num_replicas`` or ``rank`` where ``flambeau.distributed`` has made no group.
        ValueError: for a ``rank`` that is not one of ``num_replicas``.

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
            if (place := process_rank()) is None:
                raise RuntimeError(_NEEDS_BOTH)
            size, own = place
            num_replicas, rank = size if num_replicas is None else num_replicas, own if rank is None else rank
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

    @property
    def num_samples(self) -> int:
        """The length of the share."""
        size = len(self.dataset)
        return size // self.num_replicas if self.drop_last else -(-size // self.num_replicas)

    @property
    def total_size(self) -> int:
        """The length of all shares."""
        return self.num_samples * self.num_replicas

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
        """Choose the order of this epoch."""
        self.epoch = epoch
