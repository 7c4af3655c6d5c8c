"""Functions for custom datasets: downloads, checksums and archives."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import importlib
import lzma
import os
import re
import shutil
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any


def check_integrity(fpath: str | Path, md5: str | None = None) -> bool:
    """Return True if a file exists and, if ``md5`` is given, has this checksum."""
    path = Path(fpath)
    return path.is_file() and md5 in (None, calculate_md5(path))


def calculate_md5(fpath: str | Path, chunk_size: int = 1024 * 1024) -> str:
    """Return the MD5 checksum of a file in hexadecimal. ``chunk_size`` is ignored."""
    with open(fpath, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def check_md5(fpath: str | Path, md5: str, **kwargs: Any) -> bool:
    """Return True if a file has the given checksum."""
    return md5 == calculate_md5(fpath)


def list_dir(root: str | Path, prefix: bool = False) -> list[str]:
    """Return the sorted names of the subfolders, or their paths if ``prefix`` is True."""
    return _list_files(root, prefix, os.path.isdir)


def list_files(root: str | Path, suffix: str, prefix: bool = False) -> list[str]:
    """Return the sorted names of the files that end with ``suffix``, or their paths if ``prefix`` is True."""
    return [name for name in _list_files(root, prefix, os.path.isfile) if name.endswith(suffix)]


def _list_files(root: str | Path, prefix: bool, kind: Any) -> list[str]:
    folder = os.path.expanduser(root)
    names = sorted(name for name in os.listdir(folder) if kind(os.path.join(folder, name)))
    return [os.path.join(folder, name) for name in names] if prefix else names


def iterable_to_str(iterable: Iterable[Any]) -> str:
    """Format values for a message: in quotes, separated by commas.

    >>> iterable_to_str(["train", "test"])
    "'train', 'test'"
    """
    return ", ".join(f"'{item}'" for item in iterable)


def verify_str_arg(
    value: Any, arg: str | None = None, valid_values: Iterable[str] | None = None, custom_msg: str | None = None
) -> str:
    """Check that a string argument is one of the valid values, and return it.

    Raises: ValueError for an invalid value, with the message ``custom_msg`` if given.
    """
    if not isinstance(value, str):
        suffix = "" if arg is None else f" for argument {arg}"
        raise ValueError(f"Expected type str{suffix}, but got type {type(value)}.")
    if valid_values is not None and value not in (choices := list(valid_values)):
        message = f"Unknown value '{value}' for argument {arg}. Valid values are {{{iterable_to_str(choices)}}}."
        raise ValueError(custom_msg or message)
    return value


def download_file_from_google_drive(
    file_id: str, root: str | Path, filename: str | Path | None = None, md5: str | None = None
) -> None:
    """Download a file from Google Drive with gdown, unless it exists.

    Raises: RuntimeError if gdown is not installed, or if the checksum differs.
    """
    path = Path(root).expanduser() / (filename or file_id)
    if check_integrity(path, md5):
        return
    try:
        gdown = importlib.import_module("gdown")
    except ModuleNotFoundError:
        raise RuntimeError(
            f"To download files from GDrive, 'gdown' is required: pip install gdown. Or download "
            f"https://drive.google.com/file/d/{file_id} and save it as {path}"
        ) from None
    path.parent.mkdir(parents=True, exist_ok=True)
    gdown.download(id=file_id, output=str(path), quiet=False)
    if not check_integrity(path, md5):
        raise RuntimeError(f"the download of {path} failed, or it is not the published file: its MD5 is not {md5}")


def download_url(url: str, root: str | Path, filename: str | Path | None = None, md5: str | None = None) -> None:
    """Download a file to a folder, unless it exists.

    Args:
        url: address of the file; a Google Drive address requires gdown.
        root: destination folder, created if missing.
        filename: local file name; the last part of ``url`` by default.
        md5: MD5 checksum in hexadecimal; None for no check.
    Raises: RuntimeError if the download is not complete; OSError if the file cannot be written.
    """
    if on_drive := re.match(r"https://(?:drive|docs)\.google\.com/file/d/([^/]*)", url):
        download_file_from_google_drive(on_drive[1], root, filename, md5)
        return
    path = Path(root).expanduser() / (filename or url.partition("?")[0].rpartition("/")[2])
    if not check_integrity(path, md5):
        from ._download import download  # imported here, because reading a dataset needs no network modules

        download([url], path, md5)


def extract_archive(from_path: str | Path, to_path: str | Path | None = None, remove_finished: bool = False) -> str:
    """Unpack a tar (compressed or not), zip, gz, xz or bz2 file.

    Args:
        from_path: the archive.
        to_path: the folder to which the files are unpacked; by default the folder of the archive.
        remove_finished: if True, delete the archive afterwards.
    Returns: the folder, or the path of the single file in a gz, xz or bz2 file.
    Raises: RuntimeError that names the archive, if the archive is damaged, has another format, or contains paths
        outside the folder.
    """
    archive = Path(from_path)
    folder = archive.parent if to_path is None else Path(to_path)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        result = _unpack(archive, folder)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise RuntimeError(f"{archive} is damaged or is not an archive: {error}") from error
    if remove_finished:
        archive.unlink()
    return str(result)


def _unpack(archive: Path, folder: Path) -> Path:
    """Extract an archive, or decompress a single file, to a folder. Return the folder or the file."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(folder)
        return folder
    if tarfile.is_tarfile(archive):
        with tarfile.open(archive) as bundle:
            if hasattr(tarfile, "data_filter"):
                bundle.extractall(folder, filter="data")
            else:
                bundle.extractall(folder, _safe_members(bundle, folder.resolve()))
        return folder
    opener = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}.get(archive.suffix)
    if opener is None:
        raise RuntimeError(f"{archive} is damaged or is not an archive: expected tar, zip, gz, xz or bz2")
    target = folder / archive.stem
    with opener(archive) as source, target.open("wb") as file:  # type: ignore[operator]
        shutil.copyfileobj(source, file)
    return target


def download_and_extract_archive(
    url: str,
    download_root: str | Path,
    extract_root: str | Path | None = None,
    filename: str | Path | None = None,
    md5: str | None = None,
    remove_finished: bool = False,
) -> None:
    """Download a file like :func:`download_url`, and unpack it into ``extract_root`` or, if None, the same folder."""
    folder = Path(download_root).expanduser()
    name = filename or url.partition("?")[0].rpartition("/")[2]
    download_url(url, folder, name, md5)
    extract_archive(folder / name, extract_root or folder, remove_finished)


def _safe_members(bundle: tarfile.TarFile, folder: Path) -> Iterator[tarfile.TarInfo]:
    """Yield the members of an archive, and raise TarError if a path is outside ``folder``.

    Before Python 3.11.4, tarfile does not check the paths.
    """
    for member in bundle:
        target = (folder / member.name.lstrip("/")).resolve()
        if not target.is_relative_to(folder):
            raise tarfile.TarError(f"{member.name!r} would be extracted to '{target}', which is outside '{folder}'")
        if not (member.isfile() or member.isdir()):
            raise tarfile.TarError(
                f"{member.name!r} is a link or a device, which only Python 3.11.4 and later can extract"
            )
        member.name = str(target.relative_to(folder))
        yield member
