from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest

from flambeau.data import DataLoader, Dataset, PackedList


@pytest.mark.parametrize(
    "items",
    [
        [],
        ["a", "", "ä\udcff\0", "longer"],
        [b"a", b"", b"\xff"],
        [("path/a.png", 1), ("path/b.png", 2)],
        ["a", b"b", None, {"c": [1.5]}],
        [1, 2, 3],
    ],
)
def test_packed_list_reads_like_a_list(items: list[Any]) -> None:
    packed = PackedList(items)
    assert len(packed) == len(items) and list(packed) == items
    for index in range(-len(items), len(items)):
        assert packed[index] == items[index] and type(packed[index]) is type(items[index])
    assert packed[1:] == items[1:] and packed[::-2] == items[::-2]
    for index in (len(items), -len(items) - 1):
        with pytest.raises(IndexError, match=f"index {index} is out of range for a PackedList of {len(items)} items"):
            packed[index]
    assert packed == items and packed == PackedList(items) and packed != [*items, 0]
    assert pickle.loads(pickle.dumps(packed)) == packed == copy.deepcopy(packed)


def test_packed_list_is_immutable() -> None:
    with pytest.raises(TypeError, match="does not support item assignment"):
        PackedList([1])[0] = 2  # type: ignore[index]
    with pytest.raises(TypeError, match="unhashable"):
        hash(PackedList([1]))


class Names(Dataset[str]):
    def __init__(self) -> None:
        self.names = PackedList(f"{number}.png" for number in range(100))

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> tuple[str, int]:
        return self.names[index], index


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_read_a_packed_list_from_shared_memory(method: str) -> None:
    loader = DataLoader(Names(), 50, num_workers=1, multiprocessing_context=method, timeout=600)
    names = [name for batch in loader for name in batch[0]]
    assert names == [f"{number}.png" for number in range(100)]
    assert names == list(loader.dataset.names)
    batches = iter(loader)
    loader.dataset.names._items[0] = ord("X")  # write to the shared memory, which the worker also reads
    loader.dataset.names._items[-5] = ord("X")
    assert [name for batch in batches for name in batch[0]][-1] == "9X.png"


class Long(Dataset[int]):
    def __init__(self) -> None:
        self.names = PackedList(f"{number:050d}.png" for number in range(200_000))

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> int:
        return len(self.names[index])


def test_reading_a_packed_list_does_not_copy_it_into_the_worker() -> None:
    loader = DataLoader(Long(), 1000, num_workers=1, persistent_workers=True, timeout=600)

    def private() -> int:
        """Return the private memory of the worker in bytes."""
        (process,) = loader._workers._processes  # type: ignore[union-attr]
        lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
        return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private"))

    batches = iter(loader)
    next(batches)
    before = private()
    assert all((batch == 54).all() for batch in batches)
    assert private() - before < 4e6 < 0.4 * loader.dataset.names._bytes.nbytes
