"""Rendezvous of the processes of a program: they obtain the shared store, their ranks and the number of processes."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from datetime import timedelta
from typing import NamedTuple
from urllib.parse import parse_qs, urlparse

from . import _mpi_start
from ._watch import Watch, wait_for_ranks
from .errors import DistStoreError
from .stores import FileStore, PrefixStore, Store, default_pg_timeout, full_prefix, underlying
from .tcp_store import TCPStore

__all__ = ["RendezvousResult", "complete_rendezvous", "rendezvous"]

_MISSING_SETTING = (
    "init_process_group does not know {what}: start the program by `python -m flambeau.distributed.run "
    "--nproc-per-node=2 program.py` or `mpiexec -n 2 python program.py`, or set {names}{argument}"
)


def rendezvous(
    url: str, rank: int = -1, world_size: int = -1, timeout: timedelta | float = default_pg_timeout
) -> Iterator[tuple[Store, int, int]]:
    """Yield the shared store, the rank of this process and the number of processes, once.

    Args:
        url: ``env://`` (the variables MASTER_ADDR, MASTER_PORT, RANK and WORLD_SIZE), ``tcp://host:port`` (of the
            process of rank 0), or ``file:///path`` (a file that does not exist yet).
        rank, world_size: -1 reads them from the environment or from ``?rank=0&world_size=2`` after the url.
    Raises: ValueError for an unknown url or missing information.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     url = f"file://{folder}/store"
    ...     store, *ranks = next(flambeau.distributed.rendezvous(url, rank=0, world_size=1))
    >>> ranks
    [0, 1]
    """
    parts = urlparse(url)
    query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    rank, world_size = (int(query.get("rank", rank)), int(query.get("world_size", world_size)))
    if parts.scheme == "env":
        rank = _from_environment(rank, "RANK", "its rank", " or pass rank=...")
        world_size = _from_environment(world_size, "WORLD_SIZE", "the number of processes", " or pass world_size=...")
        port = _from_environment(-1, "MASTER_PORT", "the port of the process of rank 0", " or pass init_method=...")
        yield _tcp_store(_address(), port, rank, timeout), rank, world_size
        return
    if rank < 0 or world_size < 0:
        raise ValueError(f"init_process_group({url!r}) needs rank=... and world_size=...")
    if parts.scheme == "tcp":
        if not parts.hostname or parts.port is None:
            raise ValueError(f"init_method should be tcp://host:port, got {url!r}")
        yield _tcp_store(parts.hostname, parts.port, rank, timeout), rank, world_size
    elif parts.scheme == "file":
        if not parts.path:
            raise ValueError(f"init_method should be file:///path/of/a/file, got {url!r}")
        yield FileStore(parts.path, world_size, timeout), rank, world_size
    else:
        raise ValueError(f"init_method should begin with env://, tcp:// or file://, got {url!r}")


# Stores that this process has used for a rendezvous, kept because they may be used again.
_tcp_stores: dict[tuple[str, int], TCPStore] = {}


def _tcp_store(host: str, port: int, rank: int, timeout: timedelta | float) -> Store:
    if (host, port) not in _tcp_stores:
        _tcp_stores[host, port] = TCPStore(host, port, None, rank == 0, timeout)
    return _tcp_stores[host, port]


def _address() -> str:
    address = os.environ.get("MASTER_ADDR")
    if not address:
        raise ValueError(
            _MISSING_SETTING.format(
                what="the machine of rank 0", names="the environment variable MASTER_ADDR", argument=""
            )
        )
    return address


def _from_environment(given: int, name: str, what: str, argument: str) -> int:
    if given >= 0:
        return given
    text = os.environ.get(name)
    if text is None:
        raise ValueError(
            _MISSING_SETTING.format(what=what, names=f"the environment variable {name}", argument=argument)
        )
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"the environment variable {name} should be an integer, got {text!r}") from None


class RendezvousResult(NamedTuple):
    """Result of a rendezvous.

    Args:
        store: shared store; None if ``mpiexec`` started processes on several machines, which communicate only by MPI.
        watch: `Watch` that detects ranks that have ended; None for a single process, or without a store.
    """

    store: Store | None
    rank: int
    size: int
    watch: Watch | None


def complete_rendezvous(
    init_method: str | None, store: Store | None, rank: int, world_size: int, timeout: timedelta | float
) -> RendezvousResult:
    """Find the other processes: wait until all processes have called this function, and return the result.

    If ``mpiexec`` started the processes and no argument is given, MPI provides their ranks.
    """
    if store is None:
        is_configured = init_method is not None or "RANK" in os.environ or rank >= 0
        if not is_configured and (_mpi_start.started_by_mpiexec() or _mpi_start.is_started()):
            return _rendezvous_by_mpi()
        store, rank, world_size = next(rendezvous(init_method or "env://", rank, world_size, timeout))
    elif rank < 0 or world_size < 1:
        given = f"rank={rank} and world_size={world_size}"
        raise ValueError(f"init_process_group(store=...) needs rank=... and world_size=..., got {given}")
    if not 0 <= rank < world_size:
        raise ValueError(f"rank should be from 0 to world_size - 1, got rank={rank} and world_size={world_size}")
    program_store = _next_program(store)
    program_store.set_timeout(timeout)
    watched = isinstance(underlying(store), TCPStore)  # a TCPStore has a server that can watch from the start
    watch = _watch(program_store, rank, world_size) if watched else None
    try:
        _register(program_store, rank, world_size, watch)
    except BaseException as error:
        if watch is not None:
            watch.fail("init_process_group", error)
        raise
    return RendezvousResult(program_store, rank, world_size, watch or _watch(program_store, rank, world_size))


def _rendezvous_by_mpi() -> RendezvousResult:
    rank, size = _mpi_start.rank_and_size()
    if size == 1 or not _mpi_start.on_one_machine():  # it is unknown whether other machines can reach a store
        return RendezvousResult(None, rank, size, None)
    program_store = _next_program(_mpi_start.shared_store())
    return RendezvousResult(program_store, rank, size, _watch(program_store, rank, size))


def _watch(store: PrefixStore, rank: int, size: int) -> Watch | None:
    return Watch(_mpi_start.server_of(store, rank), full_prefix(store), rank) if size > 1 else None


def _next_program(store: Store) -> PrefixStore:
    """Return a view of ``store`` with a new key prefix, for the next rendezvous."""
    times = _rendezvous_counts.get(store, 0)
    _rendezvous_counts[store] = times + 1
    return PrefixStore(f"rendezvous {times}", store)


# Number of earlier rendezvous per store. Each rendezvous uses its number as a key prefix.
_rendezvous_counts: weakref.WeakKeyDictionary[Store, int] = weakref.WeakKeyDictionary()


def _register(store: Store, rank: int, world_size: int, watch: Watch | None) -> None:
    """Register this process in the store, and wait for the others."""
    expected = store.compare_set("world size", "", str(world_size)).decode()
    if expected != str(world_size):
        raise DistStoreError(
            f"rank {rank} was started with world_size={world_size}, but another rank with world_size={expected}"
        )
    wait_for_ranks(store, "rank", rank, world_size, watch)
