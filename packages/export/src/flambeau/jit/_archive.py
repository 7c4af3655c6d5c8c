"""Reader of PyTorch's zip archives, in which all files are in one top-level folder."""

from __future__ import annotations

import collections
import io
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any

MAGIC = b"PK\x03\x04"
_MAX_TEXT = 256 << 20  # size limit in bytes of a source file or pickle, against decompression bombs
_DAMAGED = (zipfile.BadZipFile, zlib.error, ValueError, OverflowError, EOFError, OSError, NotImplementedError)


class Archive:
    """Files of an archive, with their paths relative to the archive's folder as names.

    Args:
        file: the archive.
        signs: file names. The archive must contain at least one of them.
    Raises: RuntimeError if the archive is truncated, or contains none of ``signs``.
    """

    def __init__(self, file: IO[bytes], *signs: str) -> None:
        try:
            self._zip = zipfile.ZipFile(file)
        except _DAMAGED as error:
            raise RuntimeError(f"the archive is truncated or damaged: its directory cannot be read ({error})") from None
        names = self._zip.namelist()
        roots = [name.removesuffix(sign) for sign in signs for name in names if f"/{name}".endswith(f"/{sign}")]
        if not roots:
            raise RuntimeError(f"the archive is of an unknown type: it has no file {' or '.join(map(repr, signs))}")
        self._root = min(roots, key=len)
        self.names = [name.removeprefix(self._root) for name in names if name.startswith(self._root)]

    def __contains__(self, name: str) -> bool:
        return self._root + name in self._zip.NameToInfo

    def below(self, folder: str, ending: str) -> Iterator[str]:
        """Return the names of the files in a folder that end in ``ending``."""
        return (name for name in self.names if name.startswith(folder) and name.endswith(ending))

    def read(self, name: str) -> bytes:
        """Return the bytes of a file.

        Raises: RuntimeError if it is missing or damaged, or if it is compressed and larger than 256 MiB.
        """
        if name not in self:
            raise RuntimeError(f"the archive is damaged: it has no file {name!r}")
        entry = self._zip.getinfo(self._root + name)
        if entry.compress_type != zipfile.ZIP_STORED and entry.file_size > _MAX_TEXT:
            raise RuntimeError(
                f"the file {name!r} of the archive is compressed and has {entry.file_size:,} bytes, but at most "
                f"{_MAX_TEXT:,} bytes are allowed"
            )
        try:
            return self._zip.read(entry)
        except _DAMAGED as error:
            raise RuntimeError(f"the archive is damaged: its file {name!r} cannot be read ({error})") from None

    def text(self, name: str) -> str:
        """Return the text of a file."""
        try:
            return self.read(name).decode()
        except UnicodeDecodeError as error:
            raise RuntimeError(f"the archive is damaged: its file {name!r} is not text ({error})") from None

    def fill(self, extra_files: dict[str, Any] | None) -> None:
        """Set the values of a dictionary to the contents of the extra files that its keys name."""
        for name in extra_files or ():
            if f"extra/{name}" in self:
                extra_files[name] = self.read(f"extra/{name}")  # type: ignore[index]


@contextmanager
def opened(f: str | os.PathLike[str] | IO[bytes]) -> Iterator[IO[bytes]]:
    """Open a path for reading, or yield the file ``f``. A file without ``seek`` is read into memory."""
    if isinstance(f, str | os.PathLike):
        with open(f, "rb") as file:
            yield file
    else:
        yield f if f.seekable() else io.BytesIO(f.read())


def is_archive(file: IO[bytes]) -> bool:
    """Return True if an archive begins at the current position of the file."""
    start = file.tell()
    opening = file.read(len(MAGIC))
    file.seek(start)
    return opening == MAGIC


def named_tuple(name: str, fields: Sequence[str], defaults: Sequence[Any] = ()) -> Any:
    """Create the named tuple type that a file describes.

    Raises: RuntimeError if the names are not identifiers.
    """
    try:
        return collections.namedtuple(name, fields, defaults=defaults)  # noqa: PYI024, fields are known at run time
    except (ValueError, TypeError) as error:
        raise RuntimeError(
            f"the archive is damaged: it has an invalid named tuple {name!r} with the fields {fields!r} ({error})"
        ) from None


def entry(mapping: Any, key: str) -> Any:
    """Return an entry of a decoded JSON object.

    Raises: RuntimeError if the entry does not exist.
    """
    if not isinstance(mapping, Mapping) or key not in mapping:
        raise RuntimeError(f"the program in the archive is damaged: the entry {key!r} is missing")
    return mapping[key]
