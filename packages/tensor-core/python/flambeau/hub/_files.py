"""Files by their address."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from typing import Any
from urllib.parse import urlparse

import flambeau

from ._folder import get_dir
from ._transfer import IncompleteError, fetch

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
        try:
            fetch(url, partial, progress=progress)
        except IncompleteError as error:
            message = f"the connection to {url} ended after {error.have} of {error.total} bytes"
            raise RuntimeError(message) from error
        if hash_prefix is not None and not (digest := _sha256(partial)).startswith(hash_prefix):
            raise RuntimeError(f'invalid hash value (expected "{hash_prefix}", got "{digest}")')
        os.replace(partial, path)


def _sha256(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
