"""Key-value store that one process serves over the network."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from ._server import ARRIVED
from .errors import DistNetworkError, DistStoreError
from .stores import Store, attempts, default_pg_timeout, require_unix, seconds

__all__ = ["TCPStore"]

_NO_RESPONSE = (
    "no store responds at {host}:{port} after {limit:g} s: is the process of rank 0 running, and are the address and "
    "the port (MASTER_ADDR, MASTER_PORT) those of its machine?"
)
_UNKNOWN_HOST = "there is no host {host!r} ({error}): MASTER_ADDR, or host_name, should be the machine of rank 0"
_PORT_IN_USE = "port {port} is taken on this machine ({error}): choose another, such as MASTER_PORT={other}"
PASSIVE = socket.AI_PASSIVE


def _close(*connections: Any) -> None:
    for each in connections:
        each.close()


class TCPStore(Store):
    """Key-value store in one process, which other processes access at an address.

    Args:
        host_name: machine of the serving process. Other machines cannot reach ``localhost`` or ``127.0.0.1``.
        port: port of the server. 0: the server chooses a free port, which is then ``store.port``.
        world_size: number of processes; None for any number.
        is_master: if True, this process serves the store.
        timeout: time limit for waiting for the server and for keys.
        wait_for_workers: if True, wait until all ``world_size`` processes are connected.
        multi_tenant, use_libuv: accepted for compatibility with PyTorch, and ignored.
    Raises: DistNetworkError if no server answers or the port is in use, DistStoreError if processes are missing.

    >>> store = flambeau.distributed.TCPStore("localhost", 0, is_master=True)
    >>> flambeau.distributed.TCPStore("localhost", store.port).set("learning rate", "0.1")
    >>> store.get("learning rate")
    b'0.1'
    """

    def __init__(
        self,
        host_name: str,
        port: int,
        world_size: int | None = None,
        is_master: bool = False,
        timeout: timedelta | float = default_pg_timeout,
        wait_for_workers: bool = True,
        multi_tenant: bool = False,
        master_listen_fd: int | None = None,
        use_libuv: bool = True,
    ) -> None:
        require_unix("TCPStore")
        super().__init__(timeout)
        if master_listen_fd is not None:
            raise NotImplementedError("TCPStore does not support master_listen_fd: it opens its own socket")
        self.host, self.port = host_name, port
        if is_master:
            self._serve()
        self._lock = threading.Lock()
        self._connection = self.connect()
        self._replies = self._connection.makefile("rb")
        weakref.finalize(self, _close, self._replies, self._connection)
        # Without a connection, the server would end with the process that started it. An answer to this request proves
        # that the server has accepted the connection.
        self.num_keys()
        if world_size is not None and world_size > 0 and wait_for_workers:
            self._wait_for_all(world_size)

    def _serve(self) -> None:
        """Start the server, which ends when this store or this process ends."""
        local = self.host in ("localhost", "127.0.0.1", "::1")
        try:
            host = self.host if local else None
            family, *_, address = socket.getaddrinfo(host, self.port, type=socket.SOCK_STREAM, flags=PASSIVE)[0]
            listener = socket.create_server(address, family=family, backlog=1024)
        except OSError as error:
            other = self.port + 1 if 0 < self.port < 65535 else 29500
            raise DistNetworkError(_PORT_IN_USE.format(port=self.port, error=error.strerror, other=other)) from error
        read_end, write_end = os.pipe()  # the server ends when the last copy of the write end is closed
        with listener:
            self.port, descriptors = listener.getsockname()[1], [listener.fileno(), read_end]
            program = [sys.executable, "-E", "-S", str(Path(__file__).with_name("_server.py")), *map(str, descriptors)]
            subprocess.run(program, pass_fds=descriptors, start_new_session=True, check=True)
        os.close(read_end)
        weakref.finalize(self, os.close, write_end)

    def connect(self) -> socket.socket:
        """Connect to the server. Wait for the server if necessary."""
        limit = seconds(self._timeout)
        end = time.monotonic() + limit
        for _ in attempts(limit):
            try:
                connection = socket.create_connection((self.host, self.port), timeout=max(end - time.monotonic(), 0.1))
            except socket.gaierror as error:
                raise DistNetworkError(_UNKNOWN_HOST.format(host=self.host, error=error.strerror)) from error
            except OSError as error:
                reason = error
            else:
                connection.settimeout(None)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return connection
        raise DistNetworkError(_NO_RESPONSE.format(host=self.host, port=self.port, limit=limit)) from reason

    def _wait_for_all(self, world_size: int) -> None:
        self.add(ARRIVED, 1)
        for _ in attempts(seconds(self._timeout)):
            count = self.add(ARRIVED, 0)
            if count >= world_size:
                return
        raise DistStoreError(f"only {count} of {world_size} processes have connected to the store after {self.timeout}")

    def _request(self, *request: Any) -> Any:
        with self._lock:
            try:
                self._connection.sendall(json.dumps(request).encode() + b"\n")
                reply = self._replies.readline()
            except OSError as error:
                raise DistNetworkError(
                    f"the store at {self.host}:{self.port} is not available any more: {error}"
                ) from error
        if not reply:
            raise DistNetworkError(
                f"the store at {self.host}:{self.port} is not available any more: its process has ended"
            )
        return json.loads(reply)

    def _find(self, keys: Sequence[str]) -> list[bytes | None]:
        return [None if text is None else text.encode("latin-1") for text in self._request("find", list(keys))]

    def _change(self, key: str, change: Callable[[bytes | None], bytes | None]) -> bytes | None:
        while True:
            (old,) = self._find([key])
            new = change(old)
            if self._request(
                "swap", key, *(None if value is None else value.decode("latin-1") for value in (old, new))
            ):
                return new

    def num_keys(self) -> int:
        """Return the number of keys."""
        return self._request("count")  # type: ignore[no-any-return]
