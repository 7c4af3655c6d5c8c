"""Test worker processes: the batches that they deliver, and how they end."""

from __future__ import annotations

import gc
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from flambeau.data import DataLoader, Dataset, IterableDataset, RandomSampler, TensorDataset, get_worker_info

IMAGES = np.arange(40 * 1200, dtype=np.float32).reshape(40, 30, 40)
SECONDS = 60  # timeout; no test takes that long


class Augmented(Dataset[Any]):
    """Dataset with arrays, numbers, strings and random numbers from Python and NumPy."""

    def __len__(self) -> int:
        return 40

    def __getitem__(self, index: int) -> dict[str, Any]:
        info = get_worker_info()
        return {
            "image": IMAGES[index],
            "index": index,
            "python": random.random(),
            "numpy": np.random.rand(),
            "name": f"sample {index}",
            "worker": -1 if info is None else info.id,
        }


class Share(IterableDataset[int]):
    """Stream of which every worker reads its shard."""

    def __iter__(self) -> Iterator[int]:
        info = get_worker_info()
        first, step = (0, 1) if info is None else (info.id, info.num_workers)
        return iter(range(first, 20, step))


def read(num_workers: int, dataset: Any = None, **options: Any) -> list[dict[str, Any]]:
    loader = DataLoader(
        Augmented() if dataset is None else dataset,
        batch_size=8,
        shuffle=True,
        generator=3,
        num_workers=num_workers,
        timeout=SECONDS if num_workers else 0,
        **options,
    )
    return list(loader)


def plain(batches: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Convert the arrays of batches to lists, and remove the key ``worker``."""
    return [{key: np.asarray(value).tolist() for key, value in b.items() if key != "worker"} for b in batches]


@pytest.fixture(scope="module")
def expected() -> list[dict[str, Any]]:
    return plain(read(0))


@pytest.fixture(autouse=True)
def leaves_no_process() -> Iterator[None]:
    yield
    gc.collect()
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("num_workers", [1, 2, 5])
def test_samples_do_not_depend_on_the_number_of_workers(num_workers: int, expected: list[dict[str, Any]]) -> None:
    batches = read(num_workers)
    assert plain(batches) == expected
    assert [batch["worker"].tolist()[0] for batch in batches] == [number % num_workers for number in range(5)]


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_samples_are_the_same_with_every_start_method(method: str, expected: list[dict[str, Any]]) -> None:
    assert plain(read(2, multiprocessing_context=method)) == expected


def test_batches_are_not_overwritten_while_they_are_referenced() -> None:
    loader = DataLoader(TensorDataset(IMAGES), batch_size=2, num_workers=2, timeout=SECONDS)
    kept = [images for (images,) in loader]  # more batches than there are segments
    assert (np.concatenate([np.asarray(images) for images in kept]) == IMAGES).all()


def test_a_batch_can_be_written_to() -> None:
    for (images,) in DataLoader(TensorDataset(IMAGES), batch_size=10, num_workers=1, timeout=SECONDS):
        images += 1
        images *= 0
    assert IMAGES.any()


class Keeping:
    """Collate function that returns the batch and the previous one, and so keeps a reference to each batch."""

    def __init__(self) -> None:
        self.before = np.zeros((4, 30, 40), dtype=np.float32)

    def __call__(self, samples: Any) -> Any:
        from flambeau.data import default_collate

        batch = default_collate([sample[0] for sample in samples])
        before, self.before = self.before, batch
        return batch, before


def test_arrays_that_a_worker_keeps_are_not_overwritten() -> None:
    loader = DataLoader(TensorDataset(IMAGES), batch_size=4, num_workers=1, collate_fn=Keeping(), timeout=SECONDS)
    previous = np.zeros((4, 30, 40), dtype=np.float32)
    for number, (batch, before) in enumerate(loader):
        assert (np.asarray(before) == previous).all()
        previous = IMAGES[4 * number : 4 * number + 4]
        assert (np.asarray(batch) == previous).all()
        batch *= 0  # must not change the reference that the collate function keeps


def test_persistent_workers_are_started_only_once() -> None:
    class Process(Dataset[int]):
        def __len__(self) -> int:
            return 6

        def __getitem__(self, index: int) -> int:
            return os.getpid()

    loader = DataLoader(Process(), num_workers=2, persistent_workers=True, timeout=SECONDS)
    first, second = ({pid.item() for pid in loader} for _ in range(2))
    assert len(first) == 2 and first == second and os.getpid() not in first
    assert len({pid.item() for pid in DataLoader(Process(), num_workers=2, timeout=SECONDS)} | first) == 4


def test_an_interrupted_epoch_does_not_affect_the_next_one() -> None:
    loader = DataLoader(range(20), batch_size=2, num_workers=2, persistent_workers=True, timeout=SECONDS)
    left = iter(loader)
    assert next(left).tolist() == [0, 1]
    assert [batch.tolist() for batch in loader] == [[i, i + 1] for i in range(0, 20, 2)]
    with pytest.raises(RuntimeError, match="a later iterator over the DataLoader ended this one"):
        next(left)


@pytest.mark.parametrize("num_workers", [1, 2, 3])
def test_workers_share_an_iterable_dataset(num_workers: int) -> None:
    batches = [batch.tolist() for batch in DataLoader(Share(), 3, num_workers=num_workers, timeout=SECONDS)]
    assert sorted(index for batch in batches for index in batch) == list(range(20))
    for number, batch in enumerate(batches[:num_workers]):
        assert batch == [number, number + num_workers, number + 2 * num_workers]


class Broken(Dataset[int]):
    """Dataset that raises a given error at index 5."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> int:
        if index == 5:
            raise self.error
        return index


class TwoPartError(Exception):
    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")


def test_exceptions_keep_their_type_and_traceback() -> None:
    class LocalError(ValueError):
        pass

    undecodable = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no text")
    own = TwoPartError("a", "b"), LocalError("here")
    for error in (IndexError("out"), KeyError("key"), *own, OSError(2, "gone"), undecodable):
        with pytest.raises(type(error)) as caught:
            list(DataLoader(Broken(error), num_workers=2, timeout=SECONDS))
        assert type(caught.value) is type(error) and str(caught.value) == str(error)
        notes = caught.value.__notes__
        assert notes[0] == "while reading the sample at index 5 of the dataset" and "in worker 1" in notes[1]
        assert "in __getitem__" in str(caught.value.__cause__)


def test_an_epoch_continues_after_an_exception() -> None:
    batches = iter(DataLoader(Broken(ValueError("five")), num_workers=2, timeout=SECONDS))
    seen = []
    for _ in range(8):
        try:
            seen.append(next(batches).item())
        except ValueError:
            seen.append(-1)
    assert seen == [0, 1, 2, 3, 4, -1, 6, 7] and next(batches, None) is None


class Killed(Dataset[int]):
    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> int:
        if index == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return index


def test_the_error_names_a_killed_worker() -> None:
    with pytest.raises(RuntimeError, match=r"DataLoader worker \(pid \d+\) is killed by signal: SIGKILL"):
        list(DataLoader(Killed(), num_workers=2))


def test_the_worker_processes_of_an_iterator_can_be_listed() -> None:
    batches: Any = iter(DataLoader(range(8), num_workers=2))
    processes = list(batches._workers)
    assert [process.is_alive() for process in processes] == [True, True]
    assert len(list(batches)) == 8
    assert list(batches._workers) == []


class Slow(Dataset[int]):
    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> int:
        time.sleep(SECONDS)
        return index


def test_a_worker_timeout_raises() -> None:
    with pytest.raises(RuntimeError, match=r"DataLoader timed out after 0\.2 seconds"):
        next(iter(DataLoader(Slow(), num_workers=2, timeout=0.2)))


def test_stopping_early_does_not_wait_for_pending_batches() -> None:
    begun = time.monotonic()
    batches = iter(DataLoader(Slow(), num_workers=2))
    del batches
    assert time.monotonic() - begun < SECONDS / 2


def test_in_order_false_returns_batches_in_completion_order() -> None:
    delivered = multiprocessing.Event()

    class Uneven(Dataset[int]):
        def __len__(self) -> int:
            return 6

        def __getitem__(self, index: int) -> int:
            if index == 0:
                delivered.wait(SECONDS / 2)
            return index

    batches = iter(DataLoader(Uneven(), num_workers=2, in_order=False, timeout=SECONDS))
    order = [next(batches).item()]
    delivered.set()
    order += [batch.item() for batch in batches]
    assert sorted(order) == list(range(6)) and order[0] != 0
    order = [batch.item() for batch in DataLoader(Uneven(), num_workers=2, timeout=SECONDS)]
    assert order == list(range(6))


def test_shared_memory_segments_are_reused() -> None:
    loader = DataLoader(TensorDataset(IMAGES), 4, num_workers=2, persistent_workers=True, timeout=SECONDS)
    counts = []
    for _ in range(4):
        for _ in loader:
            pass
        segments = [len(reader._segments) for reader in loader._workers._readers]  # type: ignore[union-attr]
        counts.append((segments, len(os.listdir("/proc/self/fd"))))
    assert max(counts[-1][0]) <= 6 and counts[1] == counts[-1]


def test_workers_leave_no_file_descriptor_open() -> None:
    def count() -> int:
        list(DataLoader(TensorDataset(IMAGES), 4, num_workers=2, timeout=SECONDS))
        gc.collect()
        return len(os.listdir("/proc/self/fd"))

    assert count() == count() == count()


def test_samples_may_have_different_sizes() -> None:
    class Growing(Dataset[Any]):
        def __len__(self) -> int:
            return 30

        def __getitem__(self, index: int) -> np.ndarray:
            return np.full((index % 7 + 1, 5000), index, dtype=np.int16)[:, ::-1]

    for number, batch in enumerate(DataLoader(Growing(), num_workers=2, timeout=SECONDS)):
        assert tuple(batch.shape) == (1, number % 7 + 1, 5000) and (np.asarray(batch) == number).all()


def test_workers_can_send_samples_of_arbitrary_types() -> None:
    class Anything(Dataset[Any]):
        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> Any:
            return {index, frozenset("a")}, np.array(["x", None]), np.asfortranarray(np.ones((50, 60, 3)))

    for number, (kept, objects, ordered) in enumerate(
        DataLoader(Anything(), batch_size=None, num_workers=1, collate_fn=tuple, timeout=SECONDS)
    ):
        assert kept == {number, frozenset("a")} and objects.tolist() == ["x", None]
        assert ordered.flags.f_contiguous and ordered.shape == (50, 60, 3) and ordered.flags.writeable


def note(worker: int) -> None:
    info = get_worker_info()
    assert info is not None and info.id == worker and info.num_workers == 2 and len(info.dataset) == 4
    random.noted = worker  # type: ignore[attr-defined]


class Noted(Dataset[int]):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> int:
        return random.noted  # type: ignore[attr-defined, no-any-return]


def reject(worker: int) -> None:
    raise OSError("not today")


def test_worker_init_fn_runs_in_each_worker() -> None:
    loader = DataLoader(Noted(), num_workers=2, worker_init_fn=note, timeout=SECONDS)
    assert [batch.item() for batch in loader] == [0, 1, 0, 1]
    with pytest.raises(OSError, match="not today") as caught:
        next(iter(DataLoader(Noted(), num_workers=1, worker_init_fn=reject, timeout=SECONDS)))
    assert caught.value.__notes__[0] == "raised by worker_init_fn"


def test_get_worker_info_is_none_outside_workers() -> None:
    assert get_worker_info() is None
    assert read(0)[0]["worker"].tolist() == [-1] * 8


@pytest.mark.parametrize("num_workers", [0, 2])
def test_workers_accept_empty_datasets(num_workers: int) -> None:
    for dataset in ([], TensorDataset(np.zeros((0, 3)))):
        for options in ({}, {"shuffle": True}, {"shuffle": True, "generator": 0}, {"sampler": RandomSampler(dataset)}):
            loader = DataLoader(dataset, 4, num_workers=num_workers, **options)
            assert list(loader) == [] and len(loader) == 0


def test_stop_iteration_raised_by_a_dataset_does_not_end_the_epoch() -> None:
    for num_workers in (0, 1):
        with pytest.raises(RuntimeError, match=r"Broken.__getitem__ raised StopIteration"):
            list(DataLoader(Broken(StopIteration()), num_workers=num_workers))


def test_an_error_of_collation_names_the_samples() -> None:
    class Ragged(Dataset[Any]):
        def __len__(self) -> int:
            return 4

        def __getitem__(self, index: int) -> np.ndarray:
            return np.zeros(2 + index % 2)

    for num_workers in (0, 1):
        with pytest.raises(
            RuntimeError, match=r"\[2\] \(samples \[1\] of the batch\); |\[3\] \(samples \[0\] of the batch\)"
        ) as caught:
            list(DataLoader(Ragged(), batch_sampler=[[3, 2]], num_workers=num_workers))
        assert caught.value.__notes__[0] == "while collating the samples at indices [3, 2] of the dataset"


def test_tensors_from_workers_arrive_unchanged(fb: Any) -> None:
    class Tensors(Dataset[Any]):
        def __len__(self) -> int:
            return 4

        def __getitem__(self, index: int) -> Any:
            return fb.full((100, 100), index), fb.tensor([1.5], dtype=fb.bfloat16), fb.ones(3, requires_grad=True)

    for number, (whole, half, leaf) in enumerate(DataLoader(Tensors(), batch_size=None, num_workers=2)):
        assert whole.shape == (100, 100) and (whole == number).all() and whole.dtype == fb.int64
        assert half.dtype == fb.bfloat16 and half.item() == 1.5
        assert leaf.requires_grad and leaf.is_leaf
    for batch in DataLoader(TensorDataset(fb.arange(40000).view(4, 10000)), 2, num_workers=1):
        assert batch[0].shape == (2, 10000)


def test_batches_larger_than_the_socket_buffer_arrive() -> None:
    class Large(Dataset[Any]):
        """Dataset with long lists of indices and long strings: more than the buffer of a socket holds."""

        def __len__(self) -> int:
            return 100_000

        def __getitems__(self, indices: list[int]) -> list[str]:
            return ["x" * 20] * len(indices)

    loader = DataLoader(
        Large(),
        batch_sampler=[list(range(100_000))] * 8,
        collate_fn="".join,
        num_workers=2,
        prefetch_factor=4,
        timeout=SECONDS,
    )
    assert [len(batch) for batch in loader] == [2_000_000] * 8


def test_an_error_of_the_sampler_ends_the_workers() -> None:
    def sampler() -> Iterator[int]:
        yield from range(5)
        raise LookupError("no more")

    batches = iter(DataLoader(range(9), 1, sampler=sampler(), num_workers=1, prefetch_factor=2))
    with pytest.raises(LookupError, match="no more"):
        list(batches)


def test_lost_workers_are_replaced() -> None:
    loader = DataLoader(Killed(), num_workers=2, persistent_workers=True)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="is killed by signal: SIGKILL"):
            list(loader)
