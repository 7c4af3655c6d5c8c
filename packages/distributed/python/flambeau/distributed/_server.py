"""Server for the rendezvous of processes: a separate program that rank 0 starts and that needs only Python.

The server has three tasks. It stores the keys and values of `TCPStore`. It implements PMI 1, the protocol with which
``mpiexec`` connects ranks, so that processes that were started in other ways become ranks of one MPI program. It
watches the ranks of each program and informs the other ranks when one ends.

The server is a separate process, so that it answers while rank 0 is busy, for example while MPI starts. It ends when
the process that started it has ended and no client is connected.

Source: Balaji and others, "PMI: A Scalable Parallel Process-Management Interface for Extreme-Scale Systems", 2010.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import signal
import socket
import struct
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

ARRIVED = "/workers"  # key under which a TCPStore counts its processes
LONGEST_KEY, LONGEST_VALUE = 256, 4096

BEAT = 0.5  # interval in seconds between heartbeats of ranks and of this server
DELAYED = 3 * BEAT  # a longer interval means that a process, and perhaps the whole machine, was stopped for a while
WAIT_FOR_CODE = 1.0  # seconds to wait for the exit code of a process after its connection has closed
UNKNOWN_END = "ended unexpectedly: it was killed, or it crashed"
SILENT = "has not responded for {seconds:.0f} s: it is stopped, or its machine cannot be reached"

# Constants of <linux/pidfd.h> (Linux 6.15) to query the exit code of a process that is not a child.
_PIDFD_INFO_EXIT, _INFO_SIZE, _CODE_OFFSET = 1 << 3, 64, 60
_PIDFD_GET_INFO = (3 << 30) | (_INFO_SIZE << 16) | (0xFF << 8) | 11


class Keys:
    """Key-value table. Bytes are stored as text with one character per byte."""

    METHODS = ("find", "swap", "count")

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.lock = threading.Lock()

    def find(self, keys: list[str]) -> list[str | None]:
        """Return the values of some keys, None for missing keys."""
        with self.lock:
            return [self.values.get(key) for key in keys]

    def swap(self, key: str, old: str | None, new: str | None) -> bool:
        """Replace the value of ``key`` with ``new`` if it equals ``old``, and return True; otherwise return False.

        None stands for a missing key.
        """
        with self.lock:
            if self.values.get(key) != old:
                return False
            if new is None:
                self.values.pop(key, None)
            else:
                self.values[key] = new
            return True

    def count(self) -> int:
        """Return the number of keys."""
        return len(self.values.keys() - {ARRIVED})

    def respond(self, line: str) -> str:
        """Return the answer to a request: a JSON list of a method and its arguments."""
        method, *arguments = json.loads(line)
        return json.dumps(getattr(self, method)(*arguments) if method in self.METHODS else None)


class Ranks:
    """Ranks of an MPI program: their published values and their barrier."""

    def __init__(self, size: int) -> None:
        self.size, self.members, self.name = size, 0, f"flambeau-{uuid.uuid4().hex}"
        self.values: dict[str, str] = {}
        self.barrier = threading.Barrier(size)

    def respond(self, line: str) -> str:
        """Return the answer to a PMI command."""
        fields = dict(word.split("=", 1) for word in line.split())
        command = fields["cmd"]
        if command == "barrier_in":
            self.barrier.wait()
        elif command == "put":
            self.values[fields["key"]] = fields["value"]
        elif command == "get" and fields["key"] not in self.values:
            return "cmd=get_result rc=-1 msg=key_not_found"
        answers = {
            "init": "response_to_init pmi_version=1 pmi_subversion=1 rc=0",
            "get_maxes": f"maxes kvsname_max={LONGEST_KEY} keylen_max={LONGEST_KEY} vallen_max={LONGEST_VALUE}",
            "get_appnum": "appnum appnum=0",
            "get_my_kvsname": f"my_kvsname kvsname={self.name}",
            "get_universe_size": f"universe_size size={self.size}",
            "put": "put_result rc=0 msg=success",
            "get": f"get_result rc=0 msg=success value={self.values.get(fields.get('key', ''))}",
            "barrier_in": "barrier_out",
            "finalize": "finalize_ack",
        }
        return "cmd=" + answers.get(command, f"{command}_result rc=-1 msg=unknown_command")


def machine() -> str:
    """Return an identifier of the running kernel and PID namespace, in which process ids are unique."""
    if sys.platform != "linux":
        return platform.node()
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return f"{file.read().strip()} {os.readlink('/proc/self/ns/pid')}"


def describe_exit(code: int) -> str:
    """Describe an exit code in words. A negative code is the number of a signal."""
    if code >= 0:
        return f"ended with exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
    return f"was ended by signal {name}"


class Member:
    """Watched rank.

    Args:
        process: result of `machine` on the rank's machine, and the process id of the rank.
        limit: number of seconds without a heartbeat after which the rank counts as silent; 0: never.
    """

    def __init__(self, connection: socket.socket, process: tuple[str, int], limit: float) -> None:
        self.connection, self.process, self.limit = connection, process, limit
        self.seen = time.monotonic()
        self.silent = False
        self.code: int | None = None  # exit code from the launcher
        self.descriptor = -1
        if hasattr(os, "pidfd_open") and process[0] == machine():
            with contextlib.suppress(OSError):
                self.descriptor = os.pidfd_open(process[1])

    def exit_code(self) -> int | None:
        """Return the exit code, negative for a signal, or None if unknown.

        The kernel reports the code after the parent process has collected it.
        """
        if self.code is not None or self.descriptor < 0:
            return self.code
        import fcntl  # Windows has no such module

        info = bytearray(struct.pack("<Q", _PIDFD_INFO_EXIT).ljust(_INFO_SIZE, b"\0"))
        try:
            fcntl.ioctl(self.descriptor, _PIDFD_GET_INFO, info)
        except OSError:  # the kernel is older than Linux 6.15
            return None
        if not struct.unpack_from("<Q", info)[0] & _PIDFD_INFO_EXIT:
            return None
        return os.waitstatus_to_exitcode(struct.unpack_from("<i", info, _CODE_OFFSET)[0])

    def close(self) -> None:
        """Close the descriptor of the process."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class WatchedRanks:
    """State of the watched ranks of one program: running ranks and ranks that have ended."""

    def __init__(self) -> None:
        self.members: dict[int, Member] = {}
        self.ended: dict[int, dict[str, Any]] = {}
        self.changed = threading.RLock()
        self.checked = time.monotonic()
        self.excused = self.checked  # end of the last delay, so that no time is excused twice

    def send_event(self, event: dict[str, Any] | None = None) -> None:
        """Send an event to all ranks. None sends a heartbeat, which is an empty line."""
        text = (json.dumps(event) if event else "").encode() + b"\n"
        for member in self.members.values():
            with contextlib.suppress(OSError):  # the rank has ended, or its buffer is full because it is stopped
                member.connection.send(text, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)

    def join(self, rank: int, member: Member) -> None:
        """Add a rank, and tell it which ranks have already ended."""
        with self.changed:
            self.members[rank] = member
            for event in self.ended.values():
                self.send_event(event)

    def beat(self, rank: int) -> None:
        """Record a heartbeat of a rank."""
        with self.changed:
            member, now = self.members[rank], time.monotonic()
            self.excuse_silence(now - member.seen, now)
            member.seen = now
            if member.silent:
                member.silent = False
                self.send_event({"rank": rank, "back": True})

    def excuse_silence(self, interval: float, now: float) -> None:
        """Do not count a delay as silence of a rank, since the delay may have affected all ranks.

        Args:
            interval: seconds since the previous heartbeat of one rank or the previous check of this server. The time
                beyond the normal interval is a delay if the interval is longer than ``DELAYED``.
        """
        if interval > DELAYED:
            delay = now - max(now - interval + BEAT, self.excused)
            self.excused = now
            for member in self.members.values():
                member.seen = min(member.seen + delay, now)

    def end(self, rank: int, how: str, calls: dict[str, int] | None = None) -> None:
        """Tell all ranks that ``rank`` has ended.

        Args:
            how: description of the end.
            calls: numbers of collectives that the rank has started, by group, from its end message; None without an end
                message.
        """
        with self.changed:
            if rank not in self.ended:
                self.ended[rank] = {"rank": rank, "how": how, "calls": calls}
                self.send_event(self.ended[rank])

    def remove(self, rank: int, member: Member) -> None:
        """Remove a rank whose connection has closed. Tell the other ranks that it ended, and its exit code if known."""
        deadline = time.monotonic() + WAIT_FOR_CODE
        while rank not in self.ended and (code := member.exit_code()) is None and time.monotonic() < deadline:
            time.sleep(0.02)
        with self.changed:
            if rank not in self.ended:
                self.end(rank, UNKNOWN_END if code is None else describe_exit(code))
            member.close()
            self.members.pop(rank)

    def report(self, process: tuple[str, int], rank: int, code: int) -> None:
        """Record the exit code that a launcher reports. The process may have ended before it was watched."""
        with self.changed:
            for member in self.members.values():
                if member.process == process:
                    member.code = code
                    return
            if rank not in self.members:
                self.end(rank, describe_exit(code))

    def check_silence(self) -> None:
        """Send a heartbeat, and tell all ranks which ranks have become silent."""
        with self.changed:
            self.send_event()
            now = time.monotonic()
            self.excuse_silence(now - self.checked, now)
            self.checked = now
            for rank, member in self.members.items():
                if not member.silent and member.limit and now - member.seen > member.limit:
                    member.silent = True
                    self.send_event({"rank": rank, "how": SILENT.format(seconds=now - member.seen)})


class Server:
    """State of the server: connections and shared data."""

    def __init__(self) -> None:
        self.keys = Keys()
        self.programs: list[Ranks] = []
        self.watched: dict[str, WatchedRanks] = {}
        self.reports: list[tuple[tuple[str, int], int, int]] = []
        self.changed = threading.Condition()
        self.connected = 0

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """Count a connection as open within this context."""
        try:
            yield
        finally:
            with self.changed:
                self.connected -= 1
                self.changed.notify()

    def serve(self, connection: socket.socket) -> None:
        """Serve one connection until it closes: key-value requests, PMI commands, a watched rank or a report."""
        with self.counted(), connection, connection.makefile("rw", newline="\n") as lines:
            try:
                for line in lines:
                    if line.startswith('["mpi"'):
                        return self.serve_pmi(lines, *json.loads(line)[1:])
                    if line.startswith('["watch"'):
                        return self.watch(connection, lines, *json.loads(line)[1:])
                    if line.startswith('["report"'):
                        return self.report(*json.loads(line)[1:])
                    lines.write(self.keys.respond(line) + "\n")
                    lines.flush()
            except (OSError, threading.BrokenBarrierError):
                pass  # a process was killed; `watch` detects this

    def serve_pmi(self, lines: Any, size: int) -> None:
        """Answer the PMI commands of one rank of an MPI program with ``size`` ranks."""
        ranks = self.program(size)
        try:
            for line in lines:
                lines.write(ranks.respond(line) + "\n")
                lines.flush()
        finally:
            ranks.barrier.abort()

    def watch(
        self, connection: socket.socket, lines: Any, program: str, rank: int, process: list[Any], limit: float
    ) -> None:
        """Watch one rank until its connection closes. An empty line is a heartbeat, any other line an end message."""
        with self.changed:
            watched = self.watched.setdefault(program, WatchedRanks())
        member = Member(connection, (process[0], process[1]), limit)
        watched.join(rank, member)
        for report in self.reports:
            watched.report(*report)
        try:
            for line in lines:
                if line.strip():
                    watched.end(rank, **json.loads(line))
                else:
                    watched.beat(rank)
        finally:
            watched.remove(rank, member)

    def report(self, process: list[Any], rank: int, code: int) -> None:
        """Record the exit code of a process that its launcher reports."""
        self.reports.append(((process[0], process[1]), rank, code))
        for watched in list(self.watched.values()):
            watched.report(*self.reports[-1])

    def monitor(self) -> None:
        """Check periodically, until this process ends, if ranks are silent."""
        while True:
            time.sleep(BEAT)
            for watched in list(self.watched.values()):
                watched.check_silence()

    def program(self, size: int) -> Ranks:
        """Add a rank to the last MPI program, or to a new one of ``size`` ranks if it is full. Return the program."""
        with self.changed:
            if not self.programs or self.programs[-1].members == size:
                self.programs.append(Ranks(size))
            self.programs[-1].members += 1
            return self.programs[-1]

    def accept(self, listener: socket.socket) -> None:
        """Accept connections and serve each in a thread."""
        while True:
            try:
                connection = listener.accept()[0]
            except OSError:  # the listener was shut down
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.changed:
                self.connected += 1
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()


def main() -> None:
    """Serve until the parent's pipe is closed and no connections are left.

    The command-line arguments are the descriptors of the listening socket and of the pipe. The function forks: the
    started process returns at once, and the child process is the server.
    """
    if os.fork():
        return
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):  # otherwise a program that reads rank 0's output would wait for this process
        os.dup2(nothing, stream)
    listener, lasting, server = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]), Server()
    threading.Thread(target=server.accept, args=(listener,), daemon=True).start()
    threading.Thread(target=server.monitor, daemon=True).start()
    while os.read(lasting, 1):
        pass
    listener.shutdown(socket.SHUT_RDWR)  # this ends `accept`
    with server.changed:
        server.changed.wait_for(lambda: not server.connected)


if __name__ == "__main__":
    main()
