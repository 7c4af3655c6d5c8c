"""PyTorch's private fetchers, for programs that read datasets without a loader and manage the state themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._fetch import IndexFetcher, Recipe


class _BaseDatasetFetcher:
    """Base class of fetchers: ``fetch`` returns the batch for the indices of a sampler."""

    def __init__(self, dataset: Any, auto_collation: bool, collate_fn: Callable[[Any], Any], drop_last: bool) -> None:
        self.dataset = dataset
        self.auto_collation = auto_collation
        self.collate_fn = collate_fn
        self.drop_last = drop_last

    def fetch(self, possibly_batched_index: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define fetch(self, possibly_batched_index)")


class _MapDatasetFetcher(_BaseDatasetFetcher):
    """Fetcher that reads by index. It does not seed samples: they use the program's generators, as in PyTorch."""

    def fetch(self, possibly_batched_index: Any) -> Any:
        recipe = Recipe(self.dataset, self.collate_fn, self.auto_collation, None, self.drop_last)
        return IndexFetcher(recipe, None)(possibly_batched_index)


class _IterableDatasetFetcher(_BaseDatasetFetcher):
    """Fetcher that reads a stream. It uses only the number of indices.

    Attributes:
        dataset_iter: iterator over the dataset. Programs save and load its state.
        ended: True after the last sample of a batched stream. ``fetch`` then raises StopIteration.
    """

    def __init__(self, dataset: Any, auto_collation: bool, collate_fn: Callable[[Any], Any], drop_last: bool) -> None:
        super().__init__(dataset, auto_collation, collate_fn, drop_last)
        self.dataset_iter = iter(dataset)
        self.ended = False

    def fetch(self, possibly_batched_index: Any) -> Any:
        if self.ended:
            raise StopIteration
        if not self.auto_collation:
            return self.collate_fn(next(self.dataset_iter))
        samples = []
        for _ in possibly_batched_index:
            try:
                samples.append(next(self.dataset_iter))
            except StopIteration:
                self.ended = True
                break
        if not samples or (self.drop_last and len(samples) < len(possibly_batched_index)):
            raise StopIteration
        return self.collate_fn(samples)
