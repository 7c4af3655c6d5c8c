"""Fetching and unpacking the files of a dataset of one's own."""

from __future__ import annotations

import gzip
import lzma
import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from ._download import checksum, download


def check_integrity(fpath: str | Path, md5: str | None = None) -> bool:
    """Whether a file is there and, if a checksum is given, has it."""
    path = Path(fpath)
    return path.is_file() and md5 in (None, checksum(path))


def download_url(url: str, root: str | Path, filename: str | Path | None = None, md5: str | None = None) -> None:
    """Fetch a file into a folder, unless it is there already.

    Args:
        url: where it is.
        root: the folder, made if there is none.
        filename: its name in the folder; the last part of ``url`` by default.
        md5: its checksum in hexadecimal; None to believe what arrives.
    Raises: RuntimeError if it cannot be fetched whole; OSError naming the file that cannot be written.
    """
    path = Path(root).expanduser() / (filename or url.partition("?")[0].rpartition("/")[2])
    if not check_integrity(path, md5):
        download([url], path, md5)


def extract_archive(from_path: str | Path, to_path: str | Path | None = None, remove_finished: bool = False) -> str:
    """Unpack a tar (compressed or not), zip, gz or xz file.

    Args:
        from_path: the archive.
        to_path: the folder to unpack into; the archive's own by default.
        remove_finished: remove the archive afterwards.
    Returns: the folder, or the path of the one file that a gz or xz file holds.
    Raises: RuntimeError naming an archive that is damaged, of another kind, or wants to write outside the folder.
    """
    archive = Path(from_path)
    folder = archive.parent if to_path is None else Path(to_path)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        result = _unpack(archive, folder)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise RuntimeError(f"{archive} is damaged or no archive: {error}") from error
    if remove_finished:
        archive.unlink()
    return str(result)


def _unpack(archive: Path, folder: Path) -> Path:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(folder)
        return folder
    if tarfile.is_tarfile(archive):
        with tarfile.open(archive) as bundle:
            if hasattr(tarfile, "data_filter"):
                bundle.extractall(folder, filter="data")
            else:
                bundle.extractall(folder, _harmless(bundle, folder.resolve()))
        return folder
    opener = {".gz": gzip.open, ".xz": lzma.open}.get(archive.suffix)
    if opener is None:
        raise RuntimeError(f"{archive} is damaged or no archive: none of tar, zip, gz and xz")
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
    """:func:`download_url`, then :func:`extract_archive` into ``extract_root``, or the same folder."""
    folder = Path(download_root).expanduser()
    name = filename or url.partition("?")[0].rpartition("/")[2]
    download_url(url, folder, name, md5)
    extract_archive(folder / name, extract_root or folder, remove_finished)


def _harmless(bundle: tarfile.TarFile, folder: Path) -> Iterator[tarfile.TarInfo]:
    """The members of an archive, for Pythons before 3.11.4, whose tarfile does not look where it writes."""
    for member in bundle:
        target = (folder / member.name.lstrip("/")).resolve()
        if not target.is_relative_to(folder):
            raise tarfile.TarError(f"{member.name!r} would be extracted to '{target}', which is outside '{folder}'")
        if not (member.isfile() or member.isdir()):
            raise tarfile.TarError(f"{member.name!r} is a link or a device, which are unpacked from Python 3.11.4 on")
        member.name = str(target.relative_to(folder))
        yield member
