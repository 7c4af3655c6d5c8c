"""Launcher of programs with several processes: ``python -m flambeau.distributed.run program.py``.

The launcher sets the environment variables that `init_process_group` reads: RANK and WORLD_SIZE, LOCAL_RANK and
LOCAL_WORLD_SIZE (on the machine), GROUP_RANK (of the machine), MASTER_ADDR and MASTER_PORT. If one process fails, the
launcher ends the others and returns the exit code of the failed process.

For several machines, start the launcher on each machine, with ``--nnodes`` and ``--node-rank``, and with
``--master-addr`` and ``--master-port`` of the machine of rank 0.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TypeVar

from ._server import describe_exit, machine

__all__ = ["main", "record"]

F = TypeVar("F", bound=Callable[..., object])

GRACE = 5.0  # seconds for processes to end after a failure
LOOK = 0.05  # seconds between polls
REPORT = 2.0  # timeout in seconds of a report to the store's server
_PR_SET_PDEATHSIG = 1
_OUTPUTS = {"0": (), "1": ("stdout",), "2": ("stderr",), "3": ("stdout", "stderr")}


def _parser() -> argparse.ArgumentParser:
    """Return the command line's parser, with the option names of torchrun."""
    parser = argparse.ArgumentParser(
        prog="python -m flambeau.distributed.run",
        description="Start several processes of a program, on one machine or several.",
    )
    add = parser.add_argument
    add("--nproc-per-node", "--nproc_per_node", default="1", help="local processes: a number, cpu, gpu or auto")
    add("--nnodes", default="1", help="number of machines")
    add("--node-rank", "--node_rank", type=int, default=0, help="rank of this machine, from 0")
    add("--master-addr", "--master_addr", default="127.0.0.1", help="address of the machine with node rank 0")
    port = "port on that machine (default: 29500, or any free port if there is only one machine)"
    add("--master-port", "--master_port", type=int, default=0, help=port)
    add("--rdzv-endpoint", "--rdzv_endpoint", default="", metavar="HOST[:PORT]", help="master address and port")
    add("--rdzv-backend", "--rdzv_backend", default="static", choices=["static", "c10d"])
    add("--rdzv-id", "--rdzv_id", default="", help="a name for this run")
    add("--standalone", action="store_true", help="use only this machine, at any free port")
    add("--max-restarts", "--max_restarts", type=int, default=0, help="maximum number of restarts of all processes")
    add("--log-dir", "--log_dir", type=Path, help="folder for the output of the processes")
    redirects = "streams that are written to --log-dir: 0 none, 1 stdout, 2 stderr, 3 both"
    add("-r", "--redirects", default="0", choices=_OUTPUTS, help=redirects)
    add("-m", "--module", action="store_true", help="the program is a module, as for python -m")
    add("--no-python", "--no_python", action="store_true", help="the program is not a Python file")
    add("program", help="program to run")
    add("arguments", nargs=argparse.REMAINDER, help="arguments of the program")
    return parser


def _processes(text: str) -> int:
    """Parse the number of processes per machine."""
    if text.isdigit() and int(text):
        return int(text)
    if text in ("auto", "gpu"):
        from flambeau import cuda

        if cuda.is_available():
            return cuda.device_count()
        if text == "gpu":
            raise SystemExit("--nproc-per-node=gpu: this machine has no available GPU")
    if text in ("auto", "cpu"):
        return _processors()
    raise SystemExit(f"--nproc-per-node should be a positive number, cpu, gpu or auto, got {text!r}")


def _processors() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _nodes(text: str) -> int:
    """Parse the number of machines. PyTorch's ``least:most`` is accepted if both are equal."""
    least, _, most = text.partition(":")
    if not least.isdigit() or not int(least) or (most and most != least):
        raise SystemExit(f"--nnodes should be a positive number (the number of machines cannot change), got {text!r}")
    return int(least)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _master_address(options: argparse.Namespace, nodes: int) -> tuple[str, int]:
    """Return the address and the port of rank 0."""
    if nodes == 1 and (options.standalone or not (options.rdzv_endpoint or options.master_port)):
        return "127.0.0.1", _free_port()
    host, _, port = options.rdzv_endpoint.partition(":")
    return host or options.master_addr, int(port or options.master_port or 29500)


class _Launch:
    """Processes that the launcher starts on one machine."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.count, self.nodes = _processes(options.nproc_per_node), _nodes(options.nnodes)
        if not 0 <= options.node_rank < self.nodes:
            raise SystemExit(
                f"--node-rank should be from 0 to {self.nodes - 1} for --nnodes={self.nodes}, got {options.node_rank}"
            )
        self.run_id = options.rdzv_id or uuid.uuid4().hex
        self.running: dict[int, subprocess.Popen[bytes]] = {}
        self.files: list[IO[bytes]] = []

    def command(self) -> list[str]:
        """Return the command of each process."""
        if self.options.no_python:
            return [self.options.program, *self.options.arguments]
        module = ["-m"] if self.options.module else []
        return [sys.executable, "-u", *module, self.options.program, *self.options.arguments]

    def rank(self, local_rank: int) -> int:
        """Return the rank of a process among all processes of the program."""
        return int(self.options.node_rank) * self.count + local_rank

    def environment(self, local_rank: int, address: tuple[str, int], attempt: int) -> dict[str, str]:
        """Return the environment variables of a process."""
        variables = {
            "RANK": self.rank(local_rank),
            "WORLD_SIZE": self.nodes * self.count,
            "LOCAL_RANK": local_rank,
            "LOCAL_WORLD_SIZE": self.count,
            "GROUP_RANK": self.options.node_rank,
            "GROUP_WORLD_SIZE": self.nodes,
            "ROLE_RANK": self.rank(local_rank),
            "ROLE_WORLD_SIZE": self.nodes * self.count,
            "MASTER_ADDR": address[0],
            "MASTER_PORT": address[1],
            "TORCHELASTIC_RUN_ID": self.run_id,
            "TORCHELASTIC_RESTART_COUNT": attempt,
            "TORCHELASTIC_MAX_RESTARTS": self.options.max_restarts,
        }
        shared = str(max(1, _processors() // self.count))  # divide the processors among the processes
        threads = {name: os.environ.get(name, shared) for name in ("FLAMBEAU_NUM_THREADS", "OMP_NUM_THREADS")}
        return {**os.environ, **threads, **{name: str(value) for name, value in variables.items()}}

    def output(self, local_rank: int, attempt: int) -> dict[str, IO[bytes]]:
        """Open the log files of a process, if any."""
        chosen = {}
        for name in _OUTPUTS[self.options.redirects] if self.options.log_dir else ():
            folder = self.options.log_dir / self.run_id / f"attempt_{attempt}" / str(local_rank)
            folder.mkdir(parents=True, exist_ok=True)
            chosen[name] = (folder / f"{name}.log").open("wb")
            self.files.append(chosen[name])
        return chosen

    def start(self, attempt: int) -> None:
        """Start the processes."""
        self.address = _master_address(self.options, self.nodes)
        bound = _die_with(os.getpid())
        for rank in range(self.count):
            environment, files = self.environment(rank, self.address, attempt), self.output(rank, attempt)
            self.running[rank] = subprocess.Popen(  # type: ignore[call-overload]
                self.command(), env=environment, preexec_fn=bound, **files
            )

    def wait(self) -> tuple[int, int] | None:
        """Wait until all processes have ended or one has failed. Return None, or its local rank and exit code."""
        while self.running:
            for rank, process in list(self.running.items()):
                code = process.poll()
                if code is not None:
                    del self.running[rank]
                    if self.running or self.nodes > 1:
                        self.report(rank, process.pid, code)
                    if code:
                        return rank, code
            time.sleep(LOOK)
        return None

    def report(self, local_rank: int, pid: int, code: int) -> None:
        """Report the end of a process to the store's server, which informs all ranks."""
        text = json.dumps(["report", [machine(), pid], self.rank(local_rank), code]) + "\n"
        with (
            contextlib.suppress(OSError),  # no server: the program has no group, or all have left it
            socket.create_connection(self.address, timeout=REPORT) as connection,
        ):
            connection.sendall(text.encode())

    def end(self) -> None:
        """End the remaining processes."""
        for process in self.running.values():
            process.terminate()
        deadline = time.monotonic() + GRACE
        for process in self.running.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
            if process.poll() is None:
                process.kill()
                process.wait()
        self.running.clear()
        for file in self.files:
            file.close()
        self.files.clear()


def _die_with(launcher: int) -> Callable[[], None]:
    """Return a function for the child process that makes the kernel send it SIGTERM when the launcher ends."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)  # exists only on Linux

    def bind() -> None:
        if prctl:
            prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != launcher:  # the launcher has already ended
            os.kill(os.getpid(), signal.SIGTERM)

    return bind


def main(arguments: Sequence[str] | None = None) -> int:
    """Start a program and wait for it. Return the exit code.

    >>> from flambeau.distributed.run import main
    >>> main(["--nproc-per-node=2", "program.py"])  # doctest: +SKIP
    0
    """
    launch = _Launch(_parser().parse_args(arguments))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    for attempt in range(launch.options.max_restarts + 1):
        try:
            launch.start(attempt)
            failed = launch.wait()
        except FileNotFoundError as error:
            print(f"flambeau.distributed.run: {error}", file=sys.stderr)
            return 127
        except KeyboardInterrupt:
            return 128 + signal.SIGINT
        finally:
            launch.end()
        if failed is None:
            return 0
        rank, code = failed
        again = " Restarting all processes." if attempt < launch.options.max_restarts else ""
        print(
            f"flambeau.distributed.run: the process of local rank {rank} {describe_exit(code)}, so the others were "
            f"ended.{again}",
            file=sys.stderr,
        )
    return code if code > 0 else 128 - code


def record(function: F) -> F:
    """Return the function unchanged. PyTorch programs use this decorator to report errors.

    >>> from flambeau.distributed.run import record
    >>> @record
    ... def train():
    ...     print("training")
    >>> train()
    training
    """
    return function


if __name__ == "__main__":
    sys.exit(main())
