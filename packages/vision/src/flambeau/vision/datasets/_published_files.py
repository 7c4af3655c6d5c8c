"""The files of a published dataset: seeing that they are there, and reading those of MATLAB."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .utils import download_url, extract_archive

_NOT_FOUND = "Dataset not found. {dataset}: {missing} is not there. {advice}"
_DOWNLOAD = "You can use download=True to download it."
_BY_HAND = "It is not published where a program could fetch it: see {home}."


class Published(NamedTuple):
    """A file of a dataset where it is published.

    Attributes:
        url: where.
        md5: its checksum in hexadecimal; None if none is known.
        name: on this machine; the last part of ``url`` by default.
        unpack: it is an archive.
    """

    url: str
    md5: str | None = None
    name: str | None = None
    unpack: bool = True

    @property
    def file(self) -> str:
        """The name on this machine."""
        return self.name or self.url.rpartition("/")[2]


def drive(identity: str) -> str:
    """The address of a file of Google Drive."""
    return f"https://drive.google.com/file/d/{identity}"


def fetch(folder: str | Path, files: Iterable[Published]) -> None:
    """Fetch files into a folder, and unpack the archives there."""
    for file in files:
        download_url(file.url, folder, file.file, file.md5)
        if file.unpack:
            extract_archive(Path(folder).expanduser() / file.file)


def absent(paths: Iterable[str | Path]) -> list[str]:
    """Those of some files and folders that are not there."""
    return [os.fspath(path) for path in paths if not os.path.exists(path)]


def provide(
    dataset: object, needed: Sequence[str | Path], folder: str | Path, files: Iterable[Published], download: bool
) -> None:
    """See that what a dataset needs is there, fetching it if that is wanted.

    Args:
        dataset: whose class the error names.
        needed: files and folders.
        folder: where the published files belong.
        files: to fetch if any of the needed ones is missing.
        download: fetch them.
    Raises: RuntimeError naming the first that is missing.
    """
    if download and absent(needed):
        fetch(folder, files)
    require(dataset, needed, _DOWNLOAD)


def require(dataset: object, needed: Sequence[str | Path], advice: str) -> None:
    """Raise RuntimeError, with advice, if something that a dataset needs is not there."""
    for missing in absent(needed):
        raise RuntimeError(_NOT_FOUND.format(dataset=type(dataset).__name__, missing=missing, advice=advice))


def by_hand(home: str) -> str:
    """Advice where nothing can be fetched."""
    return _BY_HAND.format(home=home)


def read_mat(path: str | Path, **options: Any) -> dict[str, Any]:
    """What is in a file of MATLAB.

    Raises: RuntimeError where SciPy is not installed.
    """
    try:
        loadmat = importlib.import_module("scipy.io").loadmat
    except ModuleNotFoundError:
        raise RuntimeError(f"Scipy is not found. Reading {path} needs it: pip install scipy") from None
    content: dict[str, Any] = loadmat(path, **options)
    return content


def lines_of(path: str | Path) -> list[str]:
    """The lines of a text file that are not empty, without what surrounds them."""
    text = Path(path).read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if line.strip()]
