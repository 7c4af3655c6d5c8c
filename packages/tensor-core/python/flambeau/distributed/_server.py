"""Where the processes of a program meet: a program of its own, which rank 0 starts and which imports only Python.

It keeps the keys and values of `TCPStore`, and it is the part of MPI's launcher (``mpiexec``) that tells ranks of each
other (PMI 1), so that processes which something else has started become ranks of one MPI program. Being a process, it
answers while the one that started it is busy, as in starting MPI. It ends when that one has and nobody is connected.

Source: Balaji and others, "PMI: A Scalable Parallel Process-Management Interface for Extreme-Scale Systems", 2010.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import threading
import uuid
from collections.abc import Iterator

ARRIVED = "/workers"  # the key by which a TCPStore counts who uses it
LONGEST_KEY, LONGEST_VALUE = 256, 4096


class Keys:
    """Values by keys. Bytes are text here, whose characters are the bytes."""

    QUESTIONS = ("find", "swap", "count")

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.lock = threading.Lock()

    def find(self, keys: list[str]) -> list[str | None]:
        """The values of some keys, None for those that are not there."""
        with self.lock:
            return [self.values.get(key) for key in keys]

    def swap(self, key: str, old: str | None, new: str | None) -> bool:
        """Replace a value if it is still the old one."""
        with self.lock:
            if self.values.get(key) != old:
                return False
            if new is None:
                self.values.pop(key, None)
            else:
                self.values[key] = new
            return True

    def count(self) -> int:
        """How many keys there are."""
        return len(self.values.keys() - {ARRIVED})

    def answer(self, line: str) -> str:
        """What a question, a list in JSON, is answered."""
        question, *arguments = json.loads(line)
        return json.dumps(getattr(self, question)(*arguments) if question in self.QUESTIONS else None)


class Ranks:
    """The ranks of an MPI program: what they have told each other, and who waits for the others."""

    def __init__(self, size: int) -> None:
        self.size, self.members, self.name = size, 0, f"flambeau-{uuid.uuid4().hex}"
        self.values: dict[str, str] = {}
        self.barrier = threading.Barrier(size)

    def answer(self, line: str) -> str:
        """What a command of PMI is answered."""
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


class Server:
    """Who is connected, and what they share."""

    def __init__(self) -> None:
        self.keys = Keys()
        self.programs: list[Ranks] = []
        self.changed = threading.Condition()
        self.connected = 0

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """One more connection, for as long as this lasts."""
        try:
            yield
        finally:
            with self.changed:
                self.connected -= 1
                self.changed.notify()

    def serve(self, connection: socket.socket) -> None:
        """Answer one connection until it ends: questions to the keys, or, after ``["mpi", size]``, PMI."""
        with self.counted(), connection, connection.makefile("rw", newline="\n") as lines:
            answering: Keys | Ranks = self.keys
            try:
                for line in lines:
                    if answering is self.keys and line.startswith('["mpi"'):
                        answering = self.program(json.loads(line)[1])
                        continue
                    lines.write(answering.answer(line) + "\n")
                    lines.flush()
            except (OSError, threading.BrokenBarrierError):
                pass  # a process was killed, which whoever started it sees to
            finally:
                if isinstance(answering, Ranks):
                    answering.barrier.abort()

    def program(self, size: int) -> Ranks:
        """The MPI program that one more rank belongs to."""
        with self.changed:
            if not self.programs or self.programs[-1].members == size:
                self.programs.append(Ranks(size))
            self.programs[-1].members += 1
            return self.programs[-1]

    def accept(self, listener: socket.socket) -> None:
        """Serve whoever connects, each in a thread."""
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
    """Serve at a socket until a pipe ends and nobody is connected. The arguments are the descriptors of both.

    What is started returns at once: a process goes on that is nobody's child.
    """
    if os.fork():
        return
    listener, lasting, server = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]), Server()
    threading.Thread(target=server.accept, args=(listener,), daemon=True).start()
    while os.read(lasting, 1):
        pass
    listener.shutdown(socket.SHUT_RDWR)  # which wakes who accepts
    with server.changed:
        server.changed.wait_for(lambda: not server.connected)


if __name__ == "__main__":
    main()
