"""Datasets: collections of samples that are read by index or as a stream."""

from __future__ import annotations

import bisect
import itertools
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from . import _random, _tensors
from ._typing import T_co

T = TypeVar("T")


class Dataset(Generic[T_co]):
    """Base class of collections that are read by index. Subclasses define ``__getitem__`` and ``__len__``.

    A DataLoader accepts any object with these two methods. This class only adds ``a + b``.

    A dataset can define ``__getitems__(indices)`` if it reads many samples at once faster than one by one. This method
    returns a list of samples, or a :class:`Batch` of stacked columns.

    >>> class Squares(Dataset):
    ...     def __len__(self):
    ...         return 4
    ...
    ...     def __getitem__(self, index):
    ...         return index**2
    >>> joined = Squares() + Squares()
    >>> len(joined), joined[6]
    (8, 4)
    """

    def __getitem__(self, index: Any) -> T_co:
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__(self, index)")

    def __add__(self, other: Dataset[Any]) -> ConcatDataset[Any]:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T_co]):
    """Base class of streams of samples. Subclasses define ``__iter__``, and ``__len__`` if the length is known.

    >>> class Countdown(IterableDataset):
    ...     def __iter__(self):
    ...         return iter([3, 2, 1])
    >>> list(Countdown())
    [3, 2, 1]
    """

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__} must define __iter__(self)")

    def __add__(self, other: Dataset[Any]) -> Any:
        return ChainDataset([self, other])


class Batch(Sequence[tuple[Any, ...]]):
    """Sequence of samples that are stored as stacked columns.

    :func:`default_collate` uses the columns directly. A custom collate function receives a sequence of tuples.

    Args:
        columns: tensors or arrays. The index along the first dimension selects the sample.

    >>> import numpy
    >>> batch = Batch([numpy.eye(2), numpy.array([3, 4])])
    >>> len(batch), int(batch[0][1])
    (2, 3)
    """

    def __init__(self, columns: Sequence[_tensors.Column]) -> None:
        self.columns = tuple(columns)

    def __len__(self) -> int:
        return len(self.columns[0])

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return Batch([column[index] for column in self.columns])
        return tuple(column[index] for column in self.columns)


class TensorDataset(Dataset[tuple[Any, ...]]):
    """Dataset of the rows of tensors: sample ``i`` is the tuple of ``tensor[i]`` for all tensors.

    A DataLoader reads a whole batch with one indexing operation per tensor.

    Args:
        tensors: flambeau tensors or NumPy arrays with the same first dimension, at least one.
    Raises: TypeError for other arguments; ValueError without arguments or if the first dimensions differ.

    >>> import numpy
    >>> dataset = TensorDataset(numpy.eye(3), numpy.arange(3))
    >>> len(dataset), int(dataset[2][1])
    (3, 2)
    """

    def __init__(self, *tensors: _tensors.Column) -> None:
        for position, tensor in enumerate(tensors):
            if not hasattr(tensor, "shape"):
                found = type(tensor).__name__
                raise TypeError(
                    f"TensorDataset expects tensors or NumPy arrays, but argument {position + 1} is a {found}"
                )
        shapes = [list(tensor.shape) for tensor in tensors]
        if not shapes or [] in shapes or len({shape[0] for shape in shapes}) != 1:
            found = f"shapes {shapes}" if shapes else "none"
            raise ValueError(f"TensorDataset expects one or more tensors with the same first dimension, got {found}")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        rows = np.asarray(indices, dtype=np.int64)
        return Batch([_tensors.take(tensor, rows) for tensor in self.tensors])

    def __len__(self) -> int:
        return len(self.tensors[0])


class ConcatDataset(Dataset[T_co]):
    """Concatenation of datasets.

    Args:
        datasets: at least one dataset. All datasets must have a length.
    Raises: ValueError if ``datasets`` is empty; AssertionError for an IterableDataset (use ChainDataset instead).

    >>> dataset = ConcatDataset(["ab", "cde"])
    >>> dataset[1], dataset[2], dataset[-1]
    ('b', 'c', 'e')
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset: datasets should not be an empty iterable")
        if any(isinstance(dataset, IterableDataset) for dataset in self.datasets):
            raise AssertionError(
                "ConcatDataset does not support IterableDataset, which has no indices: use ChainDataset"
            )
        self.cumulative_sizes = list(itertools.accumulate(len(dataset) for dataset in self.datasets))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> T_co:
        position = index + len(self) if index < 0 else index
        if not 0 <= position < len(self):
            raise IndexError(f"index {index} is out of range for a ConcatDataset of {len(self)} samples")
        which = bisect.bisect_right(self.cumulative_sizes, position)
        start = self.cumulative_sizes[which - 1] if which else 0
        sample: T_co = self.datasets[which][position - start]
        return sample


class StackDataset(Dataset[Any]):
    """Dataset of tuples with one sample of each dataset, or of dicts if the datasets are keyword arguments.

    Args:
        args, kwargs: at least one dataset, as positional or as keyword arguments. All must have the same length.
    Raises: ValueError if no dataset is given, if both types of arguments are given, or if the lengths differ.

    >>> StackDataset("ab", [1, 2])[1]
    ('b', 2)
    >>> StackDataset(letter="ab", number=[1, 2])[0]
    {'letter': 'a', 'number': 1}
    """

    datasets: tuple[Any, ...] | dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if bool(args) == bool(kwargs):
            passed = "both" if args else "none"
            raise ValueError(f"StackDataset expects datasets either by position or by name, got {passed}")
        self.datasets = args or kwargs
        lengths = [len(part) for part in self.parts]
        if len(set(lengths)) > 1:
            raise ValueError(f"Size mismatch between datasets: StackDataset expects equal lengths, got {lengths}")

    @property
    def parts(self) -> list[Any]:
        """The stacked datasets as a list."""
        return list(self.datasets.values() if isinstance(self.datasets, dict) else self.datasets)

    def __len__(self) -> int:
        return len(self.parts[0])

    def __getitem__(self, index: Any) -> Any:
        return self._named([part[index] for part in self.parts])

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        columns = [fetch_many(part, indices) for part in self.parts]
        return [self._named(values) for values in zip(*columns, strict=True)]

    def _named(self, values: Sequence[Any]) -> dict[Any, Any] | tuple[Any, ...]:
        return dict(zip(self.datasets, values, strict=True)) if isinstance(self.datasets, dict) else tuple(values)


class ChainDataset(IterableDataset[T_co]):
    """Concatenation of streams. ``a + b`` creates a ChainDataset of two streams.

    Args:
        datasets: iterable of IterableDatasets.
    Raises: AssertionError during iteration if an item is not an IterableDataset.

    >>> class Countdown(IterableDataset):
    ...     def __iter__(self):
    ...         return iter([3, 2, 1])
    >>> list(ChainDataset([Countdown(), Countdown()]))
    [3, 2, 1, 3, 2, 1]
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = datasets

    def __iter__(self) -> Iterator[T_co]:
        for dataset in self._checked():
            yield from dataset

    def __len__(self) -> int:
        return sum(len(dataset) for dataset in self._checked())  # type: ignore[misc, arg-type]

    def _checked(self) -> Iterator[IterableDataset[Any]]:
        for dataset in self.datasets:
            if not isinstance(dataset, IterableDataset):
                raise AssertionError(f"ChainDataset only supports IterableDataset, got {type(dataset).__name__}")
            yield dataset


class Subset(Dataset[T_co]):
    """Subset of a dataset: the samples of ``dataset`` at ``indices``, in the order of ``indices``.

    >>> Subset("abcdef", [4, 0])[0]
    'e'
    """

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> T_co:
        chosen = [self.indices[each] for each in index] if isinstance(index, list) else self.indices[index]
        sample: T_co = self.dataset[chosen]
        return sample

    def __getitems__(self, indices: Sequence[int]) -> Sequence[T_co]:
        return fetch_many(self.dataset, [self.indices[index] for index in indices])

    def __len__(self) -> int:
        return len(self.indices)


def fetch_many(dataset: Any, indices: Sequence[int]) -> Sequence[Any]:
    """Return the samples at ``indices``. Call ``dataset.__getitems__`` if it is defined; else read one by one."""
    fetch = getattr(dataset, "__getitems__", None)
    return [dataset[index] for index in indices] if fetch is None else fetch(indices)


def random_split(dataset: Any, lengths: Sequence[float], generator: _random.Generator = None) -> list[Subset[Any]]:
    """Split a dataset randomly into subsets that do not overlap.

    Args:
        dataset: an object with a length that is read by index.
        lengths: sizes that sum to ``len(dataset)``, or fractions that sum to 1. Sizes that are computed from fractions
            are rounded down. Each remaining sample increases the size of one subset by 1, beginning with the first.
        generator: source of randomness: None, an int seed, a NumPy generator or a flambeau generator.
    Returns: a list with one Subset for each length.
    Raises: ValueError if the lengths are negative or have the wrong sum.

    >>> [len(part) for part in random_split(range(10), [0.75, 0.25], generator=0)]
    [8, 2]
    """
    sizes = _sizes(lengths, len(dataset))
    for index, size in enumerate(sizes):
        if size == 0:
            warnings.warn(
                f"Length of split at index {index} is 0. This might result in an empty dataset.", stacklevel=2
            )
    rng = _random.begin_draw(_random.keep_generator(generator), direct=True)
    order = rng.permutation(len(dataset)).tolist()
    ends = list(itertools.accumulate(sizes))
    return [Subset(dataset, order[end - size : end]) for size, end in zip(sizes, ends, strict=True)]


def _sizes(lengths: Sequence[float], total: int) -> list[int]:
    """Convert fractions to numbers of samples. Return other lengths unchanged, after checks."""
    if not all(math.isfinite(length) and length >= 0 for length in lengths):
        raise ValueError(f"lengths must be finite and not negative, got {list(lengths)}")
    if any(length != int(length) for length in lengths) or (sum(lengths) == 1 and total != 1):
        if not math.isclose(math.fsum(lengths), 1.0):
            raise ValueError(f"fractions must sum to 1, got {list(lengths)}, which sum to {math.fsum(lengths)}")
        sizes = [math.floor(total * length) for length in lengths]
        for extra in range(total - sum(sizes)):
            sizes[extra % len(sizes)] += 1
        return sizes
    if sum(lengths) != total:
        passed = f"{list(lengths)}, which sum to {sum(lengths)}"
        raise ValueError(f"lengths must sum to the length of the dataset, {total}, got {passed}")
    return [int(length) for length in lengths]
