"""Channel between a loader and a worker process: a socket pair that carries bytes and handles of shared memory."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import struct
import sys
import weakref
from collections import deque
from multiprocessing.connection import wait

_HEADER = struct.Struct("<Q?")  # payload length, True if a handle follows the payload
_HANDLE = struct.Struct("<Q")
_NO_SIGNAL = getattr(socket, "MSG_NOSIGNAL", 0)  # a program may have restored the default action of SIGPIPE


class Channel:
    """One end of a connection.

    The loader's end never blocks on a write: data that does not fit in the socket's buffer is kept and sent later.
    Therefore the two sides cannot deadlock, even with large messages.
    """

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._unsent: deque[memoryview] = deque()
        self._read_ahead = bytearray()
        _open_ends.add(end)

    @staticmethod
    def pair() -> tuple[Channel, socket.socket]:
        """Create a connection. Return the loader's end, and the socket for the worker's end."""
        loader_end, worker_end = socket.socketpair()
        loader_end.setblocking(False)
        return Channel(loader_end), worker_end

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, payload: bytes, handle: int | None = None) -> None:
        """Send a message and, if given, a handle of `_shared_file`. Block while the socket's buffer is full."""
        header = _HEADER.pack(len(payload), handle is not None)
        if len(payload) < 4096:
            self._socket.sendall(header + payload)
        else:
            self._socket.sendall(header)
            self._socket.sendall(payload)
        if handle is not None:
            self._send_handle(handle)

    def receive(self) -> tuple[bytearray, int | None]:
        """Read the next message and its handle, or None. Raises: EOFError if the other side has closed."""
        length, has_handle = _HEADER.unpack(self._read(_HEADER.size))
        return self._read(length), self._read_handle() if has_handle else None

    def _read(self, length: int) -> bytearray:
        """Wait for the next ``length`` bytes and return them. Raises: EOFError if the socket was closed."""
        content = bytearray(length)
        rest = memoryview(content)
        if self._read_ahead:
            count = min(length, len(self._read_ahead))
            rest[:count] = self._read_ahead[:count]
            del self._read_ahead[:count]
            rest = rest[count:]
        while rest:
            try:
                count = self._socket.recv_into(rest)
            except BlockingIOError:
                wait([self._socket])
                continue
            if not count:
                raise EOFError
            rest = rest[count:]
        return content

    def _send_handle(self, handle: int) -> None:
        if sys.platform == "win32":
            self._socket.sendall(_HANDLE.pack(handle))
        else:
            socket.send_fds(self._socket, [b"\0"], [handle])

    def _read_handle(self) -> int:
        if sys.platform == "win32":
            handle: int = _HANDLE.unpack(self._read(_HANDLE.size))[0]
            return handle
        wait([self._socket])
        _, descriptors, _, _ = socket.recv_fds(self._socket, 1, 1)
        if not descriptors:
            raise EOFError
        return descriptors[0]

    def post(self, payload: bytes) -> None:
        """Send a message without blocking. If the socket's buffer is full, :meth:`flush` sends the rest."""
        self._unsent.append(memoryview(_HEADER.pack(len(payload), False) + payload))
        self.flush()

    def flush(self) -> None:
        """Send pending data of :meth:`post`, as much as fits in the socket's buffer, without blocking."""
        while self._unsent:
            try:
                count = self._socket.send(self._unsent[0], _NO_SIGNAL)
            except BlockingIOError:
                return
            except (BrokenPipeError, ConnectionResetError):
                self._unsent.clear()  # the worker has ended; the next read raises an error
                return
            self._unsent[0] = self._unsent[0][count:]
            if not self._unsent[0]:
                self._unsent.popleft()

    def is_closed_by_peer(self) -> bool:
        """Return True if the other side has closed its end, or its sending direction with :meth:`close_sending`.

        The system reports this only after the last message. Therefore this method reads the messages that have arrived,
        and keeps them for :meth:`receive`.
        """
        self._socket.setblocking(False)
        try:
            while received := self._socket.recv(4096):
                self._read_ahead += received
        except BlockingIOError:
            return False
        finally:
            self._socket.setblocking(True)
        return True

    def events(self) -> int:
        """Return the events of ``selectors`` to wait for on this end."""
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)

    def close_sending(self) -> None:
        """Close the sending direction. The other side then ignores messages that it has not read."""
        with contextlib.suppress(OSError):  # the other side may have closed already
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        _open_ends.discard(self._socket)
        self._socket.close()


# Note [Inherited ends]
# ~~~~~~~~~~~~~~~~~~~~~
# A process detects that the other side has died when it reads end-of-file from its socket. The kernel reports
# end-of-file when the last copy of the other end is closed. A forked process inherits copies of all ends, including the
# ends of other workers and other loaders. Therefore a forked process first closes all inherited ends.
_open_ends: weakref.WeakSet[socket.socket] = weakref.WeakSet()


def _close_inherited_ends() -> None:
    for end in list(_open_ends):
        end.close()
    _open_ends.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_inherited_ends)
