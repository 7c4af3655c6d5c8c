"""Passes over datasets in memory, without and with worker processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..workload import Code, Library, Workload


class Images:
    """Dataset of arrays as users write it, which returns one sample at a time."""

    def __init__(self) -> None:
        self.images = np.random.default_rng(0).random((4096, 3, 64, 64), dtype=np.float32)
        self.labels = np.arange(4096)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.images[index], self.labels[index]


def epoch(make: Callable[[Library], Any]) -> Callable[[Library], Code]:
    """Return a function that creates a pass over the data. The result is the sum of the labels in any order."""

    def prepare(library: Library) -> Code:
        loader = make(library)
        return Code(lambda: sum(labels.sum() for _, labels in loader))

    return prepare


def shuffled_tensors(library: Library) -> Any:
    data = library.data
    dataset = data.TensorDataset(library.normal(20_000, 28, 28), library.integers(10, 20_000))
    return data.DataLoader(dataset, batch_size=64, shuffle=True)


def images(num_workers: int) -> Callable[[Library], Any]:
    return lambda library: library.data.DataLoader(Images(), batch_size=64, num_workers=num_workers)


def first_batch(library: Library) -> Code:
    """Return a pass that stops after one batch: start two workers, load a batch, and stop the workers."""
    loader = images(2)(library)

    return Code(lambda: next(iter(loader))[1].sum())


ROWS = (
    Workload("data", "20,000 tensors of 28x28, shuffled, batch 64", epoch(shuffled_tensors), at_most=0.2),
    Workload("data", "4096 arrays of 3x64x64, batch 64", epoch(images(0)), at_most=0.8),
    Workload("data", "4096 arrays of 3x64x64, batch 64, 2 workers", epoch(images(2)), at_most=0.4),
    Workload("data", "first batch from 2 workers", first_batch, at_most=0.5),
)
