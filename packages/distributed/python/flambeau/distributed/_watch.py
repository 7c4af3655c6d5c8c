"""Detection of ranks that have ended or do not respond, through the store's server.

Each process sends the server a heartbeat twice a second, from a native thread that does not need the GIL. The server
(`_server`) detects when the connection of a process closes or heartbeats stop, and tells all ranks.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import threading
import time
import weakref
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from ._server import BEAT, machine
from .errors import DistStoreError
from .stores import Store, attempts, seconds
from .tcp_store import TCPStore

if sys.platform != "win32":
    from . import _native

__all__ = [
    "COMPLETION_TIMEOUT",
    "PAUSE",
    "Participation",
    "Peers",
    "Watch",
    "wait_for_ranks",
    "others_failed",
    "announce_end",
]

GRACE = 1.0  # seconds in which a collective may still complete after one of its ranks has ended
COMPLETION_TIMEOUT = 10.0  # maximum seconds that a process waits at its end for running operations to complete
PAUSE = 1e-3
ABORT = 70  # exit code of a process that cannot raise an error: EX_SOFTWARE of <sysexits.h>

_SERVER_ENDED = (
    "the server of the store at {host}:{port}, which watches all ranks, has closed its connection: it was killed, or "
    "it crashed. By default, rank 0 starts it"
)
_SERVER_SILENT = (
    "the server of the store at {host}:{port}, which watches all ranks, has not responded for {silent:.0f} s: its "
    "machine (of rank 0, by default) cannot be reached"
)
_RANK_TAKEN = (
    "another process already has rank {rank}: each process needs a different rank. If the store is a file "
    "(init_method='file://...'), an earlier run may have left it: remove it"
)
_ABSENT = "of {size} processes, those of rank {ranks} did not connect within {timeout}: are they running?"
_ABORTED = (
    "flambeau.distributed: rank {rank} waits in {what} and cannot continue, because {reason}. This process exits."
)


def silence_limit() -> float:
    """Return the number of seconds without a heartbeat after which a rank counts as hung; 0: never.

    The environment variable FLAMBEAU_HEARTBEAT_SECONDS sets it (default: 4).
    """
    text = os.environ.get("FLAMBEAU_HEARTBEAT_SECONDS", "4")
    try:
        return max(0.0, float(text))
    except ValueError:
        raise ValueError(f"FLAMBEAU_HEARTBEAT_SECONDS should be a number of seconds, got {text!r}") from None


class _End:
    """End or silence of a rank. Incomplete collectives with this rank fail after the time ``final``."""

    def __init__(self, how: str, calls: dict[str, int] | None = None, grace: float = GRACE) -> None:
        self.how, self.calls, self.final = how, calls, time.monotonic() + grace


class Watch:
    """Connection of one process with the server that watches all ranks of a program.

    Args:
        store: store whose server watches the ranks.
        program: name of the program, because several programs may use a store one after another.
        rank: rank of this process.
    """

    def __init__(self, store: TCPStore, program: str, rank: int) -> None:
        self.rank, self.server = rank, {"host": store.host, "port": store.port}
        self.calls: Counter[str] = Counter()  # number of started collectives, by transport
        self.pending: set[tuple[str, int | None]] = set()  # (transport, sequence number) of each incomplete collective
        self.background_works: set[Any] = set()  # works that no thread waits for
        self.ended: dict[int, _End] = {}
        self.lost_server = ""
        self.closed = False
        self._blocked: tuple[str, Sequence[int]] | None = None
        self._limit = silence_limit()
        self._connection = store.connect()
        self._server_elsewhere = self._connection.getpeername()[0] != self._connection.getsockname()[0]
        hello = ["watch", program, rank, [machine(), os.getpid()], self._limit]
        self._connection.sendall(json.dumps(hello).encode() + b"\n")
        self._heartbeat: Any = _native.start_heartbeat(self._connection.fileno(), BEAT)
        threading.Thread(target=self._listen, name="flambeau.distributed.watch", daemon=True).start()
        _open.add(self)

    def any_ended(self) -> bool:
        """Return True if any rank has ended or is silent."""
        return bool(self.ended or self.lost_server)

    def reason(self, ranks: Sequence[int], group: str = "", call: int | None = None) -> str:
        """Return why an operation that needs ``ranks`` cannot complete, or an empty string if it may complete.

        Args:
            group: key of the transport.
            call: number of the collective in the transport; None for other operations.
        """
        for rank, end in list(self.ended.items()):  # in the order in which ranks ended: one end can cause others
            if rank not in ranks:
                continue
            if end.calls is not None and call is not None:
                if call > end.calls.get(group, 0):
                    return f"rank {rank} {end.how}"
            elif time.monotonic() > end.final:
                return f"rank {rank} {end.how}"
            else:
                return ""  # later ends may be consequences of this end, so do not report them
        return self.lost_server

    @contextlib.contextmanager
    def blocking(self, what: str, ranks: Sequence[int]) -> Iterator[None]:
        """End this process if one of ``ranks`` ends during this context, for calls that cannot be interrupted."""
        self._blocked = (what, ranks)
        try:
            yield
        finally:
            self._blocked = None

    def leave(self, how: str, failed: bool = False) -> None:
        """Announce that this rank ends, with the number of collectives in which it has taken part.

        Args:
            how: reason, for error messages.
            failed: if True, collectives that this rank has started may not complete either.
        """
        if self.closed:
            return
        if not failed:
            self._complete()
        calls = dict(self.calls)
        for key, call in self.pending:
            calls[key] = min(calls[key], (call or 0) - 1)
        message = {"how": how, "calls": None if failed else calls}
        with contextlib.suppress(OSError):  # the server has ended, and the other ranks detect this
            self._connection.sendall(json.dumps(message).encode() + b"\n")

    def _complete(self) -> None:
        """Complete works that no thread waits for, for at most `COMPLETION_TIMEOUT` seconds."""
        deadline = time.monotonic() + COMPLETION_TIMEOUT
        while any(not work.progress() for work in list(self.background_works)) and time.monotonic() < deadline:
            time.sleep(PAUSE)

    def fail(self, what: str, error: BaseException) -> None:
        """Tell the other ranks that this rank leaves because of an error, and close the connection."""
        self.leave(f"failed in {what} with {type(error).__name__}: {error}", failed=True)
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self.closed = True
        self._heartbeat = None
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()

    def _listen(self) -> None:
        """Receive events from the server until it ends. Runs in a separate thread.

        A silent server on this machine is ignored. The machine is only busy: if the server had ended, the kernel would
        have closed its connection.
        """
        self._connection.settimeout(BEAT)
        rest, silent = b"", 0.0  # silent: seconds that this thread has waited without receiving data
        while not self.closed:
            try:
                data = self._connection.recv(65536)
            except TimeoutError:
                silent += BEAT
                if self._server_elsewhere and self._limit and silent > self._limit:
                    break
            except OSError:
                silent = 0.0
                break
            else:
                silent = 0.0
                if not data:
                    break
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    if line:
                        self._handle_event(json.loads(line))
            self._abort_if_blocked()
        if not self.closed:
            self.lost_server = (_SERVER_SILENT if silent else _SERVER_ENDED).format(**self.server, silent=silent)
            self._abort_if_blocked()

    def _handle_event(self, event: dict[str, Any]) -> None:
        rank = event["rank"]
        if rank == self.rank:
            return
        if "back" in event:
            self.ended.pop(rank, None)
        elif "calls" in event:
            self.ended[rank] = _End(event["how"], event["calls"])
        else:
            self.ended[rank] = _End(event["how"], grace=0.0)

    def _abort_if_blocked(self) -> None:
        blocked = self._blocked
        if blocked is None:
            return
        what, ranks = blocked
        if reason := self.reason(ranks):
            sys.stderr.write(_ABORTED.format(rank=self.rank, what=what, reason=reason) + "\n")
            sys.stderr.flush()
            os._exit(ABORT)


class Peers:
    """Ranks of one transport, with the `Watch` that detects their end.

    Args:
        ranks: global ranks.
        key: name of the transport in end messages.
    """

    def __init__(self, watch: Watch, ranks: Sequence[int], key: str) -> None:
        self.watch, self.ranks, self.key = watch, ranks, key

    def of_collective(self) -> Participation:
        """Count another collective, and return the participation of all ranks. The collective requires every rank."""
        self.watch.calls[self.key] += 1
        call = self.watch.calls[self.key]
        self.watch.pending.add((self.key, call))
        return Participation(self.watch, self.ranks, self.key, call)

    def of_message(self, other: int | None) -> Participation:
        """Return the participation of the rank ``other`` in a message, or of any one rank if ``other`` is None."""
        if other is not None:
            return Participation(self.watch, [self.ranks[other]])
        return AnyParticipation(self.watch, [rank for rank in self.ranks if rank != self.watch.rank])


class Participation:
    """Participation of other ranks in a collective or a message."""

    def __init__(self, watch: Watch, ranks: Sequence[int], key: str = "", call: int | None = None) -> None:
        self.watch, self.ranks, self.key, self.call = watch, ranks, key, call

    def failure_reason(self) -> str:
        """Return why the operation cannot complete after a rank has ended, or an empty string if it still can."""
        return self.watch.reason(self.ranks, self.key, self.call) if self.watch.any_ended() else ""

    def continue_in_background(self, work: Any) -> None:
        """Record that the work continues in the background, without a thread that waits for it."""
        self.watch.background_works.add(work)

    def done(self, work: Any) -> None:
        """Record that the work is complete."""
        self.watch.pending.discard((self.key, self.call))
        self.watch.background_works.discard(work)


class AnyParticipation(Participation):
    """Participation in a message that any of several ranks may send."""

    def failure_reason(self) -> str:
        if not self.watch.any_ended():
            return ""
        reasons = [self.watch.reason([rank]) for rank in self.ranks]
        return "; ".join(reasons) if all(reasons) else ""


_open: weakref.WeakSet[Watch] = weakref.WeakSet()


def _after_fork() -> None:
    """Close the connections in a forked child. Otherwise they would stay open after the parent has ended."""
    for watch in list(_open):
        watch.closed = True
        watch._connection.close()
        if watch._heartbeat is not None:
            _native.abandon_heartbeat(watch._heartbeat)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def others_failed() -> bool:
    """Return True if a rank of any program has ended without an end message."""
    return any(watch.lost_server or any(end.calls is None for end in watch.ended.values()) for watch in _open)


def announce_end(error: BaseException | None) -> None:
    """Tell the other ranks that this process ends, and which exception ends it, if any."""
    how = "ended" if error is None else f"ended with {type(error).__name__}: {error}"
    for watch in list(_open):
        watch.leave(how, failed=error is not None)


def wait_for_ranks(store: Store, what: str, rank: int, size: int, watch: Watch | None) -> None:
    """Wait until all ranks have called this function with the same ``store`` and ``what``.

    Raises: DistStoreError if two processes have the same rank, if a rank has ended, or after the store's timeout.
    """
    keys = [f"{what} {each}" for each in range(size)]
    if store.add(keys[rank], 1) > 1:
        raise DistStoreError(_RANK_TAKEN.format(rank=rank))
    for _ in attempts(seconds(store.timeout)):
        if store.check(keys):
            return
        if watch is not None and (reason := watch.reason(range(size))):
            raise DistStoreError(f"rank {rank} waits in init_process_group for all {size} ranks, but {reason}")
    missing = ", ".join(str(each) for each, key in enumerate(keys) if not store.check([key]))
    raise DistStoreError(_ABSENT.format(ranks=missing, size=size, timeout=store.timeout))
