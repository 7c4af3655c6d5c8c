"""Worker threads of a loader.

Note [Random numbers in threads]
~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
Each thread has its own flambeau generator, which is seeded for every sample. All threads share the generators of Python
and NumPy. If a batch draws numbers from these shared generators, the thread that iterates over the loader makes this
batch again, with seeds, and also makes all later batches. This thread always makes the first batch, to detect whether
the shared generators are used.
"""

from __future__ import annotations

import queue
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from . import _random_state, _seeds, _tensors
from ._fetch import Fetcher, Recipe
from ._results import Batch, End, Failure, Result
from .worker import Introduction, WorkerInfo, set_worker_info

T = TypeVar("T")
_STOP_TIMEOUT = 1.0  # seconds for a worker to finish its batch when the loader stops

_SERIAL = (
    "reading this dataset draws random numbers from Python's random or from numpy.random, whose generators all threads "
    "share: for reproducibility, the calling thread reads the samples instead of the worker threads. Use "
    "workers='process', or draw the random numbers with flambeau."
)


class _SharedDraw(Exception):  # noqa: N818, only this module uses the exception
    """Raised if a batch drew random numbers from the generator of Python or NumPy."""


class _ThreadSeeds(_seeds.Seeds):
    """Seeds in a worker thread: they only seed the flambeau generator of this thread."""

    def run(self, make: Callable[[_seeds.SeedSample], T], epoch_seed: int) -> T:
        def seed(index: Any) -> None:
            _tensors.seed_this_thread(_seeds.mix(epoch_seed, index))

        before = _random_state.shared_mark()
        try:
            result = make(seed)
        except Exception:
            if _random_state.shared_mark() != before:
                raise _SharedDraw from None
            raise
        if _random_state.shared_mark() != before:
            raise _SharedDraw
        return result


class WorkerThreads:
    """Worker threads of one loader.

    Args:
        recipe: dataset, collate function and options that a worker needs to make batches.
        count: number of workers.
        worker_init_fn: function that each worker calls with its id.
        seeds: seeds of the loader, for the batches that the calling thread makes.
    """

    seed: int | None = None

    def __init__(
        self, recipe: Recipe, count: int, worker_init_fn: Callable[[int], None] | None, seeds: _seeds.Seeds
    ) -> None:
        self.count = count
        self.posted = 0
        self.stopped = False
        self._here = recipe.fetcher(seeds)
        if not self._here.seeded:
            seeds = _seeds.Seeds.without_draws()
        self._seeds = seeds
        self._undecided: list[tuple[int, int]] = []  # (worker, number) of requests until moves_shared is known
        self._requests: list[queue.SimpleQueue[Any]] = [queue.SimpleQueue() for _ in range(count)]
        self._responses: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        self._indices: dict[int, Any] = {}  # indices of the requests that are not complete
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(
                target=_work,
                args=(worker, count, recipe, worker_init_fn, self._requests[worker], self._responses, self._stop),
                name=f"DataLoader worker {worker}",
                daemon=True,
            )
            for worker in range(count)
        ]
        self._started = False
        self._dismissed = False

    def begin_epoch(self, epoch_seed: int) -> None:
        self._here.begin(epoch_seed)
        for requests in self._requests:
            requests.put(("epoch", epoch_seed))

    def post(self, worker: int, indices: Any) -> None:
        """Send a request for a batch to a worker. Requests are numbered consecutively."""
        number = self.posted
        self.posted += 1
        self._indices[number] = indices
        if self._started and self._seeds.moves_shared is not None:
            self._assign(worker, number)
        else:
            self._undecided.append((worker, number))

    def _assign(self, worker: int, number: int) -> None:
        if self._seeds.moves_shared:
            self._responses.put((number, _SharedDraw()))
        else:
            self._requests[worker].put(("fetch", number, self._indices[number]))

    def start(self) -> None:
        """Make the first batch in the calling thread if the workers must wait for it, then start the threads."""
        if self._undecided and self._seeds.moves_shared is None:
            _, first = self._undecided.pop(0)
            self._responses.put((first, self._make_batch(first)))
        if not self._started:
            self._started = True
            for thread in self._threads:
                thread.start()
        for worker, number in self._undecided:
            self._assign(worker, number)
        self._undecided.clear()
        if self._dismissed:
            self._send_end()

    def dismiss(self) -> None:
        """Tell the workers to end after they have completed all requests."""
        self._dismissed = True
        if self._started and not self._undecided:
            self._send_end()

    def _send_end(self) -> None:
        for requests in self._requests:
            requests.put(None)

    def receive(self, timeout: float | None) -> list[tuple[int, Result]]:
        """Wait for results. Return pairs of the number of a request and its result.

        Raises: TimeoutError after ``timeout`` seconds.
        """
        try:
            responses = [self._responses.get(timeout=timeout)]
        except queue.Empty:
            raise TimeoutError from None
        return [(number, self._finish_request(number, response)) for number, response in responses]

    def _finish_request(self, number: int, response: Any) -> Result:
        """Return the response to a request. If the worker could not make the batch, make it in the calling thread."""
        result: Result = self._make_batch(number) if isinstance(response, _SharedDraw) else response
        self._indices.pop(number, None)
        return result

    def _make_batch(self, number: int) -> Result:
        knew = self._seeds.moves_shared
        try:
            return Batch(self._here(self._indices[number]))
        except Exception as error:
            return Failure(error)
        finally:
            if self._seeds.moves_shared and not knew:
                warnings.warn(_SERIAL, RuntimeWarning, stacklevel=5)

    def stop(self, at_once: bool = False) -> None:
        """Tell all workers to end before their next batch, and wait for them. If ``at_once``, do not wait."""
        self.stopped = True
        self._stop.set()
        self._send_end()
        deadline = time.monotonic() + (0 if at_once else _STOP_TIMEOUT)
        for thread in self._threads:
            if thread.is_alive() and thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))

    _shutdown_workers = stop  # PyTorch's name


def _work(
    worker: int,
    count: int,
    recipe: Recipe,
    worker_init_fn: Callable[[int], None] | None,
    requests: queue.SimpleQueue[Any],
    responses: queue.SimpleQueue[tuple[int, Any]],
    stop: threading.Event,
) -> None:
    """Run a worker thread."""
    fetcher = recipe.fetcher(_ThreadSeeds(guest=True))
    introduction = Introduction(worker, worker_init_fn)
    while (request := requests.get()) is not None and not stop.is_set():
        kind, *details = request
        if kind == "epoch":
            (epoch_seed,) = details
            set_worker_info(WorkerInfo(worker, count, epoch_seed + worker, recipe.dataset))
            _tensors.seed_this_thread(epoch_seed + worker)
            fetcher.begin(epoch_seed)
            introduction.run()
        else:
            number, indices = details
            responses.put((number, _compute_response(worker, introduction, fetcher, indices)))


def _compute_response(
    worker: int, introduction: Introduction, fetcher: Fetcher, indices: Any
) -> Batch | End | Failure | _SharedDraw:
    try:
        introduction.check()
        return Batch(fetcher(indices))
    except StopIteration:
        return End(worker)
    except _SharedDraw as draw:
        return draw
    except Exception as error:
        error.add_note(f"in worker thread {worker}")
        return Failure(error)
