"""Passes over what has the private attributes of PyTorch's loader, and the kinds of passes."""

import itertools

import pytest

from flambeau.data import DataLoader, dataloader


class Described:
    """A loader of a program's own."""

    num_workers, collate_fn, pin_memory, generator, drop_last = 0, staticmethod(list), False, None, False
    timeout, worker_init_fn, prefetch_factor, persistent_workers = 0, None, 2, False
    multiprocessing_context = None
    batch_size = 2

    def __init__(self, dataset, kind, auto_collation, index_sampler=None, num_workers=0):
        self.dataset, self._dataset_kind, self._auto_collation = dataset, kind, auto_collation
        self._index_sampler, self.num_workers = index_sampler, num_workers


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_of_a_described_stream(workers):
    stream = Described([[1, 2], [3]], dataloader._DatasetKind.Iterable, False, itertools.count, workers)
    begin = dataloader._MultiProcessingDataLoaderIter if workers else dataloader._SingleProcessDataLoaderIter
    assert list(begin(stream)) == [[1, 2], [3]]
    stream = Described(range(3), dataloader._DatasetKind.Iterable, True, itertools.count, workers)
    assert list(begin(stream)) == [[0, 1], [2]]


def test_batches_of_described_indices():
    map_ = dataloader._DatasetKind.Map
    assert list(dataloader._BaseDataLoaderIter(Described("abcd", map_, True, [[2, 0], [3]]))) == [["c", "a"], ["d"]]
    assert list(dataloader._BaseDataLoaderIter(Described(["ab", "cd"], map_, False, [1]))) == [["c", "d"]]


def test_kinds_of_passes():
    serial = iter(DataLoader(range(3)))
    assert isinstance(serial, dataloader._SingleProcessDataLoaderIter)
    assert isinstance(serial, dataloader._BaseDataLoaderIter)
    assert not isinstance(serial, dataloader._MultiProcessingDataLoaderIter)
    assert not isinstance(iter([]), dataloader._BaseDataLoaderIter)
    assert isinstance(dataloader._SingleProcessDataLoaderIter(DataLoader(range(3))), dataloader._BaseDataLoaderIter)


def test_a_stream_answers_for_its_dataset():
    class Own:
        answer = 42

    stream = dataloader._Stream(Own())
    assert stream.answer == 42
    with pytest.raises(AttributeError):
        _ = stream.question


def test_a_program_derives_its_own_pass():
    class Doubled(dataloader._SingleProcessDataLoaderIter):
        def _next_data(self):
            return super()._next_data() * 2

    loader = DataLoader(range(4), batch_size=2)
    passing = Doubled(loader)
    assert isinstance(passing, dataloader._BaseDataLoaderIter) and len(passing) == 2
    assert [batch.tolist() for batch in passing] == [[0, 2], [4, 6]]
    assert not isinstance(iter(loader), Doubled)


def test_private_names_of_a_loader():
    loader = DataLoader(range(4), batch_size=2)
    assert loader._auto_collation and loader._index_sampler is loader.batch_sampler and loader._dataset_kind == 0
    one_by_one = DataLoader(range(4), batch_size=None)
    assert not one_by_one._auto_collation and one_by_one._index_sampler is one_by_one.sampler
