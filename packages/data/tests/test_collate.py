from __future__ import annotations

import dataclasses
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pytest

from flambeau.data import Batch, default_collate, default_collate_fn_map, default_convert
from flambeau.data.collate import collate, np_str_obj_array_pattern

Same: TypeAlias = Callable[[Any, np.ndarray], bool]


class Point(NamedTuple):
    x: Any
    y: Any


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        ([1, 2, 3], np.array([1, 2, 3], dtype=np.int64)),
        ([1.0, 2.5], np.array([1.0, 2.5])),
        ([1, 2.5], np.array([1.0, 2.5], dtype=np.float32)),
        ([1.0, 2], np.array([1.0, 2.0])),
        ([True, False], np.array([True, False])),
        ([True, 2], np.array([1, 2], dtype=np.int64)),
        ([np.float32(1), np.float32(2)], np.array([1, 2], dtype=np.float32)),
        ([np.int16(1), 2], np.array([1, 2], dtype=np.int64)),
        ([np.zeros((2, 3), np.uint8)] * 2, np.zeros((2, 2, 3), np.uint8)),
        ([np.arange(4)[::-1], np.arange(4)], np.array([[3, 2, 1, 0], [0, 1, 2, 3]])),
    ],
)
def test_numbers_and_arrays_are_stacked(batch: list[Any], expected: np.ndarray, same: Same) -> None:
    assert same(default_collate(batch), expected)


def test_strings_are_not_stacked() -> None:
    assert default_collate(["a", "b"]) == ["a", "b"]
    assert default_collate((b"a", b"b")) == (b"a", b"b")
    words = np.array(["a", "b"])
    assert default_collate(words) is words


def test_nested_structures_are_collated_element_by_element(same: Same) -> None:
    sample = {"image": np.ones(2), "meta": [("a", 1), ("b", 2)], "point": Point(1, 2.0)}
    batch = default_collate([sample, sample])
    assert same(batch["image"], np.ones((2, 2)))
    (names, numbers), second = batch["meta"]
    assert names == ("a", "a") and same(numbers, np.array([1, 1])) and second[0] == ("b", "b")
    assert type(batch["point"]) is Point and same(batch["point"].y, np.array([2.0, 2.0]))


def test_tuples_become_a_list_and_a_mapping_keeps_its_type(same: Same) -> None:
    assert type(default_collate([(1, 2), (3, 4)])) is list
    ordered = OrderedDict(a=1)
    batch = default_collate([ordered, ordered])
    assert type(batch) is OrderedDict and same(batch["a"], np.array([1, 1])) and ordered == {"a": 1}


@dataclasses.dataclass(frozen=True)
class Record:
    x: Any
    name: str


def test_dataclasses_keep_their_type(same: Same) -> None:
    batch = default_collate([Record(1.0, "a"), Record(2.0, "b")])
    assert type(batch) is Record and same(batch.x, np.array([1.0, 2.0])) and batch.name == ["a", "b"]
    with pytest.raises(TypeError, match=r"cannot collate NoneType at sample\.x"):
        default_collate([Record(None, "a")])


def test_deques_and_ranges_are_collated(same: Same) -> None:
    batch = default_collate([deque([1, "a"]), deque([2, "b"])])
    assert type(batch) is deque and same(batch[0], np.array([1, 2])) and batch[1] == ("a", "b")
    assert [column.tolist() for column in default_collate([range(2), range(2)])] == [[0, 0], [1, 1]]


@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 3), ()])
def test_empty_and_zero_dimensional_arrays_are_stacked(shape: tuple[int, ...], same: Same) -> None:
    assert same(default_collate([np.ones(shape, np.float32)] * 3), np.ones((3, *shape), np.float32))


class Shout(str):
    """A string with a custom collate function."""


def joined(batch: Sequence[str], *, collate_fn_map: Any) -> str:
    return "!".join(batch)


def count(batch: Sequence[Any], *, collate_fn_map: Any) -> int:
    return len(batch)


def test_collate_fn_map_selects_a_function_by_type(monkeypatch: pytest.MonkeyPatch, same: Same) -> None:
    mapped = collate([(Shout("a"), 1), (Shout("b"), 2)], collate_fn_map={(Shout, bytes): joined, int: count})
    assert mapped == ["a!b", 2]
    with pytest.raises(TypeError, match=r"cannot collate int at sample\[1\]"):
        collate([(Shout("a"), 1)], collate_fn_map={Shout: joined})
    monkeypatch.setitem(default_collate_fn_map, Shout, joined)
    assert default_collate([{"a": Shout("a")}, {"a": Shout("b")}]) == {"a": "a!b"}
    assert default_collate(["a", "b"]) == ["a", "b"]


def test_functions_of_default_collate_fn_map_can_be_called(same: Same) -> None:
    assert same(default_collate_fn_map[int]([1, 2]), np.array([1, 2]))
    assert same(default_collate_fn_map[float]([1.5, 2]), np.array([1.5, 2.0]))
    assert same(default_collate_fn_map[np.ndarray]([np.ones(2)]), np.ones((1, 2)))
    assert same(default_collate_fn_map[np.generic]([np.float16(1)]), np.ones(1, np.float16))
    assert default_collate_fn_map[str](["a"]) == ["a"]


def test_the_error_lists_the_shapes_of_ragged_samples() -> None:
    with pytest.raises(RuntimeError, match=r"\[2\] \(samples \[0, 2\] of the batch\); \[3\] \(samples \[1, 3\]"):
        default_collate([np.ones(2 + i % 2) for i in range(4)])


def test_batch_columns_are_not_collated_again(same: Same) -> None:
    images, labels = np.ones((4, 2)), np.arange(4)
    batch = default_collate(Batch([images, labels]))
    assert same(batch[0], images) and same(batch[1], labels)


def test_tensors_are_stacked(fb: ModuleType, same: Same) -> None:
    batch = default_collate([fb.ones(2, 3), fb.zeros(2, 3)])
    assert same(batch, np.stack([np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32)]))


class Thing:
    pass


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ([Thing(), Thing()], r"cannot collate Thing: a sample may hold .* collate_fn="),
        ([None, None], r"cannot collate NoneType"),
        ([{"a": [1, Thing()]}], r"cannot collate Thing at sample\['a'\]\[1\]"),
        ([Point(1, 1j)], r"cannot collate complex at sample\.y"),
        ([1, "a"], r"cannot collate int and str together \(samples 0 and 1\)"),
        ([np.ones(1), None], r"cannot collate ndarray and NoneType together"),
        ([("a", 1), 2], r"cannot collate tuple and int together"),
        ([np.array(["a", "b"])], r"cannot collate an array of dtype <U1"),
        ([np.array([Thing()])], r"cannot collate an array of dtype object"),
        ([np.datetime64("2024-01-01")] * 2, r"cannot collate an array of dtype datetime64\[D\]"),
        ([np.array([1], dtype="m8[s]")], r"cannot collate an array of dtype timedelta64\[s\]"),
    ],
)
def test_errors_name_the_element_that_cannot_be_collated(batch: list[Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        default_collate(batch)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (
            [(np.ones(2), 0), (np.ones(3), 0)],
            r"different shapes at sample\[0\]: \[2\] \(samples \[0\] of the batch\); \[3\] \(samples \[1\]",
        ),
        ([(1, 2), (1, 2), (1,)], r"different lengths: 2 and 1 \(samples 0 and 2"),
    ],
)
def test_samples_of_different_structure_are_rejected(batch: list[Any], message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        default_collate(batch)


def test_dicts_with_different_keys_raise_the_same_error_as_in_pytorch() -> None:
    with pytest.raises(KeyError, match=r"different keys: \['a'\] and \['b'\]"):
        default_collate([{"a": 1}, {"b": 1}])


def test_an_empty_batch_is_rejected() -> None:
    with pytest.raises(IndexError, match="empty batch"):
        default_collate([])


def test_default_convert_converts_only_arrays(same: Same, has_tensors: bool) -> None:
    frozen = np.arange(3)
    frozen.flags.writeable = False
    converted = default_convert({"a": np.ones(2)[::-1], "b": (frozen, "name"), "c": Point(1, None)})
    assert same(converted["a"], np.ones(2)) and same(converted["b"][0], np.arange(3))
    assert converted["b"][1] == "name" and converted["c"] == Point(1, None)
    assert type(converted["b"]) is list and type(converted["c"]) is Point
    text = np.array(["a"])
    assert default_convert(text) is text
    if has_tensors:
        converted["b"][0][0] = 9
        assert frozen[0] == 0


def test_strings_within_tuples_stay_tuples() -> None:
    words, numbers = default_collate([("a", 1), ("b", 2)])
    assert words == ("a", "b") and list(numbers) == [1, 2]
    assert default_collate(["a", "b"]) == ["a", "b"] == default_collate([{"x": "a"}, {"x": "b"}])["x"]


def test_np_str_obj_array_pattern_matches_strings_and_objects():
    dtypes = [np.array(values).dtype.str for values in (["a"], [b"a"], [1], [1.0], [True])]
    found = [np_str_obj_array_pattern.search(name) is not None for name in (*dtypes, np.dtype(object).str)]
    assert found == [True, True, False, False, False, True]


def test_default_collate_uses_shared_memory_in_custom_workers(fb: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    for sample in (fb.zeros(2), np.zeros(2)):
        assert not default_collate([sample]).is_shared()
    monkeypatch.setattr("flambeau.data.worker._worker_info", "set by a program")
    for sample in (fb.zeros(2), np.zeros(2)):
        batch = default_collate([sample, sample])
        assert batch.is_shared() and batch.shape == (2, 2)
