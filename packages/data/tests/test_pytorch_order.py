"""Test that samplers and loaders can draw the same orders and seeds as PyTorch's.

The expected values are those of PyTorch 2.13.0 (CPU) after ``torch.manual_seed(0)``.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from flambeau.data import (
    DataLoader,
    DistributedSampler,
    RandomSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
    random_split,
)


@pytest.fixture(autouse=True)
def pytorch_streams(fb: ModuleType) -> Iterator[None]:
    fb.random.use_pytorch_streams()
    fb.manual_seed(0)
    yield
    fb.random.use_pytorch_streams(False)


def lists(loader: Any) -> list[Any]:
    return [batch.tolist() for batch in loader]


def test_shuffles_advance_the_generator_like_pytorch(fb: ModuleType) -> None:
    loader: DataLoader[Any] = DataLoader(range(8), batch_size=4, shuffle=True)
    assert lists(loader) == [[2, 0, 5, 3], [1, 4, 7, 6]]
    assert lists(loader) == [[0, 3, 7, 1], [6, 2, 5, 4]]
    assert fb.rand(1).item() == np.float32(0.455627977848053)


def test_a_generator_determines_the_shuffled_order_as_in_pytorch(fb: ModuleType) -> None:
    loader: DataLoader[Any] = DataLoader(range(6), batch_size=3, shuffle=True, generator=fb.Generator().manual_seed(5))
    assert lists(loader) == [[1, 0, 4], [2, 3, 5]]
    assert lists(loader) == [[0, 4, 5], [3, 2, 1]]


def test_samplers_draw_from_the_default_generator() -> None:
    assert list(SubsetRandomSampler([10, 20, 30, 40])) == [10, 20, 40, 30]
    assert list(WeightedRandomSampler([1.0, 2.0, 3.0], 5)) == [0, 0, 1, 0, 1]
    assert [list(part) for part in random_split(range(6), [3, 3])] == [[3, 4, 2], [0, 1, 5]]
    assert list(RandomSampler(range(5), replacement=True, num_samples=6)) == [4, 2, 2, 1, 4, 2]


def test_distributed_sampler_has_the_order_of_pytorch() -> None:
    assert list(DistributedSampler(range(6), num_replicas=2, rank=0, seed=3)) == [4, 3, 1]


def test_workers_change_neither_the_order_nor_the_random_numbers(fb: ModuleType) -> None:
    for workers in (0, 2):
        fb.manual_seed(0)
        loader: DataLoader[Any] = DataLoader(
            range(8), batch_size=4, shuffle=True, num_workers=workers, workers="thread"
        )
        assert lists(loader) == [[2, 0, 5, 3], [1, 4, 7, 6]]
        assert lists(loader) == [[0, 3, 7, 1], [6, 2, 5, 4]]
        assert fb.rand(1).item() == np.float32(0.455627977848053)


class Noise:
    """Dataset whose samples are one random number from each generator of the process."""

    def __init__(self, fb: ModuleType) -> None:
        self._fb = fb

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> tuple[float, float, float]:
        return random.random(), np.random.rand(), self._fb.rand(()).item()


def test_a_serial_loader_draws_from_the_global_generators(fb: ModuleType) -> None:
    def seed() -> None:
        random.seed(1)
        np.random.seed(1)
        fb.manual_seed(1)

    seed()
    fb.empty((), dtype=fb.int64).random_()  # the loader draws a seed for its workers here
    expected = [[random.random(), np.random.rand(), fb.rand(()).item()] for _ in range(4)]
    seed()
    read = list(DataLoader(Noise(fb), batch_size=None))
    np.testing.assert_allclose(read, expected, rtol=1e-7)


def test_an_epoch_resumes_from_a_saved_state(fb: ModuleType) -> None:
    def make() -> DataLoader[Any]:
        return DataLoader(range(9), batch_size=2, shuffle=True, generator=fb.Generator().manual_seed(3))

    loader = make()
    batches = iter(loader)
    next(batches)
    state = json.loads(json.dumps(loader.state_dict()))
    rest = lists(batches)
    again = make()
    again.load_state_dict(state)
    assert lists(again) == rest and len(rest) == 4
    assert lists(again) == lists(loader)


class SmallNoise:
    """Dataset whose samples are one random number from each generator, scaled to an integer."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> list[int]:
        import flambeau  # a spawned worker has no fixtures

        drawn = random.random(), np.random.rand(), flambeau.rand((), dtype=flambeau.float64).item()
        return [index, *(int(1000 * number) for number in drawn)]


FIRST_PASS = [[2, 213, 837, 257], [1, 773, 670, 550], [3, 276, 387, 910], [0, 163, 75, 334]]
SECOND_PASS = {
    False: [[0, 456, 977, 11], [1, 781, 238, 343], [3, 473, 873, 835], [2, 827, 225, 70]],
    True: [[3, 925, 373, 193], [2, 466, 989, 325], [0, 640, 813, 75], [1, 905, 470, 725]],
}


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("persistent", [False, True])
def test_each_worker_has_a_different_seed(fb: ModuleType, persistent: bool, method: str) -> None:
    loader: DataLoader[Any] = DataLoader(
        SmallNoise(),
        batch_size=None,
        shuffle=True,
        num_workers=2,
        persistent_workers=persistent,
        multiprocessing_context=method,
    )
    assert list(loader) == FIRST_PASS
    assert list(loader) == SECOND_PASS[persistent]


def test_an_epoch_of_persistent_workers_resumes_from_a_saved_state(fb: ModuleType) -> None:
    def make() -> DataLoader[Any]:
        return DataLoader(range(9), batch_size=2, shuffle=True, num_workers=1, persistent_workers=True)

    loader = make()
    lists(loader)
    batches = iter(loader)
    next(batches)
    state = json.loads(json.dumps(loader.state_dict()))
    rest = lists(batches)
    again = make()
    again.load_state_dict(state)
    assert lists(again) == rest and len(rest) == 4
