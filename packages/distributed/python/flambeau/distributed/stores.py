"""Key-value stores that processes share, for example to find each other."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

from .errors import DistStoreError

__all__ = [
    "FileStore",
    "HashStore",
    "PrefixStore",
    "Store",
    "attempts",
    "default_pg_timeout",
    "full_prefix",
    "seconds",
    "underlying",
]

default_pg_timeout = timedelta(minutes=30)

# First and last pause between polls of a store, in seconds.
FIRST_PAUSE, LAST_PAUSE = 0.001, 0.05


def seconds(timeout: timedelta | float | None, otherwise: timedelta | float = default_pg_timeout) -> float:
    """Return a timeout in seconds, or ``otherwise`` in seconds if the timeout is None.

    Raises: TypeError if the timeout is not a time, ValueError if it is not positive.

    >>> from datetime import timedelta
    >>> from flambeau.distributed.stores import seconds
    >>> seconds(timedelta(minutes=2)), seconds(None, otherwise=5)
    (120.0, 5.0)
    """
    if timeout is None:
        timeout = otherwise
    if not isinstance(timeout, (timedelta, int, float)) or isinstance(timeout, bool):
        raise TypeError(f"timeout should be a datetime.timedelta, got {type(timeout).__name__}")
    limit = timeout.total_seconds() if isinstance(timeout, timedelta) else float(timeout)
    if not limit > 0:
        raise ValueError(f"timeout should be positive, got {timeout}")
    return limit


def attempts(limit: float) -> Iterator[None]:
    """Yield at growing intervals, for polling, until ``limit`` seconds have passed, and once more at the end.

    >>> from flambeau.distributed.stores import attempts
    >>> answers = iter([False, True])
    >>> any(next(answers) for _ in attempts(60.0))  # asks twice
    True
    """
    deadline, pause = time.monotonic() + limit, FIRST_PAUSE
    while True:
        yield
        left = deadline - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(pause, left))
        pause = min(2 * pause, LAST_PAUSE)


def _bytes(value: str | bytes) -> bytes:
    if not isinstance(value, (str, bytes)):
        raise TypeError(f"the value of a store should be str or bytes, got {type(value).__name__}")
    return value.encode() if isinstance(value, str) else value


def require_unix(what: str) -> None:
    """Raise NotImplementedError on Windows."""
    if sys.platform == "win32":
        raise NotImplementedError(
            f"{what} is not supported on Windows, where groups have a single process: use HashStore"
        )


class Store(ABC):
    """Base class of key-value stores that several processes share.

    Values are text or bytes, and are returned as bytes. Reading a missing key waits until another process sets it.

    See `HashStore`.
    """

    def __init__(self, timeout: timedelta | float = default_pg_timeout) -> None:
        seconds(timeout)
        self._timeout = timeout

    @abstractmethod
    def _change(self, key: str, change: Callable[[bytes | None], bytes | None]) -> bytes | None:
        """Replace a key's value with the result of ``change`` atomically, and return the result."""

    @abstractmethod
    def _find(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the values of ``keys``, None for missing keys."""

    @abstractmethod
    def num_keys(self) -> int:
        """Return the number of keys."""

    @property
    def timeout(self) -> timedelta:
        """The time limit for waiting for a key."""
        return timedelta(seconds=seconds(self._timeout))

    def set_timeout(self, timeout: timedelta | float) -> None:
        """Set the time limit for waiting for a key."""
        seconds(timeout)
        self._timeout = timeout

    def set(self, key: str, value: str | bytes) -> None:
        """Set the value of a key."""
        new = _bytes(value)
        self._change(key, lambda old: new)

    def get(self, key: str) -> bytes:
        """Wait for a key and return its value. Raises: DistStoreError after the timeout."""
        self.wait([key])
        (value,) = self._find([key])
        if value is None:
            raise DistStoreError(f"the key {key!r} was deleted while it was read")
        return value

    def add(self, key: str, amount: int) -> int:
        """Add ``amount`` to the integer value of a key, which is 0 if missing. Return the sum."""
        if isinstance(amount, bool) or not isinstance(amount, int):
            raise TypeError(f"amount should be an int, got {type(amount).__name__}")
        total = self._change(key, lambda old: str(int(old or 0) + amount).encode())
        return int(total or 0)

    def append(self, key: str, value: str | bytes) -> None:
        """Append text or bytes to the value of a key."""
        more = _bytes(value)
        self._change(key, lambda old: (old or b"") + more)

    def compare_set(self, key: str, expected_value: str | bytes, desired_value: str | bytes) -> bytes:
        """Set a key if its value is ``expected_value``, or if it is missing and ``expected_value`` is empty.

        Returns: the value of the key afterwards.
        """
        expected, desired = _bytes(expected_value), _bytes(desired_value)

        def change(old: bytes | None) -> bytes | None:
            if old is None:
                return desired if not expected else None
            return desired if old == expected else old

        value = self._change(key, change)
        return expected if value is None else value

    def delete_key(self, key: str) -> bool:
        """Delete a key and return whether it existed."""
        existed = []
        self._change(key, lambda old: existed.append(old is not None))
        return existed[-1]

    def check(self, keys: Sequence[str]) -> bool:
        """Return True if all of ``keys`` exist."""
        return None not in self._find(keys)

    def wait(self, keys: Sequence[str], timeout: timedelta | float | None = None) -> None:
        """Wait until all of ``keys`` exist. Raises: DistStoreError after the timeout."""
        limit = seconds(timeout if timeout is not None else self._timeout)
        for _ in attempts(limit):
            found = self._find(keys)
            if None not in found:
                return
        missing = ", ".join(key for key, value in zip(keys, found, strict=True) if value is None)
        raise DistStoreError(f"wait timeout after {limit:g} s, waiting for keys: {missing}")

    def multi_get(self, keys: Sequence[str]) -> list[bytes]:
        """Wait for several keys and return their values."""
        return [self.get(key) for key in keys]

    def multi_set(self, keys: Sequence[str], values: Sequence[str | bytes]) -> None:
        """Set several keys."""
        for key, value in zip(keys, values, strict=True):
            self.set(key, value)

    def leave(self) -> None:  # noqa: B027, most stores have no connection
        """Disconnect this process from the store."""

    def has_extended_api(self) -> bool:
        """Return True: `append`, `multi_get` and `multi_set` are supported."""
        return True


class HashStore(Store):
    """Store in the memory of one process, which its threads share.

    >>> store = flambeau.distributed.HashStore()
    >>> store.set("answer", "42")
    >>> store.get("answer"), store.add("visits", 2)
    (b'42', 2)
    """

    def __init__(self, timeout: timedelta | float = default_pg_timeout) -> None:
        super().__init__(timeout)
        self._values: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def _change(self, key: str, change: Callable[[bytes | None], bytes | None]) -> bytes | None:
        with self._lock:
            return change_in(self._values, key, change)

    def _find(self, keys: Sequence[str]) -> list[bytes | None]:
        with self._lock:
            return [self._values.get(key) for key in keys]

    def num_keys(self) -> int:
        return len(self._values)


def change_in(values: dict[str, bytes], key: str, change: Callable[[bytes | None], bytes | None]) -> bytes | None:
    """Replace a key's value in a dictionary with the result of ``change``."""
    new = change(values.get(key))
    if new is None:
        values.pop(key, None)
    else:
        values[key] = new
    return new


# Key of a number that encodes how many processes have opened the file and how many have left it.
_USERS = "/users"


class FileStore(Store):
    """Store in a file that all processes can access, on one machine or a shared file system.

    Args:
        file_name: path of the file, which is created if missing. Two programs must not use the same file.
        world_size: number of processes; the file is deleted when all have destroyed their groups. -1 keeps the file.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     flambeau.distributed.FileStore(f"{folder}/store").set("epoch", "3")
    ...     flambeau.distributed.FileStore(f"{folder}/store").get("epoch")
    b'3'
    """

    def __init__(self, file_name: str, world_size: int = -1, timeout: timedelta | float = default_pg_timeout) -> None:
        require_unix("FileStore")
        super().__init__(timeout)
        self.path = file_name
        self._world_size = world_size
        if world_size > 0:
            self.add(_USERS, 1)

    @contextlib.contextmanager
    def _values(self) -> Iterator[dict[str, bytes]]:
        """Lock the file and yield its contents. Changes to the yielded dictionary are written to the file."""
        import fcntl  # Windows has no such module

        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            before = file.read()
            values = {key: value.encode("latin-1") for key, value in json.loads(before or b"{}").items()}
            yield values
            after = json.dumps({key: value.decode("latin-1") for key, value in values.items()}).encode()
            if after != before:
                file.seek(0)
                file.write(after)
                file.truncate()

    def _change(self, key: str, change: Callable[[bytes | None], bytes | None]) -> bytes | None:
        with self._values() as values:
            return change_in(values, key, change)

    def _find(self, keys: Sequence[str]) -> list[bytes | None]:
        with self._values() as values:
            return [values.get(key) for key in keys]

    def num_keys(self) -> int:
        with self._values() as values:
            return len(values.keys() - {_USERS})

    def leave(self) -> None:
        if self._world_size > 0 and self.add(_USERS, 1) >= 2 * self._world_size:
            os.unlink(self.path)


class PrefixStore(Store):
    """Store that adds ``prefix/`` to the keys of another store.

    >>> whole = flambeau.distributed.HashStore()
    >>> flambeau.distributed.PrefixStore("train", whole).set("epoch", "3")
    >>> whole.get("train/epoch")
    b'3'
    """

    def __init__(self, prefix: str, store: Store) -> None:
        super().__init__(store.timeout)
        self.prefix, self.underlying_store = prefix, store

    def _change(self, key: str, change: Callable[[bytes | None], bytes | None]) -> bytes | None:
        return self.underlying_store._change(f"{self.prefix}/{key}", change)

    def _find(self, keys: Sequence[str]) -> list[bytes | None]:
        return self.underlying_store._find([f"{self.prefix}/{key}" for key in keys])

    def num_keys(self) -> int:
        return self.underlying_store.num_keys()

    def leave(self) -> None:
        self.underlying_store.leave()


def underlying(store: Store) -> Store:
    """Return the store below all `PrefixStore` wrappers.

    >>> from flambeau.distributed.stores import underlying
    >>> whole = flambeau.distributed.HashStore()
    >>> underlying(flambeau.distributed.PrefixStore("train", whole)) is whole
    True
    """
    while isinstance(store, PrefixStore):
        store = store.underlying_store
    return store


def full_prefix(store: Store) -> str:
    """Return the prefix that ``store`` and the `PrefixStore` wrappers below it add to a key.

    >>> from flambeau.distributed.stores import full_prefix
    >>> whole = flambeau.distributed.HashStore()
    >>> full_prefix(flambeau.distributed.PrefixStore("epoch", flambeau.distributed.PrefixStore("train", whole)))
    'train/epoch/'
    """
    prefix = ""
    while isinstance(store, PrefixStore):
        prefix = f"{store.prefix}/{prefix}"
        store = store.underlying_store
    return prefix
