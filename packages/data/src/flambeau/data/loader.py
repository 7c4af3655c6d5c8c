"""The DataLoader: a dataset, an order and a way to stack, as an iterable of batches."""

from __future__ import annotations

import functools
import itertools
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic

from . import _options, _random, _state, _tensors
from ._fetch import Recipe
from ._iterators import Epoch, ParallelEpoch, SerialEpoch, Workers
from ._seeds import Seeds
from ._typing import T_co
from .collate import default_collate, default_convert
from .dataset import IterableDataset
from .sampler import BatchSampler, RandomSampler, SequentialSampler, batch_count

_NO_GPU = "pin_memory=True has no effect: there is no GPU to copy pinned memory to ({obstacle})"
_FIXED = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")


class DataLoader(Generic[T_co]):
    """Batches of a dataset, read in the calling thread or by workers.

    Each ``iter(loader)`` is a pass over the dataset; shuffling draws a different order for each. Samples, order and
    random augmentations are decided by ``generator`` alone, for any number of workers: before a sample is read, the
    generators of Python, NumPy and flambeau are seeded from the pass and the sample's index. After
    ``flambeau.random.use_pytorch_streams()``, order and seeds are drawn as PyTorch draws them: worker processes have
    a seed each, and without workers samples are read with the generators of the program.

    Args:
        dataset: anything with ``__getitem__`` and ``__len__``, or an IterableDataset.
        batch_size: samples per batch; None yields the samples one by one, not stacked.
        shuffle: read in random order.
        sampler: an iterable of indices, instead of ``shuffle``.
        batch_sampler: an iterable of lists of indices, instead of ``batch_size``, ``shuffle``, ``sampler`` and
            ``drop_last``.
        num_workers: how many read ahead; 0 reads in the calling thread.
        collate_fn: makes a batch from a list of samples; :func:`default_collate` if None
            (:func:`default_convert`, of one sample, where ``batch_size`` is None).
        pin_memory: put batches into memory from which GPUs copy beside their other work
            (``batch.to("cuda", non_blocking=True)``); with workers a thread does so for the batch after the one that is
            given, which is thus waited for, too. A warning where there is no GPU.
        drop_last: leave out a last batch that is not full.
        timeout: seconds to wait for a batch from the workers; 0 waits for ever. (A worker that dies is an error
            within seconds in any case.)
        worker_init_fn: called in each worker with its id before it reads.
        multiprocessing_context: a start method or a context of ``multiprocessing``; None is ``fork`` where there is it.
        generator: None (``flambeau.manual_seed`` decides, or ``numpy.random.seed`` where tensor-core is absent), an int
            seed, a ``numpy.random.Generator`` or a ``flambeau.Generator``.
        prefetch_factor: how many batches each worker prepares ahead; 2 if None.
        persistent_workers: keep the workers for further passes.
        pin_memory_device: no effect: pinned memory serves every GPU.
        in_order: whether batches come in their order, or each as soon as it is ready.
        workers: ``"process"``, or ``"thread"`` for datasets whose reading releases Python's lock.
    Raises:
        ValueError: for options that exclude each other.
        RuntimeError: while iterating, when a worker dies or ``timeout`` is over.

    What a dataset raises in a worker is raised here in its own type, with the worker's traceback as its cause and the
    sample's index as a note.

    >>> loader = DataLoader(range(5), batch_size=2)
    >>> len(loader), [batch.tolist() for batch in loader]
    (3, [[0, 1], [2, 3], [4]])
    """

    _ready = False

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[Any] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: _random.Generator = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
        workers: str = "process",
    ) -> None:
        _options.check_workers(
            num_workers, workers, timeout, prefetch_factor, persistent_workers, multiprocessing_context
        )
        _options.check_order(dataset, batch_size, shuffle, sampler, batch_sampler, drop_last)
        if batch_sampler is not None:
            batch_size, drop_last = None, False
        if pin_memory and (obstacle := _tensors.obstacle_to_pinning()):
            warnings.warn(_NO_GPU.format(obstacle=obstacle), UserWarning, stacklevel=2)

        self.dataset = dataset
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.num_workers = num_workers
        self.workers = workers
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.prefetch_factor = 2 if prefetch_factor is None and num_workers else prefetch_factor
        self.persistent_workers = persistent_workers
        self.in_order = in_order
        self.generator = _random.keep_generator(generator)
        self.sampler, self.batch_sampler = self._samplers(shuffle, sampler, batch_sampler)
        one_by_one = batch_size is None and self.batch_sampler is None
        if collate_fn is not None and not callable(collate_fn):
            raise TypeError(f"collate_fn must be a function of a list of samples; got {collate_fn!r}")
        self.collate_fn = collate_fn or (default_convert if one_by_one else default_collate)
        self._seeds = Seeds(guest=True)
        self._workers: Workers | None = None  # that outlive a pass
        self._resumed: dict[str, Any] | None = None
        self._pass: weakref.ref[Epoch] | None = None
        self._ready = True

    def _samplers(
        self, shuffle: bool | None, sampler: Iterable[Any] | None, batch_sampler: Iterable[Any] | None
    ) -> tuple[Iterable[Any] | None, Iterable[Any] | None]:
        """What says which samples are read, and what says which of them make a batch."""
        if sampler is None and not isinstance(self.dataset, IterableDataset):
            data, generator = self.dataset, self.generator
            sampler = RandomSampler(data, generator=generator) if shuffle else SequentialSampler(data)
        if sampler is not None and self.batch_size is not None:
            batch_sampler = BatchSampler(sampler, self.batch_size, self.drop_last)
        return sampler, batch_sampler

    def __setattr__(self, name: str, value: Any) -> None:
        if self._ready and name in _FIXED:
            raise ValueError(f"{name} of a DataLoader is fixed: make another loader instead of setting it")
        super().__setattr__(name, value)

    def __getstate__(self) -> dict[str, Any]:
        """All but the pass that is under way and its workers: a copy begins its own."""
        return {**self.__dict__, "_pass": None, "_workers": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __iter__(self) -> Iterator[Any]:
        return self._get_iterator()

    def _get_iterator(self) -> Iterator[Any]:
        """A pass over the data: what loaders that derive from this one override, under PyTorch's name for it."""
        state, self._resumed = self._resumed, None
        beginning, delivered, epoch_seed, requests = self._begin_or_resume(state)
        current: Epoch
        if self.num_workers == 0:
            seeds = None if _tensors.draws_as_pytorch() else self._seeds  # PyTorch reads with the program's generators
            current = SerialEpoch(self._recipe().fetcher(seeds), requests, epoch_seed)
        else:
            current = ParallelEpoch(
                self._take_workers(),
                requests,
                epoch_seed,
                ahead=self.num_workers * (self.prefetch_factor or 2),
                in_order=self.in_order,
                timeout=self.timeout or None,
                persistent=self.persistent_workers,
            )
        current.length, current.beginning = self.__len__, beginning
        if isinstance(self.dataset, IterableDataset):
            for _ in range(delivered):
                next(current)
        if self.pin_memory and not _tensors.obstacle_to_pinning():
            from ._pinning import PinnedEpoch

            current = PinnedEpoch(current, ahead=self.num_workers > 0)
            current.length, current.beginning = self.__len__, beginning
        current.delivered = delivered
        self._pass = weakref.ref(current)
        return current

    @property
    def _auto_collation(self) -> bool:
        """True if the loader puts samples together into batches. Programs that subclass PyTorch's loader read it."""
        return self.batch_sampler is not None

    @property
    def _index_sampler(self) -> Any:
        """The sampler that chooses the samples to read next: it gives lists of indices, or single ones."""
        return self.batch_sampler if self._auto_collation else self.sampler

    @functools.cached_property  # which subclasses may set
    def _dataset_kind(self) -> int:
        """1 if the dataset is a stream, else 0."""
        return int(isinstance(self.dataset, IterableDataset))

    @property
    def multiprocessing_context(self) -> Any:
        """The context of ``multiprocessing`` that starts the workers; None for the default. A name may be assigned."""
        return self._multiprocessing_context

    @multiprocessing_context.setter
    def multiprocessing_context(self, context: Any) -> None:
        self._multiprocessing_context = None if context is None else _options.context_named(context)

    def check_worker_number_rationality(self) -> None:
        """Warn if the loader has more workers than this process has processors. Subclasses call it, as PyTorch's."""
        _options.warn_of_many_workers(self.num_workers)

    def __len__(self) -> int:
        """The number of batches. TypeError where the dataset or the sampler has no length."""
        if not isinstance(self.dataset, IterableDataset):
            return len(self.sampler if self.batch_sampler is None else self.batch_sampler)  # type: ignore[arg-type]
        samples = len(self.dataset)  # type: ignore[arg-type]
        return samples if self.batch_size is None else batch_count(samples, self.batch_size, self.drop_last)

    def state_dict(self) -> dict[str, Any]:
        """Where the loader stands: in the middle of a pass, or between two.

        Loaded into a loader made like this one, the next pass delivers what is left of this one; further passes are
        those that would have followed, where ``generator`` decides (else the generators of the process do, which are
        the program's to restore). Nothing that was delivered is read again, except in a stream, whose first batches
        are read and dropped.

        Returns: a dict of numbers, strings and lists, for any file format.

        >>> loader = DataLoader(range(6), batch_size=2, shuffle=True, generator=0)
        >>> batches = iter(loader)
        >>> first, state, rest = next(batches).tolist(), loader.state_dict(), [b.tolist() for b in batches]
        >>> other = DataLoader(range(6), batch_size=2, shuffle=True, generator=7)
        >>> other.load_state_dict(state)
        >>> [batch.tolist() for batch in other] == rest
        True
        """
        if self._resumed is not None:
            return self._resumed
        current = self._current()
        if current is None or current.finished:
            return _state.between_passes(self._generators(), self._length())
        return current.beginning.state(current.delivered, self._length())

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Let the next pass go on where :meth:`state_dict` was called.

        Raises: TypeError for anything else than its result, ValueError for that of another kind of loader.
        """
        _state.check(state_dict, self._generators(), self._length())
        self._resumed = state_dict

    def _current(self) -> Epoch | None:
        """The last pass, if somebody still holds it."""
        return None if self._pass is None else self._pass()

    def _generators(self) -> list[Any]:
        inner = getattr(self.batch_sampler, "sampler", None)
        return _state.generators_of(self, self.sampler, self.batch_sampler, inner)

    def _length(self) -> int | None:
        try:
            return len(self)
        except TypeError:  # of a stream, or a sampler, that does not say
            return None

    def _begin(self, seed: int | None) -> tuple[int, Iterator[Any]]:
        if _tensors.draws_as_pytorch():
            requests = self._requests()  # before the seed, in case that a sampler draws at once
            return _random.draw_seed(self.generator) if seed is None else seed, requests
        return _random.draw_seed(self.generator), self._requests()

    def _begin_or_resume(self, state: _state.State | None) -> tuple[_state.Beginning, int, int, Iterator[Any]]:
        """The beginning of a pass, what of it was delivered before, its seed and what is to be fetched."""
        generators = self._generators()
        if state is not None:
            _state.set_generators(generators, state)
            if state["process"] is not None:
                beginning = _state.Beginning(state["generators"], state["process"], state.get("seed"))
                skipped = 0 if isinstance(self.dataset, IterableDataset) else state["delivered"]
                return beginning, state["delivered"], *beginning.again(self._begin, skipped)
        seed = None if self._workers is None or self._workers.stopped else self._workers.seed
        return _state.Beginning.here(generators, seed), 0, *self._begin(seed)

    def _recipe(self) -> Recipe:
        batched = self.batch_sampler is not None
        return Recipe(self.dataset, self.collate_fn, batched, self.batch_size, self.drop_last)

    def _requests(self) -> Iterator[Any]:
        """What to fetch, one item a batch: lists of indices, single indices, or for a stream None again and again."""
        if isinstance(self.dataset, IterableDataset):
            return itertools.repeat(None)
        return iter(self.sampler if self.batch_sampler is None else self.batch_sampler)  # type: ignore[arg-type]

    def _take_workers(self) -> Workers:
        """The workers of the last pass, if they outlive passes, else others."""
        if self._workers is not None and not self._workers.stopped:
            if (last := self._current()) is not None:
                last.supersede()
            return self._workers
        workers = self._make_workers()
        if self.persistent_workers:
            self._workers = workers
            weakref.finalize(self, workers.stop).atexit = False
        return workers

    def _make_workers(self) -> Workers:
        if self.workers == "thread":
            from ._threads import WorkerThreads

            return WorkerThreads(self._recipe(), self.num_workers, self.worker_init_fn, self._seeds)
        from ._processes import WorkerProcesses  # multiprocessing takes a while to import

        ahead = self.prefetch_factor or 2
        context = _options.context_named(self.multiprocessing_context)
        return WorkerProcesses(self._recipe(), self.num_workers, ahead, self.worker_init_fn, context)
