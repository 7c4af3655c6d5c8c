"""Test that a loader saved in the middle of a pass continues with the next batch."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from flambeau.data import DataLoader, Dataset, IterableDataset, RandomSampler, Sampler


class Augmented(Dataset[Any]):
    """Dataset of random numbers that counts how often it is read."""

    def __init__(self) -> None:
        self.reads = 0

    def __len__(self) -> int:
        return 23

    def __getitem__(self, index: int) -> tuple[int, float]:
        self.reads += 1
        return index, random.random()


def lists(batches: Any) -> list[Any]:
    return [[column.tolist() for column in batch] for batch in batches]


def loader(generator: Any = 4, **options: Any) -> DataLoader[Any]:
    return DataLoader(Augmented(), 4, shuffle=True, generator=generator, **options)


@pytest.mark.parametrize("delivered", [0, 1, 3, 5])
@pytest.mark.parametrize("num_workers", [0, 2])
def test_resuming_reproduces_the_rest_of_the_epoch_and_later_epochs(delivered: int, num_workers: int) -> None:
    first = loader(num_workers=num_workers)
    lists(first)
    batches = iter(first)
    lists(next(batches) for _ in range(delivered))
    state = json.loads(json.dumps(first.state_dict()))
    rest, after = lists(batches), lists(first)

    second = loader(9, num_workers=2 - num_workers)
    second.load_state_dict(state)
    assert second.state_dict() == state
    assert lists(second) == rest and len(rest) == 6 - delivered
    assert lists(second) == after


def test_resuming_does_not_reload_samples() -> None:
    first = loader()
    batches = iter(first)
    next(batches)
    state = first.state_dict()
    second = loader()
    second.load_state_dict(state)
    list(second)
    assert second.dataset.reads == 19


def test_a_loader_resumes_between_epochs() -> None:
    first = loader()
    lists(first)
    state = first.state_dict()
    second = loader()
    second.load_state_dict(state)
    assert lists(second) == lists(first)


def test_a_resumed_epoch_can_be_saved_again() -> None:
    first = loader()
    batches = iter(first)
    next(batches)
    second = loader()
    second.load_state_dict(first.state_dict())
    others = iter(second)
    next(batches), next(others)
    assert second.state_dict() == first.state_dict()
    third = loader()
    third.load_state_dict(second.state_dict())
    assert lists(third) == lists(batches)


def test_resuming_does_not_change_the_generators_of_the_process() -> None:
    random.seed(3)
    np.random.seed(3)
    first = loader(None)
    batches = iter(first)
    next(batches)
    state, rest = first.state_dict(), lists(batches)
    random.seed(8)
    np.random.seed(8)
    second = loader(None)
    second.load_state_dict(state)
    assert lists(second) == rest
    numbers = random.random(), np.random.rand()
    random.seed(8)
    np.random.seed(8)
    assert numbers == (random.random(), np.random.rand())


class ShuffledSampler(Sampler[int]):
    def __iter__(self) -> Iterator[int]:
        order = list(range(23))
        random.shuffle(order)
        return iter(order)


@pytest.mark.parametrize(
    "options",
    [
        {"sampler": ShuffledSampler()},
        {"sampler": RandomSampler(range(23), replacement=True, generator=2)},
        {"sampler": RandomSampler(range(23), num_samples=50, generator=np.random.default_rng(2))},
    ],
)
def test_a_loader_with_any_sampler_resumes(options: dict[str, Any]) -> None:
    first = DataLoader(Augmented(), 4, **options)
    batches = iter(first)
    next(batches), next(batches)
    state, rest = first.state_dict(), lists(batches)
    first.load_state_dict(state)
    assert lists(first) == rest


def test_resuming_an_iterable_dataset_reads_from_its_beginning() -> None:
    class Stream(IterableDataset[int]):
        def __iter__(self) -> Iterator[int]:
            return iter(range(10))

    for num_workers in (0, 1):
        first = DataLoader(Stream(), 3, num_workers=num_workers)
        batches = iter(first)
        next(batches)
        state, rest = first.state_dict(), [batch.tolist() for batch in batches]
        first.load_state_dict(state)
        assert [batch.tolist() for batch in first] == rest == [[3, 4, 5], [6, 7, 8], [9]]


def test_a_state_of_a_different_loader_is_rejected() -> None:
    state = loader().state_dict()
    for wrong in (None, {}, {"delivered": 1}):
        with pytest.raises(TypeError, match=r"load_state_dict expects a result of DataLoader.state_dict\(\)"):
            loader().load_state_dict(wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="with 6 batches, but this one has 8"):
        DataLoader(range(23), 3, shuffle=True, generator=0).load_state_dict(state)
    with pytest.raises(ValueError, match="by a DataLoader with 1 generators, but this one has 0"):
        loader(None).load_state_dict(state)
