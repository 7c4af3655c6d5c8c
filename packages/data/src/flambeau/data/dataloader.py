"""PyTorch's private names of the DataLoader module, for programs that subclass the loader's iterators."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from flambeau.data import *  # noqa: F403
from flambeau.data import DataLoader, IterableDataset

from . import _random, _tensors
from ._iterators import Epoch, ParallelEpoch, SerialEpoch
from .distributed import process_rank
from .fetch import _BaseDatasetFetcher, _IterableDatasetFetcher, _MapDatasetFetcher
from .sampler import InfiniteConstantSampler as _InfiniteConstantSampler  # noqa: F401

_collate_fn_t = Callable[[list[Any]], Any]
_worker_init_fn_t = Callable[[int], None]


class _DatasetKind:
    """Constants for the two types of datasets: read by index (``Map``) or as a stream (``Iterable``)."""

    Map = 0
    Iterable = 1

    @staticmethod
    def create_fetcher(
        kind: int, dataset: Any, auto_collation: bool, collate_fn: Callable[[Any], Any], drop_last: bool
    ) -> _BaseDatasetFetcher:
        reader = _MapDatasetFetcher if kind == _DatasetKind.Map else _IterableDatasetFetcher
        return reader(dataset, auto_collation, collate_fn, drop_last)


class _Stream(IterableDataset[Any]):
    """Wrapper that converts any iterable to an IterableDataset. Other attributes are looked up in the iterable."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __iter__(self) -> Iterator[Any]:
        return iter(self.dataset)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "dataset":
            raise AttributeError(name)
        return getattr(self.dataset, name)


def _sharding_worker_init_fn(worker_init_fn: _worker_init_fn_t | None, size: int, rank: int, worker: int) -> NoReturn:
    """Raise NotImplementedError, because PyTorch uses this function to shard data pipes."""
    raise NotImplementedError("flambeau has no data pipes; use IterableDataset and get_worker_info()")


def _loader_like(loader: Any) -> DataLoader[Any]:
    """Build a loader from an object with the private attributes of PyTorch's DataLoader."""
    if isinstance(loader, DataLoader) and loader._DataLoader__initialized:  # type: ignore[attr-defined]
        return loader
    of_workers = ("timeout", "worker_init_fn", "prefetch_factor", "persistent_workers", "multiprocessing_context")
    options = {name: getattr(loader, name) for name in of_workers if loader.num_workers and hasattr(loader, name)}
    options |= {name: getattr(loader, name) for name in ("num_workers", "collate_fn", "pin_memory", "generator")}
    if loader._dataset_kind == _DatasetKind.Iterable and not loader._auto_collation:
        return DataLoader(_Stream(loader.dataset), batch_size=None, **options)
    if loader._dataset_kind == _DatasetKind.Iterable:
        size, drop_last = loader.batch_size, loader.drop_last
        return DataLoader(_Stream(loader.dataset), batch_size=size, drop_last=drop_last, **options)
    if loader._auto_collation:
        return DataLoader(loader.dataset, batch_sampler=loader._index_sampler, **options)
    return DataLoader(loader.dataset, batch_size=None, sampler=loader._index_sampler, **options)


def _own_pass(loader: Any) -> Epoch:
    """Begin a pass over ``loader``. Ignore overridden methods of the loader's class."""
    return DataLoader._get_iterator(_loader_like(loader))  # type: ignore[return-value]


class _Kind(type):
    """Metaclass of classes with the names of PyTorch's iterators. Flambeau's passes are instances of these classes."""

    passes: type[Epoch]

    def __call__(cls, loader: Any, *args: Any, **options: Any) -> Any:
        """Begin a pass over ``loader``. If ``cls`` is a derived class, create an instance of ``cls``."""
        if "passes" in vars(cls):
            return _own_pass(loader, *args, **options)
        return super().__call__(loader, *args, **options)

    def __instancecheck__(cls, instance: object) -> bool:
        return ("passes" in vars(cls) and isinstance(instance, cls.passes)) or super().__instancecheck__(instance)


class _BaseDataLoaderIter(metaclass=_Kind):
    """Base class of iterators over a loader. Subclasses define ``_next_data``, which returns the next batch.

    The attributes have PyTorch's names: the dataset, the iterator of its sampler (see ``_next_index``) and the number
    of batches that were returned.
    """

    passes: type[Epoch] = Epoch

    def __init__(self, loader: Any) -> None:
        self._describe(loader)
        self._sampler_iter = iter(self._index_sampler)  # this may draw random numbers before the seed, as in PyTorch
        self._base_seed = _random.draw_seed(loader.generator)

    def _describe(self, loader: Any) -> None:
        self._dataset, self._dataset_kind = loader.dataset, loader._dataset_kind
        self._collate_fn, self._drop_last = loader.collate_fn, loader.drop_last
        self._index_sampler, self._auto_collation = loader._index_sampler, loader._auto_collation
        self._num_workers, self._timeout = loader.num_workers, loader.timeout
        self._persistent_workers = loader.persistent_workers
        self._pin_memory = bool(loader.pin_memory) and not _tensors.obstacle_to_pinning()
        self._pin_memory_device = "cuda" if self._pin_memory else None
        self._IterableDataset_len_called = getattr(loader, "_IterableDataset_len_called", None)
        self._shared_seed = None  # seed for data pipes, which flambeau does not have
        self._world_size, self._rank = process_rank() or (1, 0)
        self._num_yielded = 0

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        batch = self._next_data()
        self._num_yielded += 1
        return batch

    def __len__(self) -> int:
        return len(self._index_sampler)

    def _reset(self, loader: Any, first_iter: bool = False) -> None:
        """Begin another pass with the same workers."""
        self._sampler_iter = iter(self._index_sampler)
        self._num_yielded = 0
        self._IterableDataset_len_called = getattr(loader, "_IterableDataset_len_called", None)

    def _next_index(self) -> Any:
        return next(self._sampler_iter)

    def _next_data(self) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define _next_data(self)")


class _OwnPass(_BaseDataLoaderIter):
    """Iterator that returns the batches of flambeau's pass over the loader."""

    def __init__(self, loader: Any) -> None:
        self._describe(loader)
        self._passing = _own_pass(loader)

    def __len__(self) -> int:
        return len(self._passing)

    def _next_data(self) -> Any:
        return next(self._passing)


class _SingleProcessDataLoaderIter(_OwnPass):
    passes = SerialEpoch


class _MultiProcessingDataLoaderIter(_OwnPass):
    passes = ParallelEpoch
