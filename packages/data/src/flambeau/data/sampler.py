"""Samplers, which determine the order in which a DataLoader reads a dataset."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any, Generic

import numpy as np

from . import _random, _tensors
from ._typing import T_co

_NOT_BOOLEAN = "replacement should be a boolean value, but got replacement={!r}"


class Sampler(Generic[T_co]):
    """Base class of samplers. Subclasses define ``__iter__``, and ``__len__`` if the length is known.

    Args:
        data_source: ignored; early versions of PyTorch had this argument.

    >>> class Backwards(Sampler):
    ...     def __init__(self, size):
    ...         self.size = size
    ...
    ...     def __iter__(self):
    ...         return iter(range(self.size - 1, -1, -1))
    >>> from flambeau.data import DataLoader
    >>> list(DataLoader("abc", batch_size=None, sampler=Backwards(3)))
    ['c', 'b', 'a']
    """

    def __init__(self, data_source: Sized | None = None) -> None:
        pass

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__} must define __iter__(self)")


class SequentialSampler(Sampler[int]):
    """Sampler that yields every index once, in order.

    >>> list(SequentialSampler("abc"))
    [0, 1, 2]
    """

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(self.order())

    def order(self) -> range:
        """Return all indices at once."""
        return range(len(self.data_source))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """Sampler that yields every index once, in a new random order for each pass, or draws indices with replacement.

    Args:
        data_source: an object with a length.
        replacement: if True, draw each index independently.
        num_samples: number of indices; None means ``len(data_source)``. If it is greater than ``len(data_source)`` and
            ``replacement`` is False, the sampler concatenates several permutations.
        generator: source of randomness: None (flambeau's default generator, or NumPy's if tensor-core is not
            installed), an int seed, a NumPy generator or a flambeau generator.
    Raises: ValueError if ``num_samples`` is not a positive int, or on ``iter()`` if ``data_source`` is empty.

    >>> sorted(RandomSampler("abc"))
    [0, 1, 2]
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: _random.Generator = None,
    ) -> None:
        if not isinstance(replacement, bool):
            raise TypeError(_NOT_BOOLEAN.format(replacement))
        if num_samples is not None:
            check_positive("num_samples", num_samples)
        self.data_source = data_source
        self.replacement = replacement
        self.generator = _random.keep_generator(generator)
        self._num_samples = num_samples

    @property
    def num_samples(self) -> int:
        """Number of indices in one pass."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        size, left = len(self.data_source), self.num_samples
        if left and not size:
            raise ValueError(f"cannot draw {left} samples from an empty data source")
        rng = _random.begin_draw(self.generator)
        while left > 0:
            count = min(size, left)
            drawn = rng.integers(size, size=count) if self.replacement else rng.permutation(size)[:count]
            yield from drawn.tolist()
            left -= count
        if size and not self.replacement and self.num_samples % size == 0 and _tensors.draws_as_pytorch(self.generator):
            rng.permutation(size)  # PyTorch draws a permutation for the remaining indices even if none remain

    def order(self) -> np.ndarray | None:
        """Return all indices at once, or None if the indices are drawn later or in several steps."""
        size = len(self.data_source)
        if self.replacement or self.num_samples > size or _tensors.draws_as_pytorch(self.generator):
            return None  # PyTorch draws when the first index is requested
        order: np.ndarray = _random.begin_draw(self.generator).permutation(size)[: self.num_samples]
        return order

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """Sampler that yields each of the given indices once, in random order.

    >>> sorted(SubsetRandomSampler([7, 3, 5]))
    [3, 5, 7]
    """

    def __init__(self, indices: Sequence[int], generator: _random.Generator = None) -> None:
        self.indices = indices
        self.generator = _random.keep_generator(generator)

    def __iter__(self) -> Iterator[int]:
        order = _random.begin_draw(self.generator, direct=True).permutation(len(self.indices))
        for position in order.tolist():
            yield self.indices[position]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """Sampler that draws index ``i`` with probability ``weights[i] / sum(weights)``.

    Args:
        weights: one weight for each sample. Weights must not be negative, and not all of them may be zero. Their sum
            does not need to be 1.
        num_samples: number of indices to draw.
        replacement: if True, draw independently; if False, draw each index at most once.
        generator: see RandomSampler.
    Raises: ValueError if weights are invalid, or if ``replacement`` is False and ``num_samples`` exceeds the number of
        nonzero weights.

    >>> list(WeightedRandomSampler([0.0, 1.0, 0.0], num_samples=3))
    [1, 1, 1]
    """

    def __init__(
        self, weights: Sequence[float], num_samples: int, replacement: bool = True, generator: _random.Generator = None
    ) -> None:
        check_positive("num_samples", num_samples)
        if not isinstance(replacement, bool):
            raise ValueError(_NOT_BOOLEAN.format(replacement))
        self.weights = np.asarray(weights, dtype=np.float64)
        if self.weights.ndim != 1:
            raise ValueError(f"weights must be one-dimensional, got shape {list(self.weights.shape)}")
        if not (np.isfinite(self.weights).all() and (self.weights >= 0).all() and self.weights.any()):
            shown = np.array2string(self.weights, max_line_width=120, threshold=10)
            raise ValueError(f"weights must be finite, not negative and not all zero, got {shown}")
        possible = np.count_nonzero(self.weights)
        if not replacement and num_samples > possible:
            raise ValueError(
                f"cannot draw {num_samples} samples without replacement: the number of nonzero weights is {possible}"
            )
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = _random.keep_generator(generator)

    def __iter__(self) -> Iterator[int]:
        draws = _random.begin_draw(self.generator, direct=True)
        yield from _random.choose(draws, self.weights, self.num_samples, self.replacement).tolist()

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """Sampler that groups the indices of another sampler into lists of ``batch_size``.

    The last list may be shorter. If ``drop_last`` is True, a shorter list is dropped.

    >>> list(BatchSampler(range(5), batch_size=2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        check_positive("batch_size", batch_size)
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        if type(self.sampler) in (SequentialSampler, RandomSampler):
            order = self.sampler.order()  # type: ignore[attr-defined]
            if order is not None:
                return Slices(order, self.batch_size, self.drop_last)
        return batched(self.sampler, self.batch_size, self.drop_last)

    def __len__(self) -> int:
        return batch_count(len(self.sampler), self.batch_size, self.drop_last)  # type: ignore[arg-type]


class Slices(Iterator[list[int]]):
    """Iterator over the batches of a sequence of indices. It can skip batches without reading them."""

    def __init__(self, order: range | np.ndarray, batch_size: int, drop_last: bool) -> None:
        self._order = order
        self._size = batch_size
        self._end = len(order) - len(order) % batch_size if drop_last else len(order)
        self._start = 0

    def __next__(self) -> list[int]:
        if self._start >= self._end:
            raise StopIteration
        batch = self._order[self._start : self._start + self._size]
        self._start += self._size
        return batch.tolist() if isinstance(batch, np.ndarray) else list(batch)

    def skip(self, batches: int) -> None:
        """Skip the next ``batches`` batches."""
        self._start += batches * self._size


class InfiniteConstantSampler(Sampler[None]):
    """Sampler for streams, which have no indices. It yields None without end."""

    def __iter__(self) -> Iterator[None]:
        return itertools.repeat(None)


InfiniteConstantSampler.__name__ = InfiniteConstantSampler.__qualname__ = "_InfiniteConstantSampler"


def batched(items: Iterable[Any], batch_size: int, drop_last: bool) -> Iterator[list[Any]]:
    """Yield lists of ``batch_size`` items. The last list may be shorter. If ``drop_last``, drop a shorter list."""
    stream = iter(items)
    while batch := list(itertools.islice(stream, batch_size)):
        if drop_last and len(batch) < batch_size:
            return
        yield batch


def batch_count(samples: int, batch_size: int, drop_last: bool) -> int:
    """Return the number of batches. An incomplete batch counts if ``drop_last`` is False."""
    return samples // batch_size if drop_last else -(-samples // batch_size)


def check_positive(name: str, value: object) -> None:
    """Raise ValueError if an argument is not a positive integer."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value <= 0:
        raise ValueError(f"{name} should be a positive integer value, but got {name}={value!r}")
