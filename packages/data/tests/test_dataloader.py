"""Test PyTorch's private iterator classes, also with loaders that only have its DataLoader's private attributes."""

import itertools
import queue
import threading

import pytest

from flambeau.data import BatchSampler, DataLoader, IterableDataset, SequentialSampler, dataloader
from flambeau.data._pinning import _pin_memory_loop


class Described:
    """Loader that is not a DataLoader but has its private attributes."""

    num_workers, collate_fn, pin_memory, generator, drop_last = 0, staticmethod(list), False, None, False
    timeout, worker_init_fn, prefetch_factor, persistent_workers = 0, None, 2, False
    multiprocessing_context = None
    batch_size = 2

    def __init__(self, dataset, kind, auto_collation, index_sampler=None, num_workers=0):
        self.dataset, self._dataset_kind, self._auto_collation = dataset, kind, auto_collation
        self._index_sampler, self.num_workers = index_sampler, num_workers


@pytest.mark.parametrize("workers", [0, 1])
def test_iterators_read_an_iterable_dataset_from_loader_attributes(workers):
    stream = Described([[1, 2], [3]], dataloader._DatasetKind.Iterable, False, itertools.count, workers)
    begin = dataloader._MultiProcessingDataLoaderIter if workers else dataloader._SingleProcessDataLoaderIter
    assert list(begin(stream)) == [[1, 2], [3]]
    stream = Described(range(3), dataloader._DatasetKind.Iterable, True, itertools.count, workers)
    assert list(begin(stream)) == [[0, 1], [2]]


def test_iterators_read_a_map_dataset_from_loader_attributes():
    map_ = dataloader._DatasetKind.Map
    assert list(dataloader._BaseDataLoaderIter(Described("abcd", map_, True, [[2, 0], [3]]))) == [["c", "a"], ["d"]]
    assert list(dataloader._BaseDataLoaderIter(Described(["ab", "cd"], map_, False, [1]))) == [["c", "d"]]


def test_serial_and_parallel_loaders_have_their_iterator_classes():
    serial = iter(DataLoader(range(3)))
    assert isinstance(serial, dataloader._SingleProcessDataLoaderIter)
    assert isinstance(serial, dataloader._BaseDataLoaderIter)
    assert not isinstance(serial, dataloader._MultiProcessingDataLoaderIter)
    assert not isinstance(iter([]), dataloader._BaseDataLoaderIter)
    assert isinstance(dataloader._SingleProcessDataLoaderIter(DataLoader(range(3))), dataloader._BaseDataLoaderIter)


def test_the_wrapper_of_an_iterable_dataset_forwards_its_attributes():
    class Own:
        answer = 42

    stream = dataloader._Stream(Own())
    assert stream.answer == 42
    with pytest.raises(AttributeError):
        _ = stream.question


def test_the_iterator_class_can_be_subclassed():
    class Doubled(dataloader._SingleProcessDataLoaderIter):
        def _next_data(self):
            return super()._next_data() * 2

    loader = DataLoader(range(4), batch_size=2)
    passing = Doubled(loader)
    assert isinstance(passing, dataloader._BaseDataLoaderIter) and len(passing) == 2
    assert [batch.tolist() for batch in passing] == [[0, 2], [4, 6]]
    assert not isinstance(iter(loader), Doubled)


def test_a_loader_has_the_private_attributes_of_pytorch():
    loader = DataLoader(range(4), batch_size=2)
    assert loader._auto_collation and loader._index_sampler is loader.batch_sampler and loader._dataset_kind == 0
    one_by_one = DataLoader(range(4), batch_size=None)
    assert not one_by_one._auto_collation and one_by_one._index_sampler is one_by_one.sampler


def test_a_loader_of_a_stream_has_a_sampler_without_indices():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter(range(3))

    loader = DataLoader(Stream(), batch_size=2)
    assert type(loader.sampler) is dataloader._InfiniteConstantSampler
    assert type(loader.sampler).__name__ == "_InfiniteConstantSampler"
    assert loader.batch_sampler.sampler is loader.sampler and loader._auto_collation
    assert next(iter(loader.batch_sampler)) == [None, None]
    assert [batch.tolist() for batch in loader] == [[0, 1], [2]]
    assert not DataLoader(Stream(), batch_size=None)._auto_collation


def test_subclasses_can_change_fixed_options_while_the_loader_is_not_initialized():
    loader = DataLoader(range(4), batch_size=2)
    assert loader._DataLoader__initialized and not DataLoader._DataLoader__initialized
    loader._DataLoader__initialized = False
    loader.batch_sampler = BatchSampler(SequentialSampler(range(4)), 3, False)
    loader._DataLoader__initialized = True
    assert [batch.tolist() for batch in loader] == [[0, 1, 2], [3]]


@pytest.mark.parametrize("num_workers", [0, 1])
def test_iterators_count_their_batches(num_workers):
    batches = iter(DataLoader(range(4), batch_size=2, num_workers=num_workers))
    next(batches)
    assert batches._num_yielded == 1
    if num_workers:
        batches._shutdown_workers()
        assert list(batches) == []


def test_a_loader_without_workers_rejects_a_multiprocessing_context():
    loader = DataLoader(range(4))
    with pytest.raises(ValueError, match="multi-process loading"):
        loader.multiprocessing_context = "spawn"


class Reading(dataloader._BaseDataLoaderIter):
    """Iterator that gets indices from the sampler and reads the dataset itself, after skipping some batches."""

    def __init__(self, loader, skipped=0):
        super().__init__(loader)
        kind, collation = self._dataset_kind, self._auto_collation
        create = dataloader._DatasetKind.create_fetcher
        self.fetcher = create(kind, self._dataset, collation, self._collate_fn, self._drop_last)
        for _ in range(skipped):
            self._next_index()

    def _next_data(self):
        return self.fetcher.fetch(self._next_index())


class OwnLoader(DataLoader):
    """DataLoader that sets PyTorch's attributes itself, like libraries that copy PyTorch's constructor."""

    def __init__(self, dataset, batch_size, drop_last=False, num_workers=0):
        self.dataset, self.num_workers, self.drop_last = dataset, num_workers, drop_last
        self.collate_fn, self.pin_memory, self.generator, self.timeout = list, False, None, 0
        self.worker_init_fn, self.prefetch_factor, self.persistent_workers = None, None, False
        self.multiprocessing_context = "fork" if num_workers else None
        self._dataset_kind = int(isinstance(dataset, IterableDataset))
        self.sampler = dataloader._InfiniteConstantSampler() if self._dataset_kind else SequentialSampler(dataset)
        self.batch_size, self.batch_sampler = batch_size, BatchSampler(self.sampler, batch_size, drop_last)

    def __iter__(self):
        return Reading(self)


class Letters(IterableDataset):
    def __iter__(self):
        return iter("abcde")


def test_a_subclassed_iterator_uses_its_sampler():
    passing = Reading(DataLoader("abcde", batch_size=2, collate_fn=list), skipped=1)
    assert list(passing) == [["c", "d"], ["e"]] and passing._num_yielded == 2 and len(passing) == 3
    passing._reset(DataLoader("abcde"))
    assert next(passing) == ["a", "b"] and passing._num_yielded == 1
    with pytest.raises(NotImplementedError, match="must define _next_data"):
        dataloader._BaseDataLoaderIter.__next__(object.__new__(type("Empty", (dataloader._BaseDataLoaderIter,), {})))


def test_a_subclass_of_dataloader_may_skip_the_base_constructor():
    assert list(OwnLoader("abcde", 2)) == [["a", "b"], ["c", "d"], ["e"]]
    assert list(OwnLoader("abcde", 2, drop_last=True)) == [["a", "b"], ["c", "d"]]
    assert list(OwnLoader(Letters(), 2)) == [["a", "b"], ["c", "d"], ["e"]]
    assert list(OwnLoader(Letters(), 2, drop_last=True)) == [["a", "b"], ["c", "d"]]
    assert len(OwnLoader("abcde", 2)) == 3


@pytest.mark.parametrize("workers", [0, 1])
def test_a_subclass_of_dataloader_may_override_iter(workers):
    begin = dataloader._MultiProcessingDataLoaderIter if workers else dataloader._SingleProcessDataLoaderIter
    assert list(begin(OwnLoader("abcde", 2, num_workers=workers))) == [["a", "b"], ["c", "d"], ["e"]]


def test_the_iterator_of_an_iterable_fetcher_can_be_replaced():
    fetcher = dataloader._DatasetKind.create_fetcher(dataloader._DatasetKind.Iterable, Letters(), True, list, False)
    assert fetcher.fetch([None, None]) == ["a", "b"]
    fetcher.dataset_iter = iter("xyz")
    assert [fetcher.fetch([None, None]), fetcher.fetch([None, None])] == [["x", "y"], ["z"]] and fetcher.ended
    with pytest.raises(StopIteration):
        fetcher.fetch([None])


def test_the_pin_memory_thread_passes_batches_from_queue_to_queue():
    incoming, outgoing, done = queue.Queue(), queue.Queue(), threading.Event()
    thread = threading.Thread(target=_pin_memory_loop, args=(incoming, outgoing, 0, done))
    thread.start()
    incoming.put((3, ({"words": ["a"]}, 1)))
    assert outgoing.get(timeout=60) == (3, ({"words": ["a"]}, 1))
    done.set()
    incoming.put((None, None))
    thread.join(timeout=60)
    assert not thread.is_alive() and outgoing.empty()


def test_multiprocessing_context_can_be_assigned_by_name():
    loader = DataLoader(range(3), num_workers=1)
    assert loader.multiprocessing_context is None
    loader.multiprocessing_context = "spawn"
    assert loader.multiprocessing_context.get_start_method() == "spawn"
    with pytest.raises(ValueError, match="multiprocessing_context"):
        loader.multiprocessing_context = "borrow"


def test_too_many_workers_cause_a_warning():
    with pytest.warns(
        UserWarning,
        match="will create 100000 worker processes in total.*excessive worker creation might get DataLoader",
    ):
        DataLoader(range(3), num_workers=100_000).check_worker_number_rationality()
