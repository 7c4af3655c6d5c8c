"""Files as PyTorch writes them: a pickle of everything but the elements of the tensors, and those."""

from __future__ import annotations

import io
import sys
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import flambeau
from flambeau.storage import TypedStorage, UntypedStorage

from . import interpreter, legacy
from .archive_reader import MAGIC, ArchiveReader
from .errors import FormatError
from .globals import find
from .locations import Locations
from .options import unsaid_byte_order
from .storages import storage_of, swap_bytes, typed

if TYPE_CHECKING:
    from collections.abc import Callable


class Options(NamedTuple):
    """How a file is to be read."""

    map_location: Any
    mapped: bool
    checked: bool
    weights_only: bool
    pickle_arguments: dict[str, Any]


def is_pytorch(opening: bytes) -> bool:
    """Whether a file that begins so is one of PyTorch's."""
    return opening.startswith((MAGIC, legacy.OPENING))


def load(file: IO[bytes], options: Options) -> Any:
    """What is in the file. Raises FormatError."""
    run = interpreter.run if options.weights_only else _run_trusted
    locations = Locations(options.map_location)
    opening = file.read(len(MAGIC))
    file.seek(-len(opening), io.SEEK_CUR)
    if opening == MAGIC:
        archive = ArchiveReader(file, options.mapped, options.checked)
        return _load_archive(archive, locations, run, options.pickle_arguments)
    if options.mapped:
        raise FormatError("mmap=True wants a file of PyTorch 1.6 or later, a zip archive; this is an older one")
    return legacy.load(file, locations, run, options.pickle_arguments)


def refused_names(file: IO[bytes]) -> list[str]:
    """The names that an archive's pickle refers to and must not."""
    return sorted(name for name in interpreter.names_in(ArchiveReader(file, False).read("data.pkl")) if not find(name))


def _load_archive(
    archive: ArchiveReader, locations: Locations, run: Callable[..., Any], pickle_arguments: dict[str, Any]
) -> Any:
    said = archive.read("byteorder", 16).decode("latin-1") if archive.has("byteorder") else unsaid_byte_order()
    swapped = said != sys.byteorder
    loaded: dict[str, UntypedStorage] = {}

    def persistent_load(identifier: Any) -> TypedStorage | UntypedStorage:
        kind, key, location, numel = storage_of(identifier)
        if key not in loaded:
            count = numel * kind.itemsize
            if locations.on_meta(location):
                storage = UntypedStorage(flambeau.empty(count, dtype=flambeau.uint8, device="meta"))
            else:
                storage = archive.storage(f"data/{key}", count)
                if swapped:
                    swap_bytes(storage, kind)
                storage = locations.place(storage, location)
            loaded[key] = storage
        return typed(loaded[key], kind)

    return run(archive.read("data.pkl"), persistent_load, **pickle_arguments)


def _run_trusted(*args: Any, **kwargs: Any) -> Any:
    from . import trusted

    return trusted.run(*args, **kwargs)
