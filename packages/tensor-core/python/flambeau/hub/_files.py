"""Download of files by URL."""

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
    """Download a file. ``dst`` is created only after all data has arrived and its hash is verified.

    Args:
        url: URL of the file.
        dst: path of the downloaded file.
        hash_prefix: first digits of the SHA256 hash, in hexadecimal. None disables the verification.
        progress: if True, show the progress, with tqdm if it is installed.
    Raises: RuntimeError if the hash does not match or the connection ends too early; OSError for errors of urllib or of
        the disk.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     source, copy = pathlib.Path(folder, "a.txt"), pathlib.Path(folder, "b.txt")
    ...     _ = source.write_text("weights")
    ...     fb.hub.download_url_to_file(source.as_uri(), copy, hash_prefix="9a1290", progress=False)
    ...     copy.read_text()
    'weights'
    """
    path = os.path.expanduser(os.fspath(dst))
    folder, name = os.path.split(path)
    with tempfile.TemporaryDirectory(prefix=f"{name}.", dir=folder or ".") as aside:
        partial = os.path.join(aside, "partial")  # created by open(), so that it has the usual permissions
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
    """Load a file of weights. Download it first if it is not in the cache.

    Args:
        url: URL of the file.
        model_dir: folder of the cached file. The default is ``checkpoints`` in the folder of `get_dir`.
        map_location, weights_only: see ``flambeau.load``. ``weights_only=False`` lets the file run any code, so use it
            only for files from a trusted source.
        progress: if True, show the progress of the download.
        check_hash: if True, compare the SHA256 hash of a downloaded file with the prefix in its name,
            ``name-<hash>.pth``.
        file_name: name of the cached file. The default is the last part of ``url``.
    Returns: the object in the file, usually a state dict.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as cache:
    ...     flambeau.save({"weight": flambeau.ones(2)}, f"{cache}/model.pth")
    ...     flambeau.hub.load_state_dict_from_url("https://example.org/model.pth", cache)  # already cached
    {'weight': tensor([1., 1.])}
    """
    folder = os.path.join(get_dir(), "checkpoints") if model_dir is None else os.fspath(model_dir)
    os.makedirs(folder, exist_ok=True)
    name = os.path.basename(urlparse(url).path) if file_name is None else file_name
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        print(f'Downloading: "{url}" to {path}')
        hash_match = HASH_REGEX.search(name) if check_hash else None
        download_url_to_file(url, path, hash_match and hash_match[1], progress)
    state: dict[str, Any] = flambeau.load(path, map_location, weights_only=weights_only)
    return state
