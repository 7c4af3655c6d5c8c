"""Download of a single file, with support for resuming."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Callable, Iterator
from http.client import HTTPResponse
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

_CHUNK = 1 << 16
_RANGE_NOT_SATISFIABLE = 416
_PARTIAL_CONTENT = 206


class IncompleteError(ConnectionError):
    """Error for a connection that ended before all bytes arrived."""

    def __init__(self, have: int, total: int) -> None:
        super().__init__(f"the connection ended after {have} of {total} bytes")
        self.have = have
        self.total = total


def fetch(
    url: str,
    path: str | os.PathLike[str],
    *,
    timeout: float | None = None,
    progress: bool = True,
    title: str | None = None,
) -> None:
    """Download a file. Append the missing bytes to ``path``, or write all bytes if the server does not support ranges.

    Args:
        url: URL of the file.
        path: the file on disk, which may contain the first bytes. After an error, it keeps the bytes received so far.
        timeout: seconds without data after which the download fails. None means Python's default.
        progress: if True, show a progress bar, with tqdm if it is installed.
        title: label of the progress bar.
    Raises: IncompleteError if the connection ends too early; urllib's errors; OSError with ``path`` as its ``filename``
        if the file cannot be written.
    """
    path = os.fspath(path)
    have = os.path.getsize(path) if os.path.exists(path) else 0
    headers = {"User-Agent": "flambeau", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        response = urlopen(Request(url, headers=headers), timeout=timeout or socket.getdefaulttimeout())
    except HTTPError as error:
        if error.code == _RANGE_NOT_SATISFIABLE and have:
            error.close()
            return  # the server has no more bytes; the caller's checksum verifies the bytes on disk
        raise
    with response:
        if response.status != _PARTIAL_CONTENT:
            have = 0
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            raise ConnectionError(
                f"requested the bytes from {have} on, but the server sent the Content-Range "
                f"{response.headers['Content-Range']!r}"
            )
        _receive(response, path, have, progress, title)


def _receive(response: HTTPResponse, path: str, have: int, progress: bool, title: str | None) -> None:
    """Append a response to the file, which already contains ``have`` bytes."""
    length = response.headers["Content-Length"]
    total = None if length is None else have + int(length)
    # Unbuffered: if the disk is full, a buffer would lose its last bytes.
    with _name_path_in_errors(path):
        file = open(path, "ab" if have else "wb", buffering=0)  # noqa: SIM115
    with file, _show_progress(have, total, progress, title) as show:
        while chunk := response.read(_CHUNK):
            rest = memoryview(chunk)
            while rest:
                with _name_path_in_errors(path):
                    rest = rest[file.write(rest) :]
            show(len(chunk))
            have += len(chunk)
    if total is not None and have < total:
        raise IncompleteError(have, total)


@contextlib.contextmanager
def _name_path_in_errors(path: str) -> Iterator[None]:
    """Add the path to errors of the disk, which distinguishes them from errors of the connection."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error


@contextlib.contextmanager
def _show_progress(have: int, total: int | None, progress: bool, title: str | None) -> Iterator[Callable[[int], Any]]:
    """Yield a function that adds a number of bytes to the progress bar."""
    if not progress:
        yield lambda count: None
        return
    try:
        from tqdm import tqdm
    except ModuleNotFoundError:
        yield _percent(have, total)
        sys.stderr.write("\n")
        return
    with tqdm(total=total, initial=have, desc=title, unit="B", unit_scale=True, unit_divisor=1024) as bar:
        yield bar.update


def _percent(have: int, total: int | None) -> Callable[[int], None]:
    def show(count: int) -> None:
        nonlocal have
        have += count
        sys.stderr.write(f"\r{have} bytes" if not total else f"\r{100 * have / total:.1f}%")
        sys.stderr.flush()

    return show
