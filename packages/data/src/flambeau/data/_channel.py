"""Messages between a loader and a worker process: bytes, and now and then a file descriptor, over a socket pair."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import weakref
from collections import deque

_HEADER = struct.Struct("<Q?")  # length of the payload, whether a descriptor comes with it


class Channel:
    """One end of a connection.

    The loader's end never waits for room to write: what does not fit is kept and follows later. So the two sides
    cannot wait for each other, whatever the size of the messages.
    """

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._unsent: deque[memoryview] = deque()
        _open_ends.add(end)

    @staticmethod
    def pair() -> tuple[Channel, socket.socket]:
        """The loader's end, and the socket to make the worker's end of."""
        own, other = socket.socketpair()
        return Channel(own), other

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, payload: bytes, descriptor: int | None = None) -> None:
        """Write a message, waiting for room."""
        header = _HEADER.pack(len(payload), descriptor is not None)
        if descriptor is None:
            self._socket.sendall(header + payload if len(payload) < 4096 else header)
        else:
            sent = socket.send_fds(self._socket, [header], [descriptor])
            self._socket.sendall(header[sent:])
        if descriptor is not None or len(payload) >= 4096:
            self._socket.sendall(payload)

    def receive(self) -> tuple[bytearray, int | None]:
        """The next message. EOFError where the other side has gone."""
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
        """Write a message as far as there is room; the rest is kept."""
        self._unsent.append(memoryview(_HEADER.pack(len(payload), False) + payload))
        self.flush()

    def flush(self) -> None:
        """Write as much of what was kept as there is room for."""
        while self._unsent:
            try:
                count = self._socket.send(self._unsent[0], socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            except BlockingIOError:
                return
            except (BrokenPipeError, ConnectionResetError):
                self._unsent.clear()  # the worker has gone, which whoever reads from it finds out
                return
            self._unsent[0] = self._unsent[0][count:]
            if not self._unsent[0]:
                self._unsent.popleft()

    def is_deserted(self) -> bool:
        """Whether the other side has called ``desert``, or has gone."""
        poller = select.poll()
        poller.register(self._socket, select.POLLRDHUP)
        return bool(poller.poll(0))

    def events(self) -> int:
        """What to poll this end for."""
        return select.POLLIN | (select.POLLOUT if self._unsent else 0)

    def desert(self) -> None:
        """Tell the other side that nobody listens any more: what it has not read yet no longer counts."""
        with contextlib.suppress(OSError):  # the other side has gone already
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        _open_ends.discard(self._socket)
        self._socket.close()


# Note [Inherited ends]
# ~~~~~~~~~~~~~~~~~~~~~
# A side learns that the other has died when its socket reads as ended, which the kernel says when the last copy of the
# other end is closed. A forked process inherits copies of all of them, workers of other loaders included, so every
# forked process closes those first of all.
_open_ends: weakref.WeakSet[socket.socket] = weakref.WeakSet()


def _close_inherited_ends() -> None:
    for end in list(_open_ends):
        end.close()
    _open_ends.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_inherited_ends)
