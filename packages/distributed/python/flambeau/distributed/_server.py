"""Server for the rendezvous of processes: a separate program that rank 0 starts and that imports only Python.

It keeps the keys and values of `TCPStore`, and it is the part of MPI's launcher (``mpiexec``) that tells ranks of each
other (PMI 1), so that processes which something else has started become ranks of one MPI program. It also watches the
ranks of each program and tells the others when one ends. Being a process, it answers while the one that started it is
busy, as in starting MPI. It ends when that one has ended and no client is connected.

Source: Balaji and others, "PMI: A Scalable Parallel Process-Management Interface for Extreme-Scale Systems", 2010.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import struct
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

ARRIVED = "/workers"  # the key by which a TCPStore counts who uses it
LONGEST_KEY, LONGEST_VALUE = 256, 4096

BEAT = 0.5  # seconds between two signs of life, of ranks and of this server
DELAYED = 3 * BEAT  # what takes longer between two of them was held up, and may have held up others
WAIT_FOR_CODE = 1.0  # seconds that a process's exit code is waited for after its connection has closed
UNKNOWN_END = "ended without a farewell: it was killed, or it crashed"
SILENT = "has not responded for {seconds:.0f} s: it is stopped, or its machine cannot be reached"

# Of <linux/pidfd.h>, Linux 6.15 and later: the exit code of a process that is not this one's child.
_PIDFD_INFO_EXIT, _INFO_SIZE, _CODE_OFFSET = 1 << 3, 64, 60
_PIDFD_GET_INFO = (3 << 30) | (_INFO_SIZE << 16) | (0xFF << 8) | 11


class Keys:
    """Key-value table. Bytes are stored as text with one character per byte."""

    QUESTIONS = ("find", "swap", "count")

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.lock = threading.Lock()

    def find(self, keys: list[str]) -> list[str | None]:
        """Return the values of some keys, None for missing keys."""
        with self.lock:
            return [self.values.get(key) for key in keys]

    def swap(self, key: str, old: str | None, new: str | None) -> bool:
        """Replace a value if it equals the expected one."""
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

    def answer(self, line: str) -> str:
        """Answer a request, which is a JSON list."""
        question, *arguments = json.loads(line)
        return json.dumps(getattr(self, question)(*arguments) if question in self.QUESTIONS else None)


class Ranks:
    """Ranks of an MPI program: their published values and their barrier."""

    def __init__(self, size: int) -> None:
        self.size, self.members, self.name = size, 0, f"flambeau-{uuid.uuid4().hex}"
        self.values: dict[str, str] = {}
        self.barrier = threading.Barrier(size)

    def answer(self, line: str) -> str:
        """Answer a command of PMI."""
        given = dict(word.split("=", 1) for word in line.split())
        command = given["cmd"]
        if command == "barrier_in":
            self.barrier.wait()
        elif command == "put":
            self.values[given["key"]] = given["value"]
        elif command == "get" and given["key"] not in self.values:
            return "cmd=get_result rc=-1 msg=key_not_found"
        answers = {
            "init": "response_to_init pmi_version=1 pmi_subversion=1 rc=0",
            "get_maxes": f"maxes kvsname_max={LONGEST_KEY} keylen_max={LONGEST_KEY} vallen_max={LONGEST_VALUE}",
            "get_appnum": "appnum appnum=0",
            "get_my_kvsname": f"my_kvsname kvsname={self.name}",
            "get_universe_size": f"universe_size size={self.size}",
            "put": "put_result rc=0 msg=success",
            "get": f"get_result rc=0 msg=success value={self.values.get(given.get('key', ''))}",
            "barrier_in": "barrier_out",
            "finalize": "finalize_ack",
        }
        return "cmd=" + answers.get(command, f"{command}_result rc=-1 msg=unknown_command")


def machine() -> str:
    """Return an identifier of the kernel and the PID namespace."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return f"{file.read().strip()} {os.readlink('/proc/self/ns/pid')}"


def told(code: int) -> str:
    """Describe an exit code; a negative one is a signal."""
    if code >= 0:
        return f"ended with exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
    return f"was ended by signal {name}"


class Member:
    """Watched rank.

    Args:
        place: its machine and process identifier.
        limit: seconds without a sign of life after which it counts as silent; 0: never.
    """

    def __init__(self, connection: socket.socket, place: tuple[str, int], limit: float) -> None:
        self.connection, self.place, self.limit = connection, place, limit
        self.seen = time.monotonic()
        self.silent = False
        self.code: int | None = None  # as the launcher reports it
        self.descriptor = -1
        if place[0] == machine():
            with contextlib.suppress(OSError):
                self.descriptor = os.pidfd_open(place[1])

    def exit_code(self) -> int | None:
        """Return the exit code if it is known, negative for a signal. The kernel has it once the parent has."""
        if self.code is not None or self.descriptor < 0:
            return self.code
        info = bytearray(struct.pack("<Q", _PIDFD_INFO_EXIT).ljust(_INFO_SIZE, b"\0"))
        try:
            fcntl.ioctl(self.descriptor, _PIDFD_GET_INFO, info)
        except OSError:  # an older kernel
            return None
        if not struct.unpack_from("<Q", info)[0] & _PIDFD_INFO_EXIT:
            return None
        return os.waitstatus_to_exitcode(struct.unpack_from("<i", info, _CODE_OFFSET)[0])

    def close(self) -> None:
        """Forget the process."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class Watched:
    """State of the ranks of one program: present and ended ones."""

    def __init__(self) -> None:
        self.members: dict[int, Member] = {}
        self.ended: dict[int, dict[str, Any]] = {}
        self.changed = threading.RLock()
        self.looked = time.monotonic()

    def tell(self, event: dict[str, Any] | None = None) -> None:
        """Send an event to all ranks; None is a sign of life."""
        text = (json.dumps(event) if event else "").encode() + b"\n"
        for member in self.members.values():
            with contextlib.suppress(OSError):  # it is gone, or stopped for so long that its buffer is full
                member.connection.send(text, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)

    def join(self, rank: int, member: Member) -> None:
        """Watch a rank, and tell it what became of others before it came."""
        with self.changed:
            self.members[rank] = member
            for event in self.ended.values():
                self.tell(event)

    def beat(self, rank: int) -> None:
        """Take a sign of life."""
        with self.changed:
            member, now = self.members[rank], time.monotonic()
            if now - member.seen > DELAYED:
                self.excuse(now)
            member.seen = now
            if member.silent:
                member.silent = False
                self.tell({"rank": rank, "back": True})

    def excuse(self, now: float) -> None:
        """Count silence from now on, since what held up one rank or this server may have held up all."""
        for member in self.members.values():
            member.seen = now

    def end(self, rank: int, how: str, calls: dict[str, int] | None = None) -> None:
        """Tell all that a rank has ended.

        Args:
            calls: how many collectives of each group it has begun, if it leaves in order.
        """
        with self.changed:
            if rank not in self.ended:
                self.ended[rank] = {"rank": rank, "how": how, "calls": calls}
                self.tell(self.ended[rank])

    def lose(self, rank: int, member: Member) -> None:
        """Take note that a rank's connection has closed, and find out why."""
        deadline = time.monotonic() + WAIT_FOR_CODE
        while rank not in self.ended and (code := member.exit_code()) is None and time.monotonic() < deadline:
            time.sleep(0.02)
        with self.changed:
            if rank not in self.ended:
                self.end(rank, UNKNOWN_END if code is None else told(code))
            member.close()
            self.members.pop(rank)

    def report(self, place: tuple[str, int], rank: int, code: int) -> None:
        """Take a launcher's word for the exit code of a process, which may have ended before it was watched."""
        with self.changed:
            for member in self.members.values():
                if member.place == place:
                    member.code = code
                    return
            if rank not in self.members:
                self.end(rank, told(code))

    def look(self) -> None:
        """Send a sign of life, and tell all which ranks have sent none for too long."""
        with self.changed:
            self.tell()
            now = time.monotonic()
            if now - self.looked > DELAYED:
                self.excuse(now)
            self.looked = now
            for rank, member in self.members.items():
                if not member.silent and member.limit and now - member.seen > member.limit:
                    member.silent = True
                    self.tell({"rank": rank, "how": SILENT.format(seconds=now - member.seen)})


class Server:
    """State of the server: connections and shared data."""

    def __init__(self) -> None:
        self.keys = Keys()
        self.programs: list[Ranks] = []
        self.watched: dict[str, Watched] = {}
        self.reports: list[tuple[tuple[str, int], int, int]] = []
        self.changed = threading.Condition()
        self.connected = 0

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """Count a connection in this context."""
        try:
            yield
        finally:
            with self.changed:
                self.connected -= 1
                self.changed.notify()

    def serve(self, connection: socket.socket) -> None:
        """Answer one connection until it ends: questions to the keys, or what its first line asks for."""
        with self.counted(), connection, connection.makefile("rw", newline="\n") as lines:
            try:
                for line in lines:
                    if line.startswith('["mpi"'):
                        return self.introduce(lines, *json.loads(line)[1:])
                    if line.startswith('["watch"'):
                        return self.watch(connection, lines, *json.loads(line)[1:])
                    if line.startswith('["report"'):
                        return self.report(*json.loads(line)[1:])
                    lines.write(self.keys.answer(line) + "\n")
                    lines.flush()
            except (OSError, threading.BrokenBarrierError):
                pass  # a process was killed, which `watch` notices

    def introduce(self, lines: Any, size: int) -> None:
        """Answer one rank of an MPI program by PMI."""
        ranks = self.program(size)
        try:
            for line in lines:
                lines.write(ranks.answer(line) + "\n")
                lines.flush()
        finally:
            ranks.barrier.abort()

    def watch(
        self, connection: socket.socket, lines: Any, program: str, rank: int, place: list[Any], limit: float
    ) -> None:
        """Watch one rank until its connection closes: an empty line is a sign of life, another one a farewell."""
        with self.changed:
            watched = self.watched.setdefault(program, Watched())
        member = Member(connection, (place[0], place[1]), limit)
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
            watched.lose(rank, member)

    def report(self, place: list[Any], rank: int, code: int) -> None:
        """Take a launcher's word for the exit code of a process."""
        self.reports.append(((place[0], place[1]), rank, code))
        for watched in list(self.watched.values()):
            watched.report(*self.reports[-1])

    def look(self) -> None:
        """Look after all ranks, for as long as this process lasts."""
        while True:
            time.sleep(BEAT)
            for watched in list(self.watched.values()):
                watched.look()

    def program(self, size: int) -> Ranks:
        """Return the MPI program of the next rank."""
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
    """Serve at a socket until a pipe ends and there are no connections. The arguments are both descriptors.

    The started process returns at once and leaves a detached server process.
    """
    if os.fork():
        return
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):  # so that a reader of rank 0's output does not wait for this process
        os.dup2(nothing, stream)
    listener, lasting, server = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]), Server()
    threading.Thread(target=server.accept, args=(listener,), daemon=True).start()
    threading.Thread(target=server.look, daemon=True).start()
    while os.read(lasting, 1):
        pass
    listener.shutdown(socket.SHUT_RDWR)  # which wakes who accepts
    with server.changed:
        server.changed.wait_for(lambda: not server.connected)


if __name__ == "__main__":
    main()
