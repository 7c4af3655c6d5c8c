"""Objects that make batches from indices, in the calling thread, in a worker process or in a worker thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from . import _seeds, _tensors
from .collate import default_collate, default_convert
from .dataset import ConcatDataset, IterableDataset, StackDataset, Subset, TensorDataset
from .packed import PackedList
from .sampler import batched


class Fetcher(Protocol):
    """Interface of objects that make one batch per call."""

    seeded: bool  # True if the random generators are seeded before each sample

    def begin(self, epoch_seed: int) -> None:
        """Begin an epoch."""

    def __call__(self, indices: Any) -> Any:
        """Return the batch for ``indices`` (a stream ignores them). Raises: StopIteration at the end of a stream."""


@dataclass(frozen=True)
class Recipe:
    """Parameters of a loader that a worker needs to make batches."""

    dataset: Any
    collate_fn: Callable[[Any], Any]
    batched: bool  # True if samples are collated into batches
    batch_size: int | None  # only for an IterableDataset
    drop_last: bool  # only for an IterableDataset

    def fetcher(self, seeds: _seeds.Seeds | None) -> Fetcher:
        """Return a fetcher that reads the dataset by index or, if it is a stream, from its iterator."""
        return StreamFetcher(self) if isinstance(self.dataset, IterableDataset) else IndexFetcher(self, seeds)


class IndexFetcher:
    """Fetcher that reads samples by index. If ``seeds`` is None, the generators are not seeded for each sample."""

    def __init__(self, recipe: Recipe, seeds: _seeds.Seeds | None) -> None:
        self._recipe = recipe
        self._epoch_seed = 0
        self._indices: Any = None
        pure = _draws_nothing(recipe.dataset) and recipe.collate_fn in (default_collate, default_convert)
        self._seeds = None if pure else seeds
        self.seeded = self._seeds is not None

    def begin(self, epoch_seed: int) -> None:
        """Begin a pass over the data. ``epoch_seed`` is the seed of the pass."""
        self._epoch_seed = epoch_seed

    def __call__(self, indices: Any) -> Any:
        self._indices = indices
        if self._seeds is None:
            return self._make(_seeds.ignore)
        return self._seeds.run(self._make, self._epoch_seed)

    def _make(self, seed: _seeds.SeedSample) -> Any:
        recipe, indices = self._recipe, self._indices
        if not recipe.batched:
            return recipe.collate_fn(_read(recipe.dataset, [indices], [indices], seed)[0])
        samples = _read_many(recipe.dataset, indices, seed)
        try:
            return recipe.collate_fn(samples)
        except Exception as error:
            error.add_note(f"while collating the samples at indices {_shortened(indices)} of the dataset")
            raise


def _read_many(dataset: Any, indices: Sequence[Any], seed: _seeds.SeedSample) -> Sequence[Any]:
    """Return the samples at ``indices``.

    Call ``__getitems__`` if the dataset defines it. Otherwise read one sample at a time, and call ``seed`` before each.
    """
    keys = indices
    while type(dataset) is Subset:
        dataset, keys = dataset.dataset, [dataset.indices[key] for key in keys]
    fetch = getattr(dataset, "__getitems__", None)
    if fetch is None:
        return _read(dataset, keys, indices, seed)
    seed(indices[0] if len(indices) else 0)
    try:
        samples: Sequence[Any] = fetch(keys)
    except StopIteration as error:
        raise RuntimeError(_STOPPED.format(dataset=type(dataset).__name__, method="__getitems__")) from error
    except Exception as error:
        error.add_note(f"while reading the samples at indices {_shortened(indices)} of the dataset")
        raise
    if len(samples) != len(keys):
        counts = f"{len(samples)} samples for {len(keys)} indices"
        raise ValueError(f"{type(dataset).__name__}.__getitems__ must return a sample for each index, got {counts}")
    return samples


def _read(dataset: Any, keys: Sequence[Any], indices: Sequence[Any], seed: _seeds.SeedSample) -> list[Any]:
    """Return ``dataset[key]`` for each key. ``indices`` are the sampler's indices, for seeds and error messages."""
    samples: list[Any] = []
    read, keep = dataset.__getitem__, samples.append
    position = 0
    try:
        if seed is _seeds.ignore:
            for position, key in enumerate(keys):  # noqa: B007, the exception handlers read `position`
                keep(read(key))
        else:
            for position, key in enumerate(keys):
                seed(indices[position])
                keep(read(key))
    except StopIteration as error:
        raise RuntimeError(_STOPPED.format(dataset=type(dataset).__name__, method="__getitem__")) from error
    except Exception as error:
        error.add_note(f"while reading the sample at index {indices[position]!r} of the dataset")
        raise
    return samples


_STOPPED = "{dataset}.{method} raised StopIteration, which would end the epoch early; raise IndexError or another error"


def _shortened(indices: Sequence[Any], most: int = 64) -> str:
    listed = list(indices)
    return str(listed) if len(listed) <= most else f"{str(listed[:most])[:-1]}, ... {len(listed)} in all]"


def _draws_nothing(dataset: Any) -> bool:
    """Return True if the dataset is of a type that draws no random numbers."""
    if type(dataset) is Subset:
        return _draws_nothing(dataset.dataset)
    if type(dataset) is ConcatDataset:
        return all(_draws_nothing(part) for part in dataset.datasets)
    if type(dataset) is StackDataset:
        return all(_draws_nothing(part) for part in dataset.parts)
    return type(dataset) in (TensorDataset, PackedList, range, list, tuple, str, *_tensors.ARRAY_TYPES)


class StreamFetcher:
    """Fetcher of the samples of a stream."""

    seeded = False

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._items: Iterator[Any] | None = None

    def begin(self, epoch_seed: int) -> None:
        self._items = None

    def __call__(self, indices: Any) -> Any:
        recipe = self._recipe
        if self._items is None:
            stream = recipe.dataset
            if recipe.batch_size is None:
                self._items = iter(stream)
            else:
                self._items = batched(stream, recipe.batch_size, recipe.drop_last)
        return recipe.collate_fn(next(self._items))
