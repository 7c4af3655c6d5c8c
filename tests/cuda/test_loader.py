"""DataLoader(pin_memory=True): batches in page-locked memory, which a GPU copies asynchronously."""

from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np
import pytest

import flambeau as fb
from flambeau.data import DataLoader, Dataset, IterableDataset, TensorDataset


class Pair(NamedTuple):
    image: Any
    label: str


class Numbers(Dataset):
    def __init__(self, count=10):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if index == self.count - 1 and self.count == 7:
            raise OSError("sample 6 is unreadable")
        return fb.full((3,), float(index)), index


class Counted(IterableDataset):
    def __iter__(self):
        return iter(range(5))


@pytest.mark.parametrize("workers", [{}, {"num_workers": 2}, {"num_workers": 2, "workers": "thread"}])
def test_pinned_batches_equal_unpinned_ones(workers):
    options = {"batch_size": 4, "shuffle": True, "generator": 0}
    expected = [[part.tolist() for part in batch] for batch in DataLoader(Numbers(), **options)]
    loader = DataLoader(Numbers(), pin_memory=True, **options, **workers)
    batches = list(loader)
    assert len(loader) == len(batches) == 3 and all(part.is_pinned() for batch in batches for part in batch)
    assert [[part.tolist() for part in batch] for batch in batches] == expected
    assert batches[0][0].to("cuda", non_blocking=True).tolist() == expected[0][0]
    assert sum(len(batch) for batch in DataLoader(Counted(), 2, pin_memory=True, **workers)) % 5 == 0


def test_pinning_keeps_the_types_of_structures():
    class Custom:
        def __init__(self, x):
            self.x = x

        def pin_memory(self):
            return Custom(self.x.pin_memory())

    def structure(samples):
        x = fb.tensor(samples)
        return {
            "mapping": OrderedDict(a=x),
            "named": Pair(x, "text"),
            "nested": [(x, 3)],
            "array": np.ones(2),
            "own": Custom(x),
        }

    (batch,) = DataLoader(range(3), batch_size=3, collate_fn=structure, pin_memory=True)
    assert isinstance(batch["mapping"], OrderedDict) and batch["mapping"]["a"].is_pinned()
    assert isinstance(batch["named"], Pair) and batch["named"].image.is_pinned() and batch["named"].label == "text"
    assert isinstance(batch["nested"][0], tuple) and batch["nested"][0][0].is_pinned()
    assert isinstance(batch["array"], np.ndarray) and batch["own"].x.is_pinned()


@pytest.mark.parametrize("workers", [0, 1])
def test_pinning_raises_errors_of_the_dataset_in_order(workers):
    batches = iter(DataLoader(Numbers(7), 3, pin_memory=True, num_workers=workers))
    assert next(batches)[1].tolist() == [0, 1, 2] and next(batches)[1].tolist() == [3, 4, 5]
    with pytest.raises(OSError, match="sample 6 is unreadable"):
        next(batches)
    with pytest.raises(StopIteration):
        next(batches)


@pytest.mark.parametrize("workers", [0, 2])
def test_pinned_loading_resumes_at_the_batch_the_program_has_reached(workers):
    loader = DataLoader(Numbers(), 2, shuffle=True, generator=3, pin_memory=True, num_workers=workers)
    batches = iter(loader)
    first = next(batches)[1].tolist()
    state = loader.state_dict()
    rest = [batch[1].tolist() for batch in batches]
    assert len(rest) == 4 and first not in rest
    other = DataLoader(Numbers(), 2, shuffle=True, generator=5, pin_memory=True, num_workers=workers)
    other.load_state_dict(state)
    assert [batch[1].tolist() for batch in other] == rest


def test_pinning_works_with_persistent_workers_and_interrupted_passes():
    loader = DataLoader(Numbers(), 2, pin_memory=True, num_workers=1, persistent_workers=True)
    for _ in range(2):
        assert [batch[1].tolist() for batch in loader] == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
    left = iter(loader)
    next(left)
    assert len(list(loader)) == 5
    next(left)  # this batch was pinned before the other pass began
    with pytest.raises(RuntimeError, match="a later iterator over the DataLoader ended this one"):
        list(left)


def test_batches_of_a_tensor_dataset_are_pinned():
    (batch,) = DataLoader(TensorDataset(fb.arange(4.0)), 4, pin_memory=True)
    assert batch[0].is_pinned()
