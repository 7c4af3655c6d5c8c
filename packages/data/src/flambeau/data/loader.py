"""The DataLoader: an iterable of batches from a dataset, a sampler and a collate function."""

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
from .sampler import BatchSampler, InfiniteConstantSampler, RandomSampler, SequentialSampler, batch_count

_NO_GPU = "pin_memory=True has no effect: there is no GPU to copy pinned memory to ({obstacle})"
_FIXED_OPTIONS = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")


class DataLoader(Generic[T_co]):
    """Iterable over the batches of a dataset, which the calling thread or workers read.

    Each ``iter(loader)`` is a pass over the dataset. With ``shuffle=True``, each pass draws a new order. Samples, order
    and random augmentations depend only on ``generator``, not on the number of workers: before a sample is read, the
    generators of Python, NumPy and flambeau are seeded from the seed of the pass and the sample's index. After
    ``flambeau.random.use_pytorch_streams()``, order and seeds are drawn as in PyTorch: each worker process has its own
    seed, and a loader without workers does not seed the program's generators.

    Args:
        dataset: an object with ``__getitem__`` and ``__len__``, or an IterableDataset.
        batch_size: number of samples per batch. If None, the loader returns single samples, which are not stacked.
        shuffle: if True, read in random order.
        sampler: an iterable of indices, instead of ``shuffle``.
        batch_sampler: an iterable of lists of indices, instead of ``batch_size``, ``shuffle``, ``sampler`` and
            ``drop_last``.
        num_workers: number of workers that prefetch batches; 0 reads in the calling thread.
        collate_fn: function that makes a batch from a list of samples. The default is :func:`default_collate`, or
            :func:`default_convert` (called with one sample) if ``batch_size`` is None.
        pin_memory: if True, copy batches to pinned memory, from which GPUs copy asynchronously
            (``batch.to("cuda", non_blocking=True)``). With workers, a thread pins the next batch in advance. Therefore
            the loader returns a batch only after it has received the next one. Without a GPU, the loader warns and does
            not pin.
        drop_last: if True, drop the last batch if it is not full.
        timeout: seconds to wait for a batch from the workers; 0 waits without limit. If a worker dies, an error is
            raised within seconds, independent of ``timeout``.
        worker_init_fn: function that each worker calls with its id before it reads.
        multiprocessing_context: a start method or a context of ``multiprocessing``; None selects ``fork`` if available.
        generator: an int seed, a ``numpy.random.Generator``, a ``flambeau.Generator``, or None. None selects the
            generator that ``flambeau.manual_seed`` seeds or, if tensor-core is not installed, the generator that
            ``numpy.random.seed`` seeds.
        prefetch_factor: number of batches that each worker prefetches; None means 2.
        persistent_workers: if True, keep the workers for later passes.
        pin_memory_device: ignored, because every GPU can use pinned memory.
        in_order: if True, return batches in the order of the sampler; if False, in the order of completion.
        workers: ``"process"``, or ``"thread"`` for datasets that release the GIL while they read.
    Raises:
        ValueError: if options are mutually exclusive.
        RuntimeError: during iteration, if a worker dies or does not respond within ``timeout``.

    An exception that a dataset raises in a worker is re-raised in the calling thread with its original type. Its cause
    is the worker's traceback, and a note names the sample's index.

    >>> loader = DataLoader(range(5), batch_size=2)
    >>> len(loader), [batch.tolist() for batch in loader]
    (3, [[0, 1], [2, 3], [4]])
    """

    __initialized = False  # PyTorch's name: subclasses set ``_DataLoader__initialized`` to change fixed options
    _IterableDataset_len_called: int | None = None  # length of a stream after the first call of len()

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
            raise TypeError(f"collate_fn must be a function of a list of samples, got {collate_fn!r}")
        self.collate_fn = collate_fn or (default_convert if one_by_one else default_collate)
        self._seeds = Seeds(guest=True)
        self._workers: Workers | None = None  # persistent workers of earlier passes
        self._resumed: dict[str, Any] | None = None
        self._pass: weakref.ref[Epoch] | None = None
        self.__initialized = True

    def _samplers(
        self, shuffle: bool | None, sampler: Iterable[Any] | None, batch_sampler: Iterable[Any] | None
    ) -> tuple[Iterable[Any], Iterable[Any] | None]:
        """Return the sampler of indices, and the sampler of batches or None."""
        indices: Any
        if isinstance(self.dataset, IterableDataset):
            indices = InfiniteConstantSampler()
        elif sampler is not None:
            indices = sampler
        elif shuffle:
            indices = RandomSampler(self.dataset, generator=self.generator)
        else:
            indices = SequentialSampler(self.dataset)
        if self.batch_size is not None:
            batch_sampler = BatchSampler(indices, self.batch_size, self.drop_last)
        return indices, batch_sampler

    def __setattr__(self, name: str, value: Any) -> None:
        if self.__initialized and name in _FIXED_OPTIONS:
            raise ValueError(
                f"{name} attribute should not be set after DataLoader is initialized: create another DataLoader"
            )
        super().__setattr__(name, value)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the current pass and its workers. A copy of the loader starts its own workers."""
        return {**self.__dict__, "_pass": None, "_workers": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __iter__(self) -> Iterator[Any]:
        return self._get_iterator()

    def _get_iterator(self) -> Iterator[Any]:
        """Begin a pass over the data. The method has PyTorch's name, because subclasses override it."""
        state, self._resumed = self._resumed, None
        initial_state, delivered, epoch_seed, requests = self._begin_or_resume(state)
        current: Epoch
        if self.num_workers == 0:
            seeds = None if _tensors.draws_as_pytorch() else self._seeds  # None: do not seed samples, as in PyTorch
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
        current.length, current.initial_state = self.__len__, initial_state
        if isinstance(self.dataset, IterableDataset):
            for _ in range(delivered):
                next(current)
        if self.pin_memory and not _tensors.obstacle_to_pinning():
            from ._pinning import PinnedEpoch

            current = PinnedEpoch(current, ahead=self.num_workers > 0)
            current.length, current.initial_state = self.__len__, initial_state
        current.delivered = delivered
        current.announced = self._IterableDataset_len_called
        self._pass = weakref.ref(current)
        return current

    @property
    def _auto_collation(self) -> bool:
        """True if the loader collates samples into batches. Subclasses of PyTorch's loader read this attribute."""
        return self.batch_sampler is not None

    @property
    def _index_sampler(self) -> Any:
        """Sampler that yields lists of indices or, if the loader does not collate batches, single indices."""
        return self.batch_sampler if self._auto_collation else self.sampler

    @functools.cached_property  # not a property, because subclasses may assign to it
    def _dataset_kind(self) -> int:
        """Type of the dataset: 1 (``_DatasetKind.Iterable``) for a stream, otherwise 0 (``_DatasetKind.Map``)."""
        return int(isinstance(self.dataset, IterableDataset))

    @property
    def multiprocessing_context(self) -> Any:
        """Context of ``multiprocessing`` that starts the workers, or None. It can be set to the name of a method."""
        return self.__multiprocessing_context

    @multiprocessing_context.setter
    def multiprocessing_context(self, context: Any) -> None:
        if context is not None:
            _options.check_use_of_context(self.num_workers)
            context = _options.resolve_context(context)
        self.__multiprocessing_context = context

    def check_worker_number_rationality(self) -> None:
        """Warn if the loader has more workers than this process may use processors.

        Subclasses of PyTorch's loader call this method.
        """
        _options.warn_of_many_workers(self.num_workers)

    def __len__(self) -> int:
        """Return the number of batches. Raises: TypeError if the dataset or the sampler has no length."""
        if not isinstance(self.dataset, IterableDataset):
            return len(self._index_sampler)
        samples = len(self.dataset)  # type: ignore[arg-type]
        count = samples if self.batch_size is None else batch_count(samples, self.batch_size, self.drop_last)
        self._IterableDataset_len_called = count
        return count

    def state_dict(self) -> dict[str, Any]:
        """Return the position of the loader, during a pass or between two passes.

        If a loader with the same configuration loads the state, its next pass delivers the remaining batches of the
        current pass. Later passes are also the same if ``generator`` is given. (Otherwise the global generators
        determine the later passes, and the program must restore these generators.) The samples of delivered batches are
        not read again. A stream is an exception: its first batches are read and discarded.

        Returns: a dict of numbers, strings and lists, which any file format can store.

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
        current = self._current_pass()
        if current is None or current.finished:
            return _state.between_passes(self._generators(), self._length())
        return current.initial_state.state(current.delivered, self._length())

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Set the position at which the next pass continues.

        Args:
            state_dict: a result of :meth:`state_dict`.
        Raises: TypeError if the argument is not a result of :meth:`state_dict`; ValueError if it is from a loader with
            another configuration.
        """
        _state.check(state_dict, self._generators(), self._length())
        self._resumed = state_dict

    def _current_pass(self) -> Epoch | None:
        """Return the last pass if the program still holds a reference to it, otherwise None."""
        return None if self._pass is None else self._pass()

    def _generators(self) -> list[Any]:
        inner = getattr(self.batch_sampler, "sampler", None)
        return _state.generators_of(self, self.sampler, self.batch_sampler, inner)

    def _length(self) -> int | None:
        try:
            return len(self)
        except TypeError:  # the stream or the sampler has no length
            return None

    def _begin(self, seed: int | None) -> tuple[int, Iterator[Any]]:
        if _tensors.draws_as_pytorch():
            requests = self._requests()  # a sampler may draw here, before the seed is drawn, as in PyTorch
            return _random.draw_seed(self.generator) if seed is None else seed, requests
        return _random.draw_seed(self.generator), self._requests()

    def _begin_or_resume(self, state: _state.State | None) -> tuple[_state.InitialState, int, int, Iterator[Any]]:
        """Begin a pass, or resume it from ``state``.

        Return the initial state of the pass, the number of delivered batches, the seed and the requests.
        """
        generators = self._generators()
        if state is not None:
            _state.set_generators(generators, state)
            if state["process"] is not None:
                initial_state = _state.InitialState(state["generators"], state["process"], state.get("seed"))
                skipped = 0 if isinstance(self.dataset, IterableDataset) else state["delivered"]
                return initial_state, state["delivered"], *initial_state.restart(self._begin, skipped)
        seed = None if self._workers is None or self._workers.stopped else self._workers.seed
        return _state.InitialState.capture(generators, seed), 0, *self._begin(seed)

    def _recipe(self) -> Recipe:
        return Recipe(self.dataset, self.collate_fn, self._auto_collation, self.batch_size, self.drop_last)

    def _requests(self) -> Iterator[Any]:
        """Return an iterator with one item for each batch: a list of indices, a single index, or None for a stream."""
        if isinstance(self.dataset, IterableDataset):
            return itertools.repeat(None)
        return iter(self.sampler if self.batch_sampler is None else self.batch_sampler)

    @property
    def _iterator(self) -> Workers | None:
        """Persistent workers of earlier passes, or None. Programs call the method ``_shutdown_workers`` of them."""
        return self._workers

    @_iterator.setter
    def _iterator(self, value: None) -> None:
        if self._workers is not None:
            self._workers.stop()
        self._workers = value

    def _take_workers(self) -> Workers:
        """Return the persistent workers if they exist, otherwise new workers."""
        if self._workers is not None and not self._workers.stopped:
            if (last := self._current_pass()) is not None:
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
        from ._processes import WorkerProcesses  # a slow import, because it imports multiprocessing

        ahead = self.prefetch_factor or 2
        context = _options.resolve_context(self.multiprocessing_context)
        return WorkerProcesses(self._recipe(), self.num_workers, ahead, self.worker_init_fn, context)
