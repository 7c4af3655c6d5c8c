"""Validation of the arguments of a DataLoader."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

from .dataset import IterableDataset
from .sampler import check_positive

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext

_NEEDS_WORKERS = "{option} option needs num_workers > 0, but got num_workers=0: pass num_workers or leave {option} out"


def check_order(dataset: Any, batch_size: Any, shuffle: Any, sampler: Any, batch_sampler: Any, drop_last: bool) -> None:
    """Raise ValueError for options that are mutually exclusive, and TypeError for an invalid dataset."""
    streaming = isinstance(dataset, IterableDataset)
    if streaming:
        for option, value in (("shuffle", shuffle), ("sampler", sampler), ("batch_sampler", batch_sampler)):
            if value is not None and value is not False:
                expected = f"expected unspecified {option} option, but got {option}={value}"
                raise ValueError(f"DataLoader with IterableDataset: {expected}; a stream has no indices")
    if sampler is not None and shuffle:
        raise ValueError("sampler option is mutually exclusive with shuffle: the sampler decides the order")
    if batch_sampler is not None:
        if batch_size != 1 or shuffle or sampler is not None or drop_last:
            others = "batch_size, shuffle, sampler, and drop_last"
            raise ValueError(f"batch_sampler option is mutually exclusive with {others}: it decides the batches")
    elif batch_size is None:
        if drop_last:
            raise ValueError("batch_size=None option disables auto-batching and is mutually exclusive with drop_last")
    else:
        check_positive("batch_size", batch_size)
    _check_dataset(dataset, needs_length=not streaming and sampler is None and batch_sampler is None)


def check_workers(
    num_workers: Any, workers: str, timeout: float, prefetch_factor: Any, persistent_workers: bool, context: Any
) -> None:
    """Raise ValueError or TypeError for invalid options of workers."""
    if not isinstance(num_workers, int) or isinstance(num_workers, bool):
        raise TypeError(f"num_workers must be an int, got {num_workers!r}")
    if num_workers < 0:
        raise ValueError(
            f"num_workers option should be non-negative (0 reads in the calling thread), but got {num_workers}"
        )
    if workers not in ("process", "thread"):
        raise ValueError(f"workers must be 'process' or 'thread', got {workers!r}")
    if not timeout >= 0:
        raise ValueError(f"timeout option should be non-negative (0 waits without limit), but got {timeout}")
    if num_workers == 0:
        if context is not None:
            check_use_of_context(num_workers)
        for option, is_given in {
            "prefetch_factor": prefetch_factor is not None,
            "persistent_workers": persistent_workers,
        }.items():
            if is_given:
                raise ValueError(_NEEDS_WORKERS.format(option=option))
    if prefetch_factor is not None and (not isinstance(prefetch_factor, int) or prefetch_factor <= 0):
        raise ValueError(f"prefetch_factor should be a positive integer value, but got {prefetch_factor!r}")
    if workers == "thread" and context is not None:
        raise ValueError("multiprocessing_context can only be used with workers='process', but got workers='thread'")


def check_use_of_context(num_workers: int) -> None:
    """Raise ValueError if a loader without workers gets a context of ``multiprocessing``."""
    if num_workers == 0:
        use = "multi-process loading (num_workers > 0)"
        raise ValueError(f"multiprocessing_context can only be used with {use}, but got num_workers=0")


def warn_of_many_workers(num_workers: int) -> None:
    """Warn if there are more workers than processors that this process may use."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if num_workers > processors:
        warnings.warn(
            f"This DataLoader will create {num_workers} worker processes in total. Our suggested max number of worker "
            f"in current system is {processors}, which is smaller than what this DataLoader is going to create. Please "
            "be aware that excessive worker creation might get DataLoader running slow or even freeze, lower the "
            "worker number to avoid potential slowness/freeze if necessary.",
            stacklevel=3,
        )


def resolve_context(context: Any) -> BaseContext:
    """Return the context of ``multiprocessing`` for a context or the name of a start method.

    None selects ``fork`` if available. A forked process starts within milliseconds and needs neither a picklable
    dataset nor a main guard. It creates new thread pools (tensor-core, OpenBLAS) and new locks of the Python runtime.
    """
    import multiprocessing  # the import is slow, and only loaders with workers need it

    methods = multiprocessing.get_all_start_methods()
    if context is None:
        return multiprocessing.get_context("fork" if "fork" in methods else None)
    if isinstance(context, str):
        if context not in methods:
            raise ValueError(
                f"multiprocessing_context option should specify a valid start method in {methods}, but got {context!r}"
            )
        return multiprocessing.get_context(context)
    if not isinstance(context, multiprocessing.context.BaseContext):
        kind = type(context).__name__
        raise TypeError(
            "multiprocessing_context option should be a valid context object or a string specifying the start method, "
            f"but got {kind}"
        )
    return context


def _check_dataset(dataset: Any, needs_length: bool) -> None:
    """Raise TypeError if a dataset has no ``__getitem__``, or no ``__len__`` although its length is needed."""
    kind = dataset.__qualname__ if isinstance(dataset, type) else type(dataset).__name__
    if isinstance(dataset, type):
        raise TypeError(f"DataLoader expects a dataset, got the class '{kind}' itself: write {kind}(...)")
    if isinstance(dataset, IterableDataset):
        return
    if not hasattr(dataset, "__getitem__") and not hasattr(dataset, "__getitems__"):
        streams = hasattr(dataset, "__iter__")
        remedy = "derive it from flambeau.data.IterableDataset to read it as a stream" if streams else "define it"
        raise TypeError(f"the dataset ({kind}) has no __getitem__: {remedy}")
    if needs_length and not hasattr(dataset, "__len__"):
        raise TypeError(f"the dataset ({kind}) has no __len__: define it, or pass sampler=... to say what to read")
