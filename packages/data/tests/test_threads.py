"""Test worker threads: the batches that they deliver, and how they end."""

from __future__ import annotations

import gc
import random
import threading
import time
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from flambeau.data import DataLoader, Dataset, IterableDataset, TensorDataset, get_worker_info

SECONDS = 60


class Numbers(Dataset[Any]):
    """Dataset whose samples are the index, the worker's id (or -1) and the result of ``draw``."""

    def __init__(self, draw: Any = None) -> None:
        self.draw = draw

    def __len__(self) -> int:
        return 20

    def __getitem__(self, index: int) -> tuple[int, int, float]:
        info = get_worker_info()
        return index, -1 if info is None else info.id, 0.0 if self.draw is None else float(self.draw())


def read(dataset: Any, num_workers: int, **options: Any) -> list[Any]:
    if num_workers:
        options |= {"workers": "thread", "num_workers": num_workers, "timeout": SECONDS}
    return [
        [column.tolist() for column in batch] for batch in DataLoader(dataset, 4, shuffle=True, generator=1, **options)
    ]


@pytest.fixture(autouse=True)
def leaves_no_thread() -> Iterator[None]:
    yield
    gc.collect()  # free the loaders that caught exceptions refer to
    deadline = time.monotonic() + SECONDS
    while any(thread.name.startswith("DataLoader worker") for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("num_workers", [1, 2, 5])
def test_samples_do_not_depend_on_the_number_of_worker_threads(num_workers: int) -> None:
    batches = read(Numbers(), num_workers)
    assert [batch[0] for batch in batches] == [batch[0] for batch in read(Numbers(), 0)]
    # The calling thread makes the first batch, to detect if it draws random numbers.
    assert [set(batch[1]) for batch in batches] == [{-1}, *({number % num_workers} for number in range(1, 5))]


def test_random_tensors_in_samples_are_the_same_in_threads(fb: ModuleType) -> None:
    fb.manual_seed(5)
    before = fb.get_rng_state().tolist()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        batches = read(Numbers(lambda: fb.rand(())), 2)
    assert fb.get_rng_state().tolist() == before
    assert {reader for batch in batches for reader in batch[1]} == {-1, 0, 1}
    assert [batch[2] for batch in batches] == [batch[2] for batch in read(Numbers(lambda: fb.rand(())), 0)]


@pytest.mark.parametrize("draw", [random.random, np.random.rand])
def test_global_generators_in_worker_threads_warn_and_stay_reproducible(draw: Any) -> None:
    with pytest.warns(RuntimeWarning, match="whose generators all threads share"):
        batches = read(Numbers(draw), 2)
    assert batches == read(Numbers(draw), 0)


class Rarely(Numbers):
    """Dataset that draws a random number at index 7 only."""

    def __getitem__(self, index: int) -> tuple[int, int, float]:
        return index, 0, random.random() if index == 7 else 0.0


def test_a_dataset_that_draws_rarely_warns_and_gives_the_same_samples() -> None:
    with pytest.warns(RuntimeWarning, match="whose generators all threads share"):
        batches = read(Rarely(), 2)
    assert batches == read(Rarely(), 0)


def test_persistent_workers_keep_their_threads() -> None:
    class Thread(Dataset[int]):
        def __len__(self) -> int:
            return 6

        def __getitem__(self, index: int) -> int:
            return threading.get_ident()

    loader = DataLoader(Thread(), num_workers=2, workers="thread", persistent_workers=True, timeout=SECONDS)
    first, second = ([ident.item() for ident in loader][1:] for _ in range(2))
    assert first == second and len(set(first)) == 2


def test_worker_threads_share_an_iterable_dataset() -> None:
    class Share(IterableDataset[int]):
        def __iter__(self) -> Iterator[int]:
            info = get_worker_info()
            assert info is not None
            return iter(range(info.id, 20, info.num_workers))

    loader = DataLoader(Share(), 4, num_workers=2, workers="thread", timeout=SECONDS)
    assert [batch.tolist() for batch in loader] == [
        [0, 2, 4, 6],
        [1, 3, 5, 7],
        [8, 10, 12, 14],
        [9, 11, 13, 15],
        [16, 18],
        [17, 19],
    ]


def test_exceptions_name_the_worker_thread() -> None:
    class Broken(Dataset[int]):
        def __len__(self) -> int:
            return 8

        def __getitem__(self, index: int) -> int:
            return 1 // (index - 5)

    with pytest.raises(ZeroDivisionError) as caught:
        list(DataLoader(Broken(), num_workers=2, workers="thread", timeout=SECONDS))
    assert caught.value.__notes__ == ["while reading the sample at index 5 of the dataset", "in worker thread 1"]


def test_worker_init_fn_runs_in_each_thread() -> None:
    seen: list[tuple[int, int]] = []

    def note(worker: int) -> None:
        info = get_worker_info()
        assert info is not None
        seen.append((worker, info.id))

    list(DataLoader(TensorDataset(np.ones(4)), num_workers=2, workers="thread", worker_init_fn=note))
    assert sorted(seen) == [(0, 0), (1, 1)]

    def reject(worker: int) -> None:
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        list(DataLoader(TensorDataset(np.ones(4)), num_workers=1, workers="thread", worker_init_fn=reject))


def test_a_thread_timeout_raises() -> None:
    release = threading.Event()

    class Stuck(Dataset[int]):
        def __len__(self) -> int:
            return 8

        def __getitem__(self, index: int) -> int:
            if index:
                release.wait(SECONDS)
            return index

    batches = iter(DataLoader(Stuck(), num_workers=2, workers="thread", timeout=0.1))
    assert next(batches).tolist() == [0]
    with pytest.raises(RuntimeError, match=r"timed out after 0\.1 seconds"):
        next(batches)
    release.set()


def test_iterator_holds_the_persistent_workers() -> None:
    loader = DataLoader([1, 2, 3], num_workers=2, persistent_workers=True)
    assert loader._iterator is None
    list(loader)
    assert loader._iterator is not None
    loader._iterator._shutdown_workers()
    assert sum(len(batch) for batch in loader) == 3  # new workers
    loader._iterator = None
    assert sum(len(batch) for batch in loader) == 3
