from __future__ import annotations

import importlib
import sys
from collections import Counter
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from flambeau.data import (
    BatchSampler,
    DataLoader,
    DistributedSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)


def test_sequential_sampler_yields_indices_in_order() -> None:
    sampler = SequentialSampler("abcd")
    assert list(sampler) == [0, 1, 2, 3] and len(sampler) == 4


def test_a_random_sampler_shuffles_differently_each_time() -> None:
    sampler = RandomSampler(range(100), generator=0)
    first, second = list(sampler), list(sampler)
    assert sorted(first) == sorted(second) == list(range(100))
    assert first != second
    assert all(type(index) is int for index in first)


def test_a_seed_is_equivalent_to_a_numpy_generator_with_that_seed() -> None:
    rng = np.random.default_rng(7)
    expected = [rng.permutation(50).tolist() for _ in range(2)]
    seeded = RandomSampler(range(50), generator=7)
    passed = RandomSampler(range(50), generator=np.random.default_rng(7))
    assert [list(seeded), list(seeded)] == [list(passed), list(passed)] == expected


def test_samplers_without_a_generator_use_the_global_seed(has_tensors: bool) -> None:
    seed = importlib.import_module("flambeau").manual_seed if has_tensors else np.random.seed
    seed(3)
    first = list(RandomSampler(range(50)))
    second = list(RandomSampler(range(50)))
    seed(3)
    assert list(RandomSampler(range(50))) == first != second


def test_samplers_accept_a_flambeau_generator(fb: ModuleType) -> None:
    def order(seed: int) -> list[list[int]]:
        loader = DataLoader(range(50), batch_size=None, shuffle=True, generator=fb.Generator().manual_seed(seed))
        return [list(loader), list(loader)]

    assert order(1) == order(1) != order(2)
    assert order(1)[0] != order(1)[1]


@pytest.mark.parametrize("generator", ["0", 1.5, True, object()])
def test_other_types_of_generator_are_rejected(generator: object) -> None:
    with pytest.raises(TypeError, match=f"generator must be .* got {type(generator).__name__}"):
        RandomSampler(range(3), generator=generator)


def test_drawing_with_replacement_repeats_indices() -> None:
    drawn = list(RandomSampler(range(3), replacement=True, num_samples=3000, generator=0))
    assert len(drawn) == 3000 and set(drawn) == {0, 1, 2}
    assert all(900 < count < 1100 for count in Counter(drawn).values())
    assert drawn != sorted(drawn)


def test_more_samples_than_the_source_are_drawn_as_repeated_shuffles() -> None:
    sampler = RandomSampler(range(4), num_samples=10, generator=0)
    drawn = list(sampler)
    assert len(sampler) == len(drawn) == 10
    assert sorted(drawn[:4]) == sorted(drawn[4:8]) == [0, 1, 2, 3]
    assert len(set(drawn[8:])) == 2


def test_samplers_accept_an_empty_data_source() -> None:
    for sampler in (RandomSampler([]), RandomSampler([], replacement=True), SubsetRandomSampler([])):
        assert list(sampler) == [] and len(sampler) == 0
    assert list(DistributedSampler([], num_replicas=2, rank=1)) == []
    with pytest.raises(ValueError, match="cannot draw 2 samples from an empty"):
        list(RandomSampler([], num_samples=2))


def test_subset_random_sampler_yields_the_indices_in_a_new_order_each_time() -> None:
    sampler = SubsetRandomSampler(list(range(100, 200)), generator=0)
    first, second = list(sampler), list(sampler)
    assert sorted(first) == sorted(second) == list(range(100, 200))
    assert first != second and len(sampler) == 100


def test_weights_determine_the_frequencies_of_samples() -> None:
    sampler = WeightedRandomSampler([1.0, 0.0, 3.0], num_samples=4000, generator=0)
    count = Counter(sampler)
    assert len(sampler) == 4000 == sum(count.values())
    assert count[1] == 0 and 2900 < count[2] < 3100
    assert sorted(WeightedRandomSampler([1, 2, 0, 4], 3, replacement=False)) == [0, 1, 3]


@pytest.mark.parametrize("weights", [[-1.0, 2.0], [0.0, 0.0], [float("nan")], [float("inf")], [[1.0]]])
def test_invalid_weights_are_rejected(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weights must be"):
        WeightedRandomSampler(weights, 1)


def test_drawing_too_many_samples_without_replacement_is_rejected() -> None:
    with pytest.raises(
        ValueError, match="cannot draw 3 samples without replacement: the number of nonzero weights is 2"
    ):
        WeightedRandomSampler([1, 1, 0], 3, replacement=False)


@pytest.mark.parametrize(
    ("drop_last", "expected"), [(False, [[0, 1, 2], [3, 4, 5], [6]]), (True, [[0, 1, 2], [3, 4, 5]])]
)
def test_batch_sampler_groups_indices(drop_last: bool, expected: list[list[int]]) -> None:
    sampler = BatchSampler(SequentialSampler(range(7)), 3, drop_last)
    assert list(sampler) == list(sampler) == expected and len(sampler) == len(expected)


@pytest.mark.parametrize("size", [0, -1, 2.0, True, "3"])
def test_batch_sampler_requires_a_positive_int_as_size(size: object) -> None:
    with pytest.raises(ValueError, match=f"batch_size should be a positive integer value, but got batch_size={size!r}"):
        BatchSampler(range(3), size, False)
    with pytest.raises(ValueError, match="num_samples should be a positive integer value"):
        RandomSampler(range(3), num_samples=size)


def test_a_sampler_without_iter_raises() -> None:
    with pytest.raises(NotImplementedError, match="Sampler must define __iter__"):
        iter(Sampler())


def test_custom_samplers_may_pass_the_data_source() -> None:
    class Backwards(Sampler[int]):
        def __init__(self, data_source: str) -> None:
            super().__init__(data_source)
            self.size = len(data_source)

        def __iter__(self) -> Iterator[int]:
            return iter(range(self.size - 1, -1, -1))

    assert [batch.tolist() for batch in DataLoader(range(4), 2, sampler=Backwards("abcd"))] == [[3, 2], [1, 0]]


@pytest.mark.parametrize(
    "sampler",
    [RandomSampler(range(9)), SubsetRandomSampler(range(9)), WeightedRandomSampler([1.0] * 9, 9, replacement=False)],
)
def test_samplers_draw_when_the_first_index_is_requested(sampler: Sampler[int], has_tensors: bool) -> None:
    seed = importlib.import_module("flambeau").manual_seed if has_tensors else np.random.seed
    first, second = iter(sampler), iter(sampler)
    seed(3)
    expected = list(first)
    seed(3)
    assert list(second) == expected


def test_replacement_must_be_a_bool() -> None:
    with pytest.raises(TypeError, match="replacement should be a boolean value, but got replacement=3"):
        RandomSampler(range(3), 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="replacement should be a boolean value, but got replacement=1"):
        WeightedRandomSampler([0.5, 0.5], 3, 1)  # type: ignore[arg-type]


def shares(size: int, **options: Any) -> list[list[int]]:
    samplers = [DistributedSampler(range(size), 3, rank, **options) for rank in range(3)]
    assert all(len(sampler) == len(list(sampler)) for sampler in samplers)
    return [list(sampler) for sampler in samplers]


def test_distributed_sampler_divides_the_indices_among_processes() -> None:
    assert shares(7, shuffle=False) == [[0, 3, 6], [1, 4, 0], [2, 5, 1]]
    assert shares(7, shuffle=False, drop_last=True) == [[0, 3], [1, 4], [2, 5]]
    assert shares(2, shuffle=False) == [[0], [1], [0]]
    shuffled = shares(30)
    assert sorted(index for share in shuffled for index in share) == list(range(30)) and shuffled != shares(30, seed=1)


def test_distributed_sampler_shuffles_each_epoch_differently() -> None:
    sampler = DistributedSampler(range(50), 2, 0)
    first = list(sampler)
    assert list(sampler) == first
    sampler.set_epoch(1)
    assert list(sampler) != first
    sampler.set_epoch(0)
    assert list(sampler) == first


def test_distributed_sampler_requires_a_rank_and_a_number_of_replicas() -> None:
    with pytest.raises(RuntimeError, match=r"DistributedSampler needs num_replicas=\.\.\. .* and rank=\.\.\."):
        DistributedSampler(range(4))
    for rank in (-1, 2):
        with pytest.raises(ValueError, match=f"Invalid rank {rank}, rank should be in the interval"):
            DistributedSampler(range(4), 2, rank)
    with pytest.raises(ValueError, match="num_replicas should be a positive integer value"):
        DistributedSampler(range(4), 0, 0)


def test_distributed_sampler_reads_its_rank_from_the_process_group(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = SimpleNamespace(is_initialized=lambda: True, get_world_size=lambda: 3, get_rank=lambda: 2)
    monkeypatch.setitem(sys.modules, "flambeau.distributed", distributed)
    assert list(DistributedSampler(range(9), shuffle=False)) == [2, 5, 8]
    assert list(DistributedSampler(range(9), rank=1, shuffle=False)) == [1, 4, 7]
    assert list(DistributedSampler(range(9), 9, shuffle=False)) == [2]


def test_subclasses_of_the_distributed_sampler_may_set_its_sizes():
    class Own(DistributedSampler):
        def __init__(self):
            self.dataset, self.num_replicas, self.rank, self.epoch, self.seed = [1, 2, 3], 2, 0, 0, 0
            self.drop_last = self.shuffle = False
            self.num_samples, self.total_size = 2, 4

    assert len(Own()) == 2 and list(Own()) == [0, 2]
