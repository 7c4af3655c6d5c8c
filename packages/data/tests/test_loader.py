from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
import pytest

from flambeau.data import Batch, DataLoader, Dataset, IterableDataset, SequentialSampler, Subset, TensorDataset

Same: TypeAlias = Callable[[Any, np.ndarray], bool]
IMAGES = np.arange(40, dtype=np.float32).reshape(10, 2, 2)
LABELS = np.arange(10)


class Stream(IterableDataset[int]):
    def __iter__(self) -> Iterator[int]:
        return iter(range(7))


class Measured(Stream):
    def __len__(self) -> int:
        return 7


def test_batches_have_the_order_of_the_dataset(same: Same) -> None:
    loader = DataLoader(TensorDataset(IMAGES, LABELS), batch_size=4)
    batches = list(loader)
    assert len(loader) == len(batches) == 3 and len(iter(loader)) == 3
    for (images, labels), rows in zip(batches, (slice(0, 4), slice(4, 8), slice(8, 10)), strict=True):
        assert same(images, IMAGES[rows]) and same(labels, LABELS[rows])


def test_drop_last_omits_the_incomplete_last_batch() -> None:
    loader = DataLoader(range(10), batch_size=4, drop_last=True)
    assert [batch.tolist() for batch in loader] == [[0, 1, 2, 3], [4, 5, 6, 7]] and len(loader) == 2


def test_each_iteration_of_a_loader_starts_a_new_iterator() -> None:
    loader = DataLoader(range(3))
    first, second = iter(loader), iter(loader)
    assert next(first).tolist() == [0] and next(first).tolist() == [1]
    assert next(second).tolist() == [0] and next(first).tolist() == [2]
    with pytest.raises(StopIteration):
        next(first)
    assert iter(second) is second


def test_a_loader_is_not_subscriptable() -> None:
    with pytest.raises(TypeError, match="'DataLoader' object is not subscriptable"):
        DataLoader(range(3))[0]
    with pytest.raises(TypeError, match="not an iterator"):
        next(DataLoader(range(3)))


def test_a_seed_determines_the_shuffled_order() -> None:
    def epochs(seed: int) -> list[list[int]]:
        loader = DataLoader(range(50), batch_size=8, shuffle=True, generator=seed)
        return [[index for batch in loader for index in batch.tolist()] for _ in range(2)]

    first, second = epochs(0)
    assert sorted(first) == sorted(second) == list(range(50))
    assert epochs(0) == [first, second] != epochs(1) and first != second


def test_shuffled_batches_keep_each_sample_with_its_label(same: Same) -> None:
    for images, labels in DataLoader(TensorDataset(IMAGES, LABELS), batch_size=3, shuffle=True, generator=0):
        assert same(images, IMAGES[np.asarray(labels)])


class Counting(TensorDataset):
    """TensorDataset that counts the batches read from it and rejects reading single samples."""

    fetches = 0

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        raise AssertionError("a sample was read by itself")

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        self.fetches += 1
        return super().__getitems__(indices)


def test_a_batch_is_fetched_with_one_call_of_getitems() -> None:
    dataset = Counting(IMAGES, LABELS)
    assert [len(labels) for _, labels in DataLoader(Subset(dataset, range(1, 8)), batch_size=4)] == [4, 3]
    assert dataset.fetches == 2


def test_getitems_may_return_a_list_of_samples() -> None:
    class Lists(Dataset[int]):
        def __len__(self) -> int:
            return 4

        def __getitems__(self, indices: Sequence[int]) -> list[int]:
            return [index * 10 for index in indices]

    assert [batch.tolist() for batch in DataLoader(Lists(), batch_size=3)] == [[0, 10, 20], [30]]


def test_collate_fn_receives_a_list_of_samples() -> None:
    def collate(samples: Sequence[tuple[Any, Any]]) -> list[int]:
        return [int(label) for _, label in samples]

    assert list(DataLoader(TensorDataset(IMAGES, LABELS), 4, collate_fn=collate)) == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9],
    ]


def test_batch_size_none_returns_single_samples(same: Same) -> None:
    loader = DataLoader(TensorDataset(IMAGES, LABELS), batch_size=None, sampler=[3, 1])
    assert len(loader) == 2
    assert [int(label) for _, label in loader] == [3, 1]
    assert same(next(iter(loader))[0], IMAGES[3])
    assert list(DataLoader(Stream(), batch_size=None)) == list(range(7))


def test_sampler_and_batch_sampler_determine_the_batches() -> None:
    assert [batch.tolist() for batch in DataLoader(range(9), batch_size=2, sampler=[8, 0, 5])] == [[8, 0], [5]]
    loader = DataLoader(TensorDataset(LABELS), batch_sampler=[[1, 1], [9]])
    assert [labels.tolist() for (labels,) in loader] == [[1, 1], [9]] and len(loader) == 2


def test_an_iterable_dataset_is_batched() -> None:
    assert [batch.tolist() for batch in DataLoader(Stream(), batch_size=3)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [batch.tolist() for batch in DataLoader(Stream(), batch_size=3, drop_last=True)] == [[0, 1, 2], [3, 4, 5]]
    assert len(DataLoader(Measured(), batch_size=3)) == 3 and len(DataLoader(Measured(), 3, drop_last=True)) == 2
    assert len(DataLoader(Measured(), batch_size=None)) == 7
    with pytest.raises(TypeError, match="has no len"):
        len(DataLoader(Stream(), batch_size=3))


class Overlong(IterableDataset[int]):
    """Stream of three samples that reports a length of two."""

    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Iterator[int]:
        return iter(range(3))


@pytest.mark.parametrize("workers", [0, 1])
def test_an_iterable_dataset_longer_than_its_length_warns(workers: int) -> None:
    loader = DataLoader(Overlong(), batch_size=None, num_workers=workers, workers="thread")
    batches = iter(loader)
    assert [next(batches) for _ in range(3)] == [0, 1, 2]  # no warning before the first call of len()
    assert len(loader) == 2
    batches = iter(loader)
    assert [next(batches), next(batches)] == [0, 1]
    message = r"was reported to be 2 \(when accessing len\(dataloader\)\), but 3 samples have been fetched"
    with pytest.warns(UserWarning, match=message):
        assert next(batches) == 2


@pytest.mark.parametrize(
    ("dataset", "options", "message"),
    [
        (range(3), {"shuffle": True, "sampler": [0]}, "sampler option is mutually exclusive with shuffle"),
        (
            range(3),
            {"batch_sampler": [[0]], "shuffle": True},
            "batch_sampler option is mutually exclusive with batch_size",
        ),
        (
            range(3),
            {"batch_sampler": [[0]], "sampler": [0]},
            "batch_sampler option is mutually exclusive with batch_size",
        ),
        (
            range(3),
            {"batch_sampler": [[0]], "batch_size": 2},
            "batch_sampler option is mutually exclusive with batch_size",
        ),
        (
            range(3),
            {"batch_sampler": [[0]], "drop_last": True},
            "batch_sampler option is mutually exclusive with batch_size",
        ),
        (range(3), {"batch_size": None, "drop_last": True}, "batch_size=None option disables auto-batching"),
        (
            Stream(),
            {"shuffle": True},
            "with IterableDataset: expected unspecified shuffle option, but got shuffle=True",
        ),
        (
            Stream(),
            {"sampler": [0]},
            r"with IterableDataset: expected unspecified sampler option, but got sampler=\[0\]",
        ),
        (Stream(), {"batch_size": 0}, "batch_size should be a positive integer value, but got batch_size=0"),
        (range(3), {"batch_size": 2.5}, "batch_size should be a positive integer value, but got batch_size=2.5"),
        (range(3), {"num_workers": -1}, "num_workers option should be non-negative"),
        (range(3), {"timeout": -1}, "timeout option should be non-negative"),
        (range(3), {"timeout": float("nan")}, "timeout option should be non-negative"),
        (range(3), {"prefetch_factor": 2}, "prefetch_factor option needs num_workers > 0"),
        (range(3), {"persistent_workers": True}, "persistent_workers option needs num_workers > 0"),
        (
            range(3),
            {"multiprocessing_context": "fork"},
            r"multi-process loading \(num_workers > 0\), but got num_workers=0",
        ),
        (
            range(3),
            {"num_workers": 1, "prefetch_factor": 0},
            "prefetch_factor should be a positive integer value, but got 0",
        ),
        (
            range(3),
            {"num_workers": 1, "multiprocessing_context": "spoon"},
            "specify a valid start method in .*, but got 'spoon'",
        ),
        (range(3), {"num_workers": 1, "workers": "fiber"}, "workers must be 'process' or 'thread', got 'fiber'"),
        (
            range(3),
            {"num_workers": 1, "workers": "thread", "multiprocessing_context": "fork"},
            "but got workers='thread'",
        ),
    ],
)
def test_contradictory_loader_options_are_rejected(dataset: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DataLoader(dataset, **options)


class Bare:
    pass


class Streaming(Bare):
    def __iter__(self) -> Iterator[int]:
        return iter(range(3))


class Indexed(Bare):
    def __getitem__(self, index: int) -> int:
        return index


@pytest.mark.parametrize(
    ("dataset", "options", "message"),
    [
        (Bare(), {}, r"the dataset \(Bare\) has no __getitem__: define it"),
        (
            Streaming(),
            {},
            r"the dataset \(Streaming\) has no __getitem__: derive it from flambeau.data.IterableDataset",
        ),
        (Indexed(), {}, r"the dataset \(Indexed\) has no __len__: define it, or pass sampler="),
        (Indexed, {}, r"expects a dataset, got the class 'Indexed' itself"),
        (range(3), {"num_workers": 1.0}, "num_workers must be an int, got 1.0"),
        (
            range(3),
            {"num_workers": 1, "multiprocessing_context": 3},
            "should be a valid context object or a string specifying the start method, but got int",
        ),
    ],
)
def test_invalid_datasets_and_options_are_rejected(dataset: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        DataLoader(dataset, **options)


def test_a_sampler_allows_a_dataset_without_a_length() -> None:
    assert [batch.tolist() for batch in DataLoader(Indexed(), 2, sampler=[5, 9, 7])] == [[5, 9], [7]]


def test_getitems_must_return_a_sample_for_each_index() -> None:
    class Short(Dataset[int]):
        def __len__(self) -> int:
            return 4

        def __getitems__(self, indices: Sequence[int]) -> list[int]:
            return [0]

    with pytest.raises(
        ValueError, match=r"Short.__getitems__ must return a sample for each index, got 1 samples for 3 indices"
    ):
        next(iter(DataLoader(Short(), batch_size=3)))


def test_pin_memory_without_a_gpu_warns_once() -> None:
    with pytest.warns(UserWarning, match="pin_memory=True has no effect") as caught:
        list(DataLoader(range(3), pin_memory=True))
    assert len(caught) == 1 and caught[0].filename == __file__


def test_attributes_cannot_be_set_after_construction() -> None:
    loader: DataLoader[int] = DataLoader(range(3))
    for name in ("batch_size", "dataset", "sampler", "batch_sampler", "drop_last", "persistent_workers"):
        with pytest.raises(ValueError, match=f"{name} attribute should not be set after DataLoader is initialized"):
            setattr(loader, name, None)
    loader.timeout = 3
    assert loader.timeout == 3


def test_an_error_in_the_dataset_reaches_the_caller() -> None:
    class Broken(Dataset[int]):
        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> int:
            raise OSError(f"sample {index} is unreadable")

    with pytest.raises(OSError, match="sample 0 is unreadable"):
        next(iter(DataLoader(Broken())))


def test_the_loader_exposes_its_options_as_attributes() -> None:
    loader: DataLoader[int] = DataLoader(range(3), batch_size=2)
    assert isinstance(loader.sampler, SequentialSampler)
    assert (loader.batch_size, loader.drop_last, loader.num_workers) == (2, False, 0)


def test_a_loader_reads_a_dataset_of_tensors(fb: ModuleType, same: Same) -> None:
    dataset = TensorDataset(fb.from_numpy(IMAGES), fb.from_numpy(LABELS))
    for images, labels in DataLoader(dataset, batch_size=4, shuffle=True, generator=0):
        assert same(images, IMAGES[np.asarray(labels)])


def test_a_loader_can_be_copied_and_pickled() -> None:
    loader: DataLoader[Any] = DataLoader(TensorDataset(IMAGES, LABELS), 4, shuffle=True, generator=3)
    batches = iter(loader)
    next(batches)
    for copied in (copy.deepcopy(loader), pickle.loads(pickle.dumps(loader))):
        assert [labels.tolist() for _, labels in copied] == [labels.tolist() for _, labels in copy.deepcopy(loader)]
        with pytest.raises(ValueError, match="attribute should not be set"):
            copied.batch_size = 3


def test_a_subclass_of_dataloader_can_wrap_its_iterator():
    from flambeau.data import dataloader

    class Doubling(DataLoader):
        def _get_iterator(self):
            passing = super()._get_iterator()
            assert isinstance(passing, dataloader._SingleProcessDataLoaderIter)
            assert isinstance(passing, dataloader._BaseDataLoaderIter)
            return (2 * batch for batch in passing)

    assert [batch.tolist() for batch in Doubling(range(4), batch_size=2)] == [[0, 2], [4, 6]]
    assert dataloader.DataLoader is DataLoader


def test_a_none_sample_suggests_a_missing_return() -> None:
    with pytest.raises(TypeError, match=r"NoneType: .* Does the dataset's __getitem__ return the sample\?"):
        list(DataLoader([None]))


def test_errors_name_arguments_of_the_wrong_type() -> None:
    with pytest.raises(TypeError, match="TensorDataset expects tensors or NumPy arrays, but argument 2 is a list"):
        TensorDataset(np.ones(2), [1, 2])
    with pytest.raises(TypeError, match="collate_fn must be a function of a list of samples, got 3"):
        DataLoader([1], collate_fn=3)


def test_a_subclass_can_override_the_collation_and_the_sampler_of_indices() -> None:
    class Batches(DataLoader[Any]):
        """Reads a whole batch by one access to the dataset."""

        @property
        def _auto_collation(self) -> bool:
            return False

        @property
        def _index_sampler(self) -> Any:
            return self.batch_sampler

    class Rows(Dataset[Any]):
        def __len__(self) -> int:
            return 4

        def __getitem__(self, index: Any) -> Any:
            return list(index)

    loader = Batches(Rows(), batch_size=2, collate_fn=lambda batch: batch)
    assert list(loader) == [[0, 1], [2, 3]]
    assert len(loader) == 2
