"""Fixtures: processes that form a group and run functions of tests. Many tests share them, because starting is slow.

``ranks.run(function, ...)`` calls ``function(...)`` in each process. The function must be at the top level of a module.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import subprocess
import sys
import traceback
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from typing import Any

import pytest

from flambeau import distributed
from flambeau.distributed._mpi_start import has_pmi

PATIENCE = 120  # maximum seconds that a function may take


class Ranks:
    """Processes that are the ranks of one process group. With NCCL, each uses its own GPU."""

    def __init__(self, size: int, backend: str) -> None:
        self.size = size
        self.store = distributed.TCPStore("127.0.0.1", 0, is_master=True)
        context = multiprocessing.get_context("spawn")
        pairs = [context.Pipe() for _ in range(size)]
        self.pipes = [ours for ours, _ in pairs]
        self.processes = [
            context.Process(target=_serve, args=(pipe, self.store.port, rank, size, backend), daemon=True)
            for rank, (_, pipe) in enumerate(pairs)
        ]
        for process in self.processes:
            process.start()
        for _, theirs in pairs:
            theirs.close()

    def run(self, function: Any, *args: Any) -> list[Any]:
        """Call a function in each rank and return the results. Raises: AssertionError with the rank's traceback."""
        for pipe in self.pipes:
            pipe.send((function, args))
        found = []
        for rank, pipe in enumerate(self.pipes):
            if not pipe.poll(PATIENCE):
                self.end()
                raise AssertionError(f"rank {rank} did not come back from {function.__name__} in {PATIENCE} s")
            try:
                found.append(pipe.recv())
            except EOFError:
                self.end()
                raise AssertionError(f"rank {rank} ended within {function.__name__}") from None
        failed = [f"rank {rank}:\n{text}" for rank, (text, _) in enumerate(found) if text]
        assert not failed, "\n".join(failed)
        return [result for _, result in found]

    def alive(self) -> bool:
        """Return True if all processes are alive."""
        return all(process.is_alive() for process in self.processes)

    def end(self) -> None:
        """End all processes."""
        for pipe in self.pipes:
            pipe.close()
        for process in self.processes:
            process.join(5)
            process.kill()
        for process in self.processes:
            process.join()


def _serve(pipe: Any, port: int, rank: int, size: int, backend: str) -> None:
    store = distributed.TCPStore("127.0.0.1", port)
    common = {"rank": rank, "world_size": size, "timeout": timedelta(seconds=60)}
    distributed.init_process_group(backend, store=store, device_id=rank if "nccl" in backend else None, **common)
    while True:
        try:
            function, args = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            answer = (None, function(*args))
        except (Exception, pytest.fail.Exception):
            answer = (traceback.format_exc(), None)
        pipe.send(answer)


_pools: dict[tuple[int, str], Ranks] = {}


def pool(size: int, backend: str = "gloo") -> Ranks:
    """Return ``size`` ranks. They are started at the first request."""
    if (size, backend) not in _pools or not _pools[size, backend].alive():
        _pools[size, backend] = Ranks(size, backend)
    return _pools[size, backend]


@pytest.fixture(scope="module")
def _ended() -> Iterator[None]:
    """End all ranks after a test module, because tests of other modules may count processes."""
    yield
    for pool in _pools.values():
        pool.end()
    _pools.clear()


@cache
def _mpi_library() -> str:
    """Return the description of the MPI library, from another process because loading it has side effects."""
    code = "import mpi4py; mpi4py.rc.initialize = False; from mpi4py import MPI; print(MPI.Get_library_version())"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def _needs_mpi() -> None:
    if importlib.util.find_spec("mpi4py") is None:
        pytest.skip("mpi4py is not installed")
    if not has_pmi(_mpi_library()):
        pytest.skip(f"this MPI library cannot connect processes without mpiexec: {_mpi_library()}")


@pytest.fixture
def ranks(_ended: None) -> Ranks:
    """Two ranks."""
    _needs_mpi()
    return pool(2)


@pytest.fixture
def three_ranks(_ended: None) -> Ranks:
    """Three ranks, for tests of subgroups."""
    _needs_mpi()
    return pool(3)


@pytest.fixture
def one_process() -> Iterator[None]:
    """Initialise a process group of size 1, which needs no MPI."""
    distributed.init_process_group(store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()
