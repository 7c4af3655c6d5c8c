"""Files by their address."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlparse
from urllib.request import Request, urlopen

import flambeau

from ._folder import get_dir

_CHUNK = 1 << 17
HASH_REGEX = re.compile(r"-([a-f0-9]*)\.")  # resnet18-f37072fd.pth


def download_url_to_file(
    url: str, dst: str | os.PathLike[str], hash_prefix: str | None = None, progress: bool = True
) -> None:
    """Fetch a file. It is at its place once all of it has come and its hash is right, and not before.

    Args:
        url: where it is.
        dst: where it shall be.
        hash_prefix: how its SHA256 begins, in hexadecimal; None to believe what comes.
        progress: show how much has come, by tqdm where it is installed.
    Raises: RuntimeError for another hash, or where the connection ends too early; OSError for what urllib, or the disk,
        has to complain of.
    """
    path = os.path.expanduser(os.fspath(dst))
    folder, name = os.path.split(path)
    with tempfile.TemporaryDirectory(prefix=f"{name}.", dir=folder or ".") as aside:
        partial = os.path.join(aside, "partial")  # a file that open() makes: with the usual permissions
        digest = _fetch(url, partial, progress)
        if hash_prefix is not None and not digest.startswith(hash_prefix):
            raise RuntimeError(f'invalid hash value (expected "{hash_prefix}", got "{digest}")')
        os.replace(partial, path)


def _fetch(url: str, path: str, progress: bool) -> str:
    """Write what comes; returns its hash."""
    digest = hashlib.sha256()
    with urlopen(Request(url, headers={"User-Agent": "flambeau.hub"})) as response, open(path, "wb") as file:
        length = response.headers["Content-Length"]
        total, have = None if length is None else int(length), 0
        with _shown(total, progress) as show:
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                digest.update(chunk)
                show(len(chunk))
                have += len(chunk)
    if total is not None and have < total:
        raise RuntimeError(f"the connection to {url} ended after {have} of {total} bytes")
    return digest.hexdigest()


@contextlib.contextmanager
def _shown(total: int | None, progress: bool) -> Iterator[Callable[[int], Any]]:
    """Something to tell how many bytes more have come."""
    if not progress:
        yield lambda count: None
        return
    try:
        from tqdm import tqdm
    except ModuleNotFoundError:
        yield _percent(total)
        sys.stderr.write("\n")
        return
    with tqdm(total=total, unit="B", unit_scale=True, unit_divisor=1024) as bar:
        yield bar.update


def _percent(total: int | None) -> Callable[[int], None]:
    have = 0

    def show(count: int) -> None:
        nonlocal have
        have += count
        sys.stderr.write(f"\r{have} bytes" if not total else f"\r{100 * have / total:.1f}%")
        sys.stderr.flush()

    return show


def load_state_dict_from_url(
    url: str,
    model_dir: str | os.PathLike[str] | None = None,
    map_location: Any = None,
    progress: bool = True,
    check_hash: bool = False,
    file_name: str | None = None,
    weights_only: bool = True,
) -> dict[str, Any]:
    """Load a file of weights, which is fetched where it is not there yet.

    Args:
        url: where it is.
        model_dir: the folder that keeps it; ``checkpoints`` in that of `get_dir` by default.
        map_location, weights_only: as ``flambeau.load`` has them. So nothing that is in the file runs, unless
            ``weights_only=False``, which is for files one trusts, asks for it.
        progress: show how much has come.
        check_hash: compare the file's SHA256 with the one whose beginning stands in its name, ``name-<hash>.pth``.
        file_name: its name in the folder; the last part of ``url`` by default.
    """
    folder = os.path.join(get_dir(), "checkpoints") if model_dir is None else os.fspath(model_dir)
    os.makedirs(folder, exist_ok=True)
    name = os.path.basename(urlparse(url).path) if file_name is None else file_name
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        print(f'Downloading: "{url}" to {path}')
        found = HASH_REGEX.search(name) if check_hash else None
        download_url_to_file(url, path, found and found[1], progress)
    state: dict[str, Any] = flambeau.load(path, map_location, weights_only=weights_only)
    return state
