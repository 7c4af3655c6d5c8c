"""Start of MPI, in processes that ``mpiexec`` started or that connect through a store."""

from __future__ import annotations

import atexit
import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

from ._watch import COMPLETION_TIMEOUT, PAUSE, Watch, announce_end, others_failed, wait_for_ranks
from .errors import DistBackendError
from .stores import Store, underlying
from .tcp_store import TCPStore

__all__ = [
    "is_available",
    "is_started",
    "started_by_mpiexec",
    "shared_store",
    "on_one_machine",
    "rank_and_size",
    "server_of",
    "start",
]

_MISSING = (
    'groups of several processes on the CPU need MPI: pip install "flambeau-distributed[mpi]", which brings '
    "mpi4py and MPICH ({error})"
)
_ALREADY_STARTED = (
    "MPI already runs in this process, as rank {rank} of {size} processes, but init_process_group() asks for rank "
    "{asked_rank} of {asked_size}: the rank and the number of processes cannot change after MPI has started"
)
_NEEDS_MPICH = (
    "{library} cannot connect processes that mpiexec did not start: pip install mpich, or start the program with "
    "mpiexec"
)
# The first words of the descriptions of MPI libraries that connect processes through PMI, without mpiexec.
_LIBRARIES_WITH_PMI = ("MPICH", "MVAPICH", "Intel(R) MPI")
# Environment variables in which mpiexec passes the rank (MPICH and Intel MPI; Open MPI; PMIx).
_RANKS = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "PMIX_RANK")

STDERR_DELAY = 0.5  # seconds for mpiexec to read stderr before an abort, which discards unread output


def is_available() -> bool:
    """Return True if mpi4py is installed, without starting MPI."""
    import importlib.util

    return importlib.util.find_spec("mpi4py") is not None


def started_by_mpiexec() -> bool:
    """Return True if ``mpiexec`` started this process."""
    return any(name in os.environ for name in _RANKS)


def has_pmi(library: str) -> bool:
    """Return True if the MPI library with the description ``library`` connects processes without ``mpiexec``."""
    return library.startswith(_LIBRARIES_WITH_PMI)


def is_started() -> bool:
    """Return True if MPI runs in this process."""
    module = sys.modules.get("mpi4py.MPI")
    return module is not None and module.Is_initialized() and not module.Is_finalized()


def start(store: Store | None, rank: int, size: int, watch: Watch | None = None) -> Any:
    """Start MPI with the given rank and number of processes, and return the module ``mpi4py.MPI``.

    Args:
        store: store through which the processes connect if ``mpiexec`` did not start them.
        watch: `Watch` that reports ranks that have ended, so that this function stops waiting for them.
    Raises: ImportError without mpi4py or an MPI library; DistBackendError if MPI already runs with another rank or
        number of processes, if ``mpiexec`` did not start the process and there is no store, or if the library needs
        ``mpiexec``.
    """
    if is_started() or started_by_mpiexec():
        MPI = _imported()
    else:
        if store is None:
            raise DistBackendError(
                "MPI cannot start: mpiexec did not start this process, and there is no store to connect to the others"
            )
        MPI = _imported(by_mpiexec=False)
        library = MPI.Get_library_version()
        if size > 1 and not has_pmi(library):
            raise DistBackendError(_NEEDS_MPICH.format(library=" ".join(library.split()[:3]).rstrip(",")))
        wait_for_ranks(store, "MPI", rank, size, watch)  # not in MPI_Init, which cannot be interrupted
        connection = _connection(store, rank, size)
        names = {"PMI_FD": str(connection.detach()), "PMI_RANK": str(rank), "PMI_SIZE": str(size)}
        os.environ.update(names)
        try:
            MPI.Init_thread()
        finally:  # child processes are not ranks of this program
            for name in names:
                del os.environ[name]
    here = MPI.COMM_WORLD
    if (here.Get_rank(), here.Get_size()) != (rank, size):
        where = {"rank": here.Get_rank(), "size": here.Get_size(), "asked_rank": rank, "asked_size": size}
        raise DistBackendError(_ALREADY_STARTED.format(**where))
    _unlink_memory(MPI)
    return MPI


def _imported(by_mpiexec: bool = True) -> Any:
    """Import ``mpi4py.MPI``. If ``by_mpiexec`` (``mpiexec`` started the process), the import also starts MPI."""
    os.environ.setdefault("UCX_LOG_LEVEL", "fatal")  # without messages about unusable network devices
    try:
        import mpi4py

        if not by_mpiexec:
            mpi4py.rc.initialize = False
            mpi4py.rc.finalize = False  # see `_end`
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        reason = str(error).strip().splitlines()
        raise ImportError(_MISSING.format(error=reason[0] if reason else type(error).__name__)) from error
    return MPI


def server_of(store: Store, rank: int) -> TCPStore:
    """Return a `TCPStore` that reaches the program's server: ``store``, or a `TCPStore` that rank 0 starts."""
    server = underlying(store)
    if isinstance(server, TCPStore):
        return server
    if store not in _servers:
        if rank == 0:
            _servers[store] = TCPStore(_reachable_host_name(), 0, is_master=True)
            store.set("server", f"{_servers[store].host} {_servers[store].port}")
        else:
            host, port = store.get("server").decode().split()
            _servers[store] = TCPStore(host, int(port), timeout=store.timeout)
    return _servers[store]


def _connection(store: Store, rank: int, size: int) -> socket.socket:
    """Connect to the server through which MPI's ranks find each other (PMI)."""
    connection = server_of(store, rank).connect()
    connection.sendall(json.dumps(["mpi", size]).encode() + b"\n")
    return connection


def _unlink_memory(MPI: Any) -> None:
    """Unlink the shared-memory files of MPICH, which would remain if a process failed."""
    MPI.COMM_WORLD.Barrier()  # all ranks have mapped the files
    shown = Path("/proc/self/maps")
    for line in shown.read_text().splitlines() if shown.exists() else ():
        if "/dev/shm/mpich_shm_" in line:
            Path(line[line.index("/") :]).unlink(missing_ok=True)


def _reachable_host_name() -> str:
    """Return this machine's host name for other machines, or 127.0.0.1 if the name cannot be resolved."""
    try:
        socket.getaddrinfo(socket.gethostname(), None)
    except OSError:
        return "127.0.0.1"
    return socket.gethostname()


# Stores that are kept until the process ends, because MPI's ranks tell the server when they end.
_servers: dict[Store, TCPStore] = {}


@atexit.register
def _end() -> None:
    """Wait for the other processes when this process exits, but not after an unhandled exception.

    MPI is finalised only if ``mpiexec`` started the process, because ``mpiexec`` expects it. Otherwise finalising is
    not needed, and MPICH 5.0 may crash when it finalises.
    """
    error = getattr(sys, "last_value", None)
    announce_end(error)
    if not is_started():
        return
    everyone = sys.modules["mpi4py.MPI"].COMM_WORLD
    failed = error is not None
    if _by_mpiexec():  # mpiexec ends the other processes after an abort
        if failed and everyone.Get_size() > 1:
            sys.stderr.flush()
            time.sleep(STDERR_DELAY)
            everyone.Abort(1)
    elif not failed:
        _wait_for(everyone.Ibarrier())


def _by_mpiexec() -> bool:
    return sys.modules["mpi4py"].rc.finalize is not False


def _wait_for(request: Any) -> None:
    """Wait for the barrier ``request``, for at most `COMPLETION_TIMEOUT` seconds, so that the last messages arrive."""
    deadline = time.monotonic() + COMPLETION_TIMEOUT
    while not request.Test() and time.monotonic() < deadline and not others_failed():
        time.sleep(PAUSE)


def shared_store() -> Store:
    """Return a store that rank 0 serves for all processes that ``mpiexec`` started. All of them must call this."""
    everyone = _imported().COMM_WORLD
    server = TCPStore(_reachable_host_name(), 0, is_master=True) if everyone.Get_rank() == 0 else None
    host, port = everyone.bcast(None if server is None else (server.host, server.port), 0)
    return TCPStore(host, port) if server is None else server


def on_one_machine() -> bool:
    """Return True if all processes that ``mpiexec`` started are on one machine. All of them must call this."""
    MPI = _imported()
    here = MPI.COMM_WORLD.Split_type(MPI.COMM_TYPE_SHARED)
    try:
        return here.Get_size() == MPI.COMM_WORLD.Get_size()  # type: ignore[no-any-return]
    finally:
        here.Free()


def rank_and_size() -> tuple[int, int]:
    """Return this process's rank among the processes that ``mpiexec`` started, and the number of these processes."""
    everyone = _imported().COMM_WORLD
    return everyone.Get_rank(), everyone.Get_size()
