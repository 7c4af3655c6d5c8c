"""PyTorch's module of the loader: also the private names that begin passes over batches and tell their kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from flambeau.data import *  # noqa: F403
from flambeau.data import DataLoader, IterableDataset

from ._iterators import Epoch, ParallelEpoch, SerialEpoch

_collate_fn_t = Callable[[list[Any]], Any]


class _DatasetKind:
    """What reads a loader's dataset: by indices, or as a stream."""

    Map = 0
    Iterable = 1


class _Stream(IterableDataset[Any]):
    """Whatever can be iterated, as a stream; what else is asked of it, the dataset answers."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __iter__(self) -> Iterator[Any]:
        return iter(self.dataset)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "dataset":
            raise AttributeError(name)
        return getattr(self.dataset, name)


def _loader_like(loader: Any) -> DataLoader[Any]:
    """The loader that a program's own class describes by the private attributes that PyTorch's has."""
    if isinstance(loader, DataLoader):
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


class _Kind(type):
    """A kind of passes. The loader's own passes are its instances, too."""

    passes: type[Epoch]

    def __call__(cls, loader: Any) -> Any:
        """Begin a pass: the loader's own, or one of the class that a program derived."""
        return iter(_loader_like(loader)) if "passes" in vars(cls) else super().__call__(loader)

    def __instancecheck__(cls, instance: object) -> bool:
        return ("passes" in vars(cls) and isinstance(instance, cls.passes)) or super().__instancecheck__(instance)


class _BaseDataLoaderIter(metaclass=_Kind):
    """A pass over a loader. Programs derive from it and override ``_next_data``, which gives the next batch."""

    passes: type[Epoch] = Epoch

    def __init__(self, loader: Any) -> None:
        self._passing = iter(_loader_like(loader))
        self._dataset, self._collate_fn = loader.dataset, loader.collate_fn
        self._index_sampler, self._auto_collation = loader._index_sampler, loader._auto_collation

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return self._next_data()

    def __len__(self) -> int:
        return len(self._passing)  # type: ignore[arg-type]

    def _next_data(self) -> Any:
        return next(self._passing)


class _SingleProcessDataLoaderIter(_BaseDataLoaderIter):
    passes = SerialEpoch


class _MultiProcessingDataLoaderIter(_BaseDataLoaderIter):
    passes = ParallelEpoch
