"""Channel between a loader and a worker process: a socket pair that carries bytes and file descriptors."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import weakref
from collections import deque

_HEADER = struct.Struct("<Q?")  # payload length, True if a descriptor follows


class Channel:
    """One end of a connection.

    The loader's end never blocks on a write: data that does not fit in the socket's buffer is kept and sent later.
    Therefore the two sides cannot deadlock, even with large messages.
    """

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._unsent: deque[memoryview] = deque()
        _open_ends.add(end)

    @staticmethod
    def pair() -> tuple[Channel, socket.socket]:
        """Create a connection. Return the loader's end, and the socket for the worker's end."""
        own, other = socket.socketpair()
        return Channel(own), other

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, payload: bytes, descriptor: int | None = None) -> None:
        """Send a message and, if given, a file descriptor. Block while the socket's buffer is full."""
        header = _HEADER.pack(len(payload), descriptor is not None)
        if descriptor is None:
            self._socket.sendall(header + payload if len(payload) < 4096 else header)
        else:
            sent = socket.send_fds(self._socket, [header], [descriptor])
            self._socket.sendall(header[sent:])
        if descriptor is not None or len(payload) >= 4096:
            self._socket.sendall(payload)

    def receive(self) -> tuple[bytearray, int | None]:
        """Read the next message and its file descriptor, or None. Raises: EOFError if the other side has closed."""
        header, descriptors, _, _ = socket.recv_fds(self._socket, _HEADER.size, 1)
        if 0 < len(header) < _HEADER.size:
            header += self._read(_HEADER.size - len(header))
        if not header:
            raise EOFError
        length, _ = _HEADER.unpack(header)
        return self._read(length), descriptors[0] if descriptors else None

    def _read(self, length: int) -> bytearray:
        content = bytearray(length)
        rest = memoryview(content)
        while rest:
            count = self._socket.recv_into(rest, flags=socket.MSG_WAITALL)
            if not count:
                raise EOFError
            rest = rest[count:]
        return content

    def post(self, payload: bytes) -> None:
        """Send a message without blocking. If the socket's buffer is full, :meth:`flush` sends the rest."""
        self._unsent.append(memoryview(_HEADER.pack(len(payload), False) + payload))
        self.flush()

    def flush(self) -> None:
        """Send pending data of :meth:`post`, as much as fits in the socket's buffer, without blocking."""
        while self._unsent:
            try:
                count = self._socket.send(self._unsent[0], socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            except BlockingIOError:
                return
            except (BrokenPipeError, ConnectionResetError):
                self._unsent.clear()  # the worker has ended; the next read raises an error
                return
            self._unsent[0] = self._unsent[0][count:]
            if not self._unsent[0]:
                self._unsent.popleft()

    def is_closed_by_peer(self) -> bool:
        """Return True if the other side has closed its end, or its sending direction with :meth:`close_sending`."""
        poller = select.poll()
        poller.register(self._socket, select.POLLRDHUP)
        return bool(poller.poll(0))

    def events(self) -> int:
        """Return the ``poll`` events to wait for on this end."""
        return select.POLLIN | (select.POLLOUT if self._unsent else 0)

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
