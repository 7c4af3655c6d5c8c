from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from flambeau.data import (
    Batch,
    ChainDataset,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)


def rows() -> TensorDataset:
    return TensorDataset(np.arange(12.0).reshape(6, 2), np.arange(6))


def test_a_sample_of_a_tensor_dataset_has_a_row_of_each_tensor() -> None:
    values, label = rows()[4]
    assert values.tolist() == [8.0, 9.0] and int(label) == 4
    assert len(rows()) == 6
    assert int(rows()[-1][1]) == 5
    with pytest.raises(IndexError):
        rows()[6]


@pytest.mark.parametrize("shapes", [[], [(3,), (4,)], [()]])
def test_tensors_without_a_common_first_dimension_are_rejected(shapes: list[tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="same first dimension"):
        TensorDataset(*[np.zeros(shape) for shape in shapes])


def test_getitems_of_a_tensor_dataset_returns_a_batch_that_acts_as_a_list() -> None:
    batch = rows().__getitems__([5, 0, 5])
    assert isinstance(batch, Batch) and len(batch) == 3
    assert [(values.tolist(), int(label)) for values, label in batch] == [([10, 11], 5), ([0, 1], 0), ([10, 11], 5)]
    assert [int(label) for _, label in batch[1:]] == [0, 5]
    assert int(batch[-1][1]) == 5


def test_concat_dataset_finds_the_dataset_of_an_index() -> None:
    joined = ConcatDataset(["ab", "", "cde"])
    assert [joined[i] for i in range(-5, 5)] == list("abcde") * 2
    assert joined.cumulative_sizes == [2, 2, 5]
    for index in (5, -6):
        with pytest.raises(IndexError, match=f"index {index} is out of range for a ConcatDataset of 5"):
            joined[index]


def test_concat_dataset_rejects_empty_lists_and_iterable_datasets() -> None:
    with pytest.raises(ValueError, match="datasets should not be an empty iterable"):
        ConcatDataset([])
    with pytest.raises(AssertionError, match="ConcatDataset does not support IterableDataset"):
        ConcatDataset(["ab", IterableDataset()])


def test_adding_two_datasets_concatenates_them() -> None:
    joined = rows() + rows()
    assert isinstance(joined, ConcatDataset) and len(joined) == 12


def test_getitems_of_a_subset_calls_getitems_of_its_dataset() -> None:
    subset = Subset(Subset(rows(), [5, 3, 1]), [2, 0])
    assert len(subset) == 2 and int(subset[1][1]) == 5
    assert isinstance(subset.__getitems__([0, 1]), Batch)
    assert Subset("abc", [2, 1]).__getitems__([1, 0]) == ["b", "c"]


def test_a_subset_of_a_subset_is_sliced_like_its_dataset() -> None:
    samples = np.arange(10) ** 2
    inner = Subset(TensorDataset(samples), [5, 3, 1, 7])
    (chosen,) = Subset(inner, [2, 0, 3])[1:]
    assert np.asarray(chosen).tolist() == samples[[5, 7]].tolist()


@pytest.mark.filterwarnings("ignore:Length of split")
@pytest.mark.parametrize(
    ("lengths", "sizes"),
    [([7, 3], [7, 3]), ([0.5, 0.5], [5, 5]), ([1 / 3, 1 / 3, 1 / 3], [4, 3, 3]), ([1, 0], [10, 0]), ([0, 10], [0, 10])],
)
def test_random_split_is_a_partition(lengths: list[float], sizes: list[int]) -> None:
    parts = random_split(range(10), lengths, generator=0)
    assert [len(part) for part in parts] == sizes
    assert sorted(sample for part in parts for sample in part) == list(range(10))
    again = random_split(range(10), lengths, generator=0)
    assert [part.indices for part in parts] == [part.indices for part in again]


def test_random_split_warns_of_an_empty_part() -> None:
    with pytest.warns(UserWarning, match="Length of split at index 1 is 0"):
        assert [len(part) for part in random_split(range(2), [0.9, 0.1])] == [2, 0]


def test_random_split_shuffles() -> None:
    (part,) = random_split(range(1000), [1000], generator=1)
    assert part.indices != list(range(1000))


@pytest.mark.parametrize("lengths", [[7, 4], [0.5, 0.4], [11, -1], [float("nan"), 1.0], [float("inf")]])
def test_random_split_rejects_lengths_that_do_not_add_up(lengths: list[float]) -> None:
    with pytest.raises(ValueError, match=r"lengths must|fractions must"):
        random_split(range(10), lengths)


def test_errors_name_the_missing_methods_of_a_dataset() -> None:
    class Empty(Dataset[int]):
        pass

    class Silent(IterableDataset[int]):
        pass

    with pytest.raises(NotImplementedError, match=r"Empty must define __getitem__"):
        Empty()[0]
    with pytest.raises(NotImplementedError, match=r"Silent must define __iter__"):
        iter(Silent())


def test_stack_dataset_returns_tuples_or_dictionaries_of_samples() -> None:
    stacked = StackDataset(rows(), list("abcdef"))
    (values, label), letter = stacked[2]
    assert (values.tolist(), int(label), letter) == ([4.0, 5.0], 2, "c") and len(stacked) == 6
    named = StackDataset(row=rows(), letter="abcdef")
    assert [sample["letter"] for sample in named.__getitems__([5, 0])] == ["f", "a"] and named[1]["letter"] == "b"
    batch = next(iter(DataLoader(named, 3)))
    assert batch["letter"] == ["a", "b", "c"] and batch["row"][1].tolist() == [0, 1, 2]


def test_stack_dataset_requires_equal_lengths() -> None:
    with pytest.raises(ValueError, match=r"expects equal lengths, got \[6, 2\]"):
        StackDataset(rows(), "ab")
    with pytest.raises(ValueError, match="either by position or by name, got none"):
        StackDataset()
    with pytest.raises(ValueError, match="either by position or by name, got both"):
        StackDataset("ab", c="cd")


class Letters(IterableDataset[str]):
    def __init__(self, letters: str) -> None:
        self.letters = letters

    def __iter__(self) -> Iterator[str]:
        return iter(self.letters)

    def __len__(self) -> int:
        return len(self.letters)


def test_chain_dataset_concatenates_iterable_datasets() -> None:
    chain = Letters("ab") + Letters("c")
    assert isinstance(chain, ChainDataset) and list(chain) == list(chain) == ["a", "b", "c"] and len(chain) == 3
    assert list(DataLoader(chain, 2)) == [["a", "b"], ["c"]]
    with pytest.raises(AssertionError, match="ChainDataset only supports IterableDataset, got list"):
        list(ChainDataset([Letters("a"), ["b"]]))
