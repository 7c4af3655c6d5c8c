"""Fetching a published file: from the first mirror that delivers it whole, going on where an earlier try stopped."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from http.client import HTTPException, HTTPResponse
from io import FileIO
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tqdm import tqdm

from .utils import calculate_md5

_CHUNK = 1 << 16
_RANGE_NOT_SATISFIABLE = 416
_PARTIAL_CONTENT = 206
_FAILED = "could not download {name}:\n{failures}\nWhat has arrived is kept, and the next try goes on from there."


def download(urls: Sequence[str], path: Path, md5: str | None, timeout: float = 30.0) -> None:
    """Fetch ``path`` from the first of ``urls`` that has it.

    The bytes gather in ``path`` + ``.part``, which survives an interruption; ``path`` appears once they are all there
    and their checksum is right.

    Args:
        urls: the same file on several mirrors.
        md5: of the whole file, in hexadecimal; None to believe what arrives.
        timeout: seconds without a byte after which a mirror counts as dead.
    Raises: RuntimeError saying what each mirror did, if none delivers; OSError naming the file that cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    failures = []
    for url in urls:
        try:
            _fetch_checked(url, part, md5, timeout)
        except _DiskError as failure:  # another mirror would not help
            raise OSError(failure.error.errno, failure.error.strerror, str(part)) from failure
        except (OSError, HTTPException) as error:
            failures.append(f"  {url}: {error or type(error).__name__}")
        else:
            part.replace(path)
            return
    raise RuntimeError(_FAILED.format(name=path.name, failures="\n".join(failures)))


class _DiskError(Exception):
    """The file could not be written. Not an OSError, as what a mirror does wrong is one."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _DiskError(error) from error


def _write(file: FileIO, chunk: bytes) -> None:
    """All of a chunk: without a buffer, whose last bytes would be lost in an exception where the disk is full."""
    rest = memoryview(chunk)
    while rest:
        rest = rest[file.write(rest) :]


def _fetch_checked(url: str, part: Path, md5: str | None, timeout: float) -> None:
    resumed = part.exists()
    _fetch(url, part, timeout)
    found = calculate_md5(part)
    if md5 in (found, None):
        return
    part.unlink()
    if not resumed:
        raise OSError(f"the file is corrupt (expected MD5 {md5}, found {found}) and was removed")
    _fetch_checked(url, part, md5, timeout)  # what was there before may have been at fault: once more from the start


def _fetch(url: str, part: Path, timeout: float) -> None:
    """Append to ``part`` what it lacks, or write it anew where the server does not know ranges."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "flambeau-vision", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        response = urlopen(Request(url, headers=headers), timeout=timeout)
    except HTTPError as error:
        error.close()
        if error.code == _RANGE_NOT_SATISFIABLE and have:
            return  # nothing comes after what is there; the checksum decides whether that is the file
        raise
    with response:
        if response.status != _PARTIAL_CONTENT:
            have = 0
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            raise ConnectionError(f"asked for bytes from {have}, the server sent {response.headers['Content-Range']}")
        _receive(response, part, have)


def _receive(response: HTTPResponse, part: Path, have: int) -> None:
    length = response.headers["Content-Length"]
    total = None if length is None else have + int(length)
    name = part.name.removesuffix(".part")
    with _writing():
        file = part.open("ab" if have else "wb", buffering=0)
    with (
        file,
        tqdm(total=total, initial=have, desc=name, unit="B", unit_scale=True, unit_divisor=1024) as bar,
    ):
        while chunk := response.read(_CHUNK):
            with _writing():
                _write(file, chunk)
            bar.update(len(chunk))
            have += len(chunk)
    if total is not None and have < total:
        raise ConnectionError(f"the connection ended after {have} of {total} bytes")
