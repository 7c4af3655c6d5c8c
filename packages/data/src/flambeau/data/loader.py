"""The DataLoader: a dataset, an order and a way to stack, as an iterable of batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from . import _random
from .collate import default_collate, default_convert
from .dataset import IterableDataset, fetch_many
from .sampler import BatchSampler, RandomSampler, SequentialSampler, batch_count, batched, check_positive

_EXCLUDES = "DataLoader: {option} and {other} exclude each other, because {reason}"


T_co = TypeVar("T_co", covariant=True)


class DataLoader(Generic[T_co]):
    """Batches of a dataset, in one process.

    Each ``iter(loader)`` is a pass over the dataset; shuffling draws a different order for each. The order is decided
    by ``generator`` alone: two loaders given the same seed yield the same batches.

    Args:
        dataset: anything with ``__getitem__`` and ``__len__``, or an IterableDataset.
        batch_size: samples per batch; None yields the samples one by one, not stacked.
        shuffle: read in random order.
        sampler: an iterable of indices, instead of ``shuffle``.
        batch_sampler: an iterable of lists of indices, instead of ``batch_size``, ``shuffle``, ``sampler`` and
            ``drop_last``.
        num_workers: 0; samples are read in the calling process.
        collate_fn: makes a batch from a list of samples; :func:`default_collate` if None
            (:func:`default_convert`, of one sample, where ``batch_size`` is None).
        drop_last: leave out a last batch that is not full.
        generator: None (``flambeau.manual_seed`` decides, or ``numpy.random.seed`` where tensor-core is absent), an int
            seed, a ``numpy.random.Generator`` or a ``flambeau.Generator``.
    Raises: ValueError for options that exclude each other, NotImplementedError for ``num_workers > 0``.

    >>> loader = DataLoader(range(5), batch_size=2)
    >>> len(loader), [batch.tolist() for batch in loader]
    (3, [[0, 1], [2, 3], [4]])
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[Any] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        *,
        drop_last: bool = False,
        generator: _random.Generator = None,
    ) -> None:
        _check_workers(num_workers)
        streaming = isinstance(dataset, IterableDataset)
        if streaming:
            reason = "it has no indices"
            _exclude("an IterableDataset", reason, shuffle=shuffle, sampler=sampler, batch_sampler=batch_sampler)
        if sampler is not None:
            _exclude("sampler", "a sampler already decides the order", shuffle=shuffle)
        if batch_sampler is not None:
            sized = batch_size != 1 and f"batch_size={batch_size}"
            reason = "a batch_sampler already decides the batches"
            _exclude("batch_sampler", reason, batch_size=sized, shuffle=shuffle, sampler=sampler, drop_last=drop_last)
            batch_size, drop_last = None, False
        elif batch_size is None:
            _exclude("batch_size=None", "there are no batches then", drop_last=drop_last)
        else:
            check_positive("batch_size", batch_size)

        self.dataset = dataset
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.num_workers = num_workers
        self.generator = _random.keep_generator(generator)
        if sampler is None and not streaming:
            sampler = RandomSampler(dataset, generator=self.generator) if shuffle else SequentialSampler(dataset)
        if sampler is not None and batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        one_by_one = batch_size is None and batch_sampler is None
        self.collate_fn = collate_fn or (default_convert if one_by_one else default_collate)

    def __iter__(self) -> Iterator[Any]:
        return _LoaderIterator(self)

    def __len__(self) -> int:
        """The number of batches. TypeError where the dataset or the sampler has no length."""
        if not isinstance(self.dataset, IterableDataset):
            return len(self.sampler if self.batch_sampler is None else self.batch_sampler)  # type: ignore[arg-type]
        samples = len(self.dataset)  # type: ignore[arg-type]
        return samples if self.batch_size is None else batch_count(samples, self.batch_size, self.drop_last)

    def _samples(self) -> Iterator[Any]:
        """What is to be collated, item by item: lists of samples, or single samples where there are no batches."""
        if isinstance(self.dataset, IterableDataset):
            if self.batch_size is None:
                return iter(self.dataset)
            return batched(self.dataset, self.batch_size, self.drop_last)
        if self.batch_sampler is None:
            return (self.dataset[index] for index in self.sampler)  # type: ignore[union-attr]
        return (fetch_many(self.dataset, indices) for indices in self.batch_sampler)


class _LoaderIterator(Iterator[Any]):
    """One pass over a loader."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self._loader = loader
        self._batches = map(loader.collate_fn, loader._samples())

    def __next__(self) -> Any:
        return next(self._batches)

    def __len__(self) -> int:
        return len(self._loader)


def _check_workers(num_workers: int) -> None:
    if num_workers < 0:
        raise ValueError(f"num_workers must not be negative; got {num_workers}")
    if num_workers > 0:
        raise NotImplementedError(f"DataLoader reads in one process: pass num_workers=0 instead of {num_workers}.")


def _exclude(other: str, reason: str, **options: object) -> None:
    for name, value in options.items():
        if value is not None and value is not False:
            option = value if isinstance(value, str) else name
            raise ValueError(_EXCLUDES.format(option=option, other=other, reason=reason))
