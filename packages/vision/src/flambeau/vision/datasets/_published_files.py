"""The files of a published dataset: checks that they exist, downloads, and reading of MATLAB files."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .utils import download_url, extract_archive

_NOT_FOUND = "Dataset not found. {dataset}: {missing} does not exist. {advice}"
_DOWNLOAD = "You can use download=True to download it."
_BY_HAND = "It cannot be downloaded automatically: download it from {home}."


class Published(NamedTuple):
    """A published file of a dataset.

    Attributes:
        url: address of the file.
        md5: MD5 checksum in hexadecimal; None if unknown.
        name: local file name; the last part of ``url`` by default.
        unpack: if True, the file is an archive and is unpacked.
    """

    url: str
    md5: str | None = None
    name: str | None = None
    unpack: bool = True

    @property
    def file(self) -> str:
        """The local file name."""
        return self.name or self.url.rpartition("/")[2]


def drive(identity: str) -> str:
    """Return the address of a file on Google Drive."""
    return f"https://drive.google.com/file/d/{identity}"


def fetch(folder: str | Path, files: Iterable[Published]) -> None:
    """Download files to a folder, and unpack the archives there."""
    for file in files:
        download_url(file.url, folder, file.file, file.md5)
        if file.unpack:
            extract_archive(Path(folder).expanduser() / file.file)


def missing_paths(paths: Iterable[str | Path]) -> list[str]:
    """Return the files and folders in ``paths`` that do not exist."""
    return [os.fspath(path) for path in paths if not os.path.exists(path)]


def provide(
    dataset: object, needed: Sequence[str | Path], folder: str | Path, files: Iterable[Published], download: bool
) -> None:
    """Check that the files of a dataset exist, and optionally download them.

    Args:
        dataset: the dataset; the error names its class.
        needed: required files and folders.
        folder: destination of downloads.
        files: files to download if a required file or folder is missing.
        download: if True, download missing files.
    Raises: RuntimeError that names the first missing file.
    """
    if download and missing_paths(needed):
        fetch(folder, files)
    require(dataset, needed, _DOWNLOAD)


def require(dataset: object, needed: Sequence[str | Path], advice: str) -> None:
    """Raise RuntimeError, with ``advice`` in the message, if a required file is missing."""
    for missing in missing_paths(needed):
        raise RuntimeError(_NOT_FOUND.format(dataset=type(dataset).__name__, missing=missing, advice=advice))


def by_hand(home: str) -> str:
    """Return the advice to download files manually from the website ``home``."""
    return _BY_HAND.format(home=home)


def read_mat(path: str | Path, **options: Any) -> dict[str, Any]:
    """Read a MATLAB file.

    Raises: RuntimeError if SciPy is not installed.
    """
    try:
        loadmat = importlib.import_module("scipy.io").loadmat
    except ModuleNotFoundError:
        raise RuntimeError(f"Scipy is not found. It is needed to read {path}: pip install scipy") from None
    content: dict[str, Any] = loadmat(path, **options)
    return content


def lines_of(path: str | Path) -> list[str]:
    """Return the non-empty lines of a text file, without leading and trailing whitespace."""
    text = Path(path).read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if line.strip()]
