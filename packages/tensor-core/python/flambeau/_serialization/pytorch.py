"""PyTorch's files: a pickle of the object structure, and the elements of the tensors."""

from __future__ import annotations

import sys
import warnings
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import flambeau
from flambeau import _extension_points
from flambeau.storage import TypedStorage, UntypedStorage

from . import interpreter, legacy
from .archive_reader import MAGIC, ArchiveReader
from .errors import FormatError
from .globals import find
from .locations import Locations
from .options import default_byte_order
from .storages import storage_of, swap_bytes, typed

if TYPE_CHECKING:
    from collections.abc import Callable


class Options(NamedTuple):
    """Options of `load`."""

    map_location: Any
    mapped: bool
    checked: bool
    weights_only: bool
    pickle_arguments: dict[str, Any]


def is_pytorch(opening: bytes) -> bool:
    """Return True if a file with this beginning is a PyTorch file."""
    return opening.startswith((MAGIC, legacy.OPENING))


def load(file: IO[bytes], options: Options) -> Any:
    """Load the object in a file. Raise FormatError if the file is invalid."""
    run = interpreter.run if options.weights_only else _run_trusted
    locations = Locations(options.map_location)
    start = file.tell()
    opening = file.read(len(MAGIC))
    file.seek(start)
    if opening == MAGIC:
        archive = ArchiveReader(file, options.mapped, options.checked)
        if archive.has("constants.pkl"):
            file.seek(start)
            return _load_script(file, options)
        return _load_archive(archive, locations, run, options.pickle_arguments)
    if options.mapped:
        raise FormatError(
            "mmap=True requires the zip format of PyTorch 1.6 and later, but the file has the older format"
        )
    return legacy.load(file, locations, run, options.pickle_arguments)


def _load_script(file: IO[bytes], options: Options) -> Any:
    """Load a TorchScript program with ``jit.load``."""
    if options.weights_only:
        raise FormatError(
            "Cannot use ``weights_only=True`` with TorchScript archives passed to ``torch.load``; load the program "
            "with jit.load"
        )
    warnings.warn(
        "'torch.load' received a zip file that looks like a TorchScript archive dispatching to 'torch.jit.load' (call "
        "'torch.jit.load' directly to silence this warning)",
        UserWarning,
        stacklevel=5,
    )
    return _extension_points.required("load_script")(file, options.map_location)


def rejected_names(file: IO[bytes]) -> list[str]:
    """Return the global names in an archive's pickle that are not allowed."""
    return sorted(name for name in interpreter.names_in(ArchiveReader(file, False).read("data.pkl")) if not find(name))


def _load_archive(
    archive: ArchiveReader, locations: Locations, run: Callable[..., Any], pickle_arguments: dict[str, Any]
) -> Any:
    return run(archive.read("data.pkl"), storage_loader(archive, locations), **pickle_arguments)


def storage_loader(archive: ArchiveReader, locations: Locations, folder: str = "data") -> Callable[[Any], Any]:
    """Return the ``persistent_load`` function, which reads storages from a folder of the archive."""
    byte_order = archive.read("byteorder", 16).decode("latin-1") if archive.has("byteorder") else default_byte_order()
    swapped = byte_order != sys.byteorder
    loaded: dict[str, UntypedStorage] = {}

    def persistent_load(identifier: Any) -> TypedStorage | UntypedStorage:
        kind, key, location, numel = storage_of(identifier)
        if key not in loaded:
            count = numel * kind.itemsize
            if locations.on_meta(location):
                storage = UntypedStorage(flambeau.empty(count, dtype=flambeau.uint8, device="meta"))
            else:
                storage = archive.storage(f"{folder}/{key}", count)
                if swapped:
                    swap_bytes(storage, kind)
                storage = locations.place(storage, location)
            loaded[key] = storage
        return typed(loaded[key], kind)

    return persistent_load


def _run_trusted(*args: Any, **kwargs: Any) -> Any:
    from . import trusted

    return trusted.run(*args, **kwargs)
