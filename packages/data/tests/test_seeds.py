"""Test that the random numbers of a sample depend only on the pass and the index."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from flambeau.data import DataLoader, Dataset, Subset, TensorDataset
from flambeau.data.worker import _generate_state


class Drawing(Dataset[Any]):
    """Dataset that draws a random number for each sample from index ``first`` on."""

    def __init__(self, draw: Callable[[], float], first: int = 0) -> None:
        self.draw = draw
        self.first = first
        self.read: list[int] = []

    def __len__(self) -> int:
        return 24

    def __getitem__(self, index: int) -> tuple[int, float]:
        self.read.append(index)
        return index, self.draw() if index >= self.first else 0.0


DRAWS = [random.random, np.random.rand, lambda: np.random.randn() + random.gauss()]


def by_index(loader: DataLoader[Any]) -> dict[int, float]:
    columns = [(indices.tolist(), numbers.tolist()) for indices, numbers in loader]
    return {index: number for batch in columns for index, number in zip(*batch, strict=True)}


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("first", [0, 5, 17])
def test_samples_do_not_depend_on_order_batches_or_workers(draw: Callable[[], float], first: int) -> None:
    expected = by_index(DataLoader(Drawing(draw, first), 1, generator=3))
    assert len(set(expected.values())) == 24 - first + (first > 0)
    for options in ({"batch_size": 5}, {"batch_size": 4, "shuffle": True}, {"batch_size": 3, "num_workers": 2}):
        assert by_index(DataLoader(Drawing(draw, first), generator=3, **options)) == expected


def test_random_tensors_in_samples_do_not_depend_on_workers(fb: ModuleType) -> None:
    expected = by_index(DataLoader(Drawing(lambda: fb.rand(()).item()), 1, generator=3))
    assert len(set(expected.values())) == 24
    loader = DataLoader(Drawing(lambda: fb.rand(()).item()), 5, generator=3, num_workers=2, shuffle=True)
    assert by_index(loader) == expected


def test_random_numbers_differ_between_epochs_and_seeds() -> None:
    loader = DataLoader(Drawing(random.random), 4, generator=3)
    first, second = by_index(loader), by_index(loader)
    third = by_index(DataLoader(Drawing(random.random), 4, generator=4))
    assert not set(first.values()) & set(second.values()) and not set(first.values()) & set(third.values())


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("first", [0, 5])
def test_loading_does_not_change_the_global_generators(draw: Callable[[], float], first: int) -> None:
    def numbers() -> tuple[float, float, float]:
        return random.random(), np.random.rand(), random.gauss(0, 1)

    random.seed(1)
    np.random.seed(1)
    expected = [numbers() for _ in range(7)]
    random.seed(1)
    np.random.seed(1)
    found = [numbers()] + [numbers() for _ in DataLoader(Drawing(draw, first), 4, generator=0)]
    assert found == expected


def test_datasets_without_random_numbers_are_read_once() -> None:
    dataset = Drawing(lambda: 0.0)
    list(DataLoader(dataset, 4))
    assert dataset.read == list(range(24))


def test_datasets_that_always_draw_random_numbers_are_read_once() -> None:
    dataset = Drawing(random.random)
    list(DataLoader(dataset, 4))
    assert dataset.read == list(range(24))


def test_a_batch_is_read_again_if_a_later_sample_is_the_first_to_draw() -> None:
    dataset = Drawing(random.random, first=10)
    loader = DataLoader(dataset, 4)
    list(loader)
    assert dataset.read == [*range(12), *range(8, 24)]
    dataset.read.clear()
    list(loader)
    assert dataset.read == list(range(24))


def test_random_numbers_in_collate_fn_do_not_depend_on_workers() -> None:
    def mix(samples: Sequence[Any]) -> list[float]:
        return [len(samples), random.random()]

    expected = list(DataLoader(TensorDataset(np.arange(9)), 2, collate_fn=mix, generator=1))
    assert len({number for _, number in expected}) == 5
    assert list(DataLoader(TensorDataset(np.arange(9)), 2, collate_fn=mix, generator=1, num_workers=2)) == expected


def test_random_numbers_of_a_subset_depend_on_the_index_in_the_subset() -> None:
    subset = Subset(Drawing(random.random), [7, 3, 5])
    expected = list(by_index(DataLoader(Drawing(random.random), 1, generator=2)).values())[:3]
    assert list(by_index(DataLoader(subset, 3, generator=2)).values()) == expected


def test_a_sample_that_fails_draws_its_own_random_numbers() -> None:
    class Failing(Drawing):
        def __getitem__(self, index: int) -> Any:
            if index == 9:
                raise ValueError(str(random.random()))
            return index, 0.0

    messages = set()
    for options in ({"batch_size": 1}, {"batch_size": 4}, {"batch_size": 4, "num_workers": 2}):
        with pytest.raises(ValueError, match=r"0\.\d+") as caught:
            list(DataLoader(Failing(random.random), generator=2, **options))
        messages.add(str(caught.value))
    assert len(messages) == 1


def test_keys_of_any_type_determine_the_random_numbers() -> None:
    class Keyed(Dataset[Any]):
        def __getitem__(self, key: str) -> tuple[int, float]:
            return ord(key), random.random()

    def read(num_workers: int) -> dict[int, float]:
        return by_index(DataLoader(Keyed(), 2, sampler=list("abcd"), generator=1, num_workers=num_workers))

    assert read(0) == read(2) and len(set(read(0).values())) == 4


def test_generated_numpy_seeds_equal_those_of_pytorch() -> None:
    # Computed by PyTorch 2.13's torch.utils.data._utils.worker._generate_state.
    assert _generate_state(12345, 3) == [388367306, 2732186161, 3264781304, 1215154576]
    assert _generate_state(2**63 - 1, 7) == [3706660862, 1642455348, 3333652763, 3068748488]
