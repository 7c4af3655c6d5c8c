"""Saving and loading: tensors and structures of them, in safetensors files and in those of PyTorch.

Any safetensors reader can read the tensors of the former; PyTorch reads the latter, and what it writes is read here.
Loading runs no code from a file unless it is told to (``weights_only=False``).
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any, Literal, TypeAlias

from . import _suggestions
from ._core import device
from ._serialization.errors import naming

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from ._serialization.globals import add_safe_globals, clear_safe_globals, get_safe_globals, safe_globals
    from ._serialization.lazy import safe_open
    from ._serialization.options import (
        LoadEndianness,
        get_crc32_options,
        get_default_load_endianness,
        get_default_mmap_options,
        set_crc32_options,
        set_default_load_endianness,
        set_default_mmap_options,
    )
    from ._serialization.pytorch import Options

__all__ = [
    "FILE_LIKE",
    "MAP_LOCATION",
    "LoadEndianness",
    "add_safe_globals",
    "clear_safe_globals",
    "get_crc32_options",
    "get_default_load_endianness",
    "get_default_mmap_options",
    "get_safe_globals",
    "get_unsafe_globals_in_checkpoint",
    "load",
    "safe_globals",
    "safe_open",
    "save",
    "set_crc32_options",
    "set_default_load_endianness",
    "set_default_mmap_options",
]

STRUCTURE = "flambeau.structure"
DEFAULT_PROTOCOL = 2

# How the names of safetensors files end.
SAFETENSORS_ENDINGS = (".safetensors", ".st")

Format = Literal["pt", "safetensors"]

# What `load` takes for a file, and for where to put its tensors.
FILE_LIKE: TypeAlias = str | os.PathLike[str] | IO[bytes]
MAP_LOCATION: TypeAlias = Callable[[Any, str], Any] | device | str | dict[str, str] | None


def save(
    obj: Any,
    f: str | os.PathLike[str] | IO[bytes],
    pickle_module: Any = None,
    pickle_protocol: int = DEFAULT_PROTOCOL,
    _use_new_zipfile_serialization: bool = True,
    *,
    format: Format | None = None,
) -> None:
    """Save tensors, alone or in any structure, to a safetensors file or one that PyTorch can load.

    A file of that name is replaced at once when everything is written; if saving fails it stays as it was.

    ``"safetensors"`` holds tensors in dictionaries (keys: strings, numbers, None, tuples of these), lists and tuples,
    numbers, strings, bools and None. A dictionary of tensors is what other safetensors readers see; other structures
    appear to them as tensors named by their path, such as ``model.fc.weight``. Tensors are stored contiguous, each with
    its own elements only and without ``requires_grad``; subclasses of dict as dict.

    ``"pt"`` is PyTorch's own format and holds whatever can be pickled. Tensors that share memory share it when they are
    loaded, and their strides, ``requires_grad`` and attributes are kept. `load` takes tensors and plain values out of
    it, and objects of other classes (a whole module) only with ``weights_only=False``.

    Args:
        obj: what to save; ``module.state_dict()`` and ``optimizer.state_dict()`` are what moves between programs.
        f: path, or a file opened for writing bytes.
        pickle_module: as PyTorch has it; other modules than ``pickle`` are not supported.
        pickle_protocol: of the pickle in PyTorch's format; PyTorch itself reads 2 without ``weights_only=False``.
        _use_new_zipfile_serialization: False writes the format of PyTorch before 1.6 instead of an archive.
        format: None chooses ``"safetensors"`` for a path that ends in .safetensors or .st, else ``"pt"``.
    Raises: TypeError naming what cannot be stored; AttributeError if ``f`` is neither a path nor a file; RuntimeError
        without the folder to write to; OSError if writing fails.

    >>> flambeau.save({"weight": flambeau.ones(2), "epoch": 3}, path)
    >>> flambeau.load(path)
    {'weight': tensor([1., 1.]), 'epoch': 3}
    """
    _check_pickle_module("save", pickle_module)
    chosen = _format_for(f, format)
    with _to_write(obj, f) as file:
        if chosen == "safetensors":
            _save_safetensors(obj, file)
        elif not _use_new_zipfile_serialization:
            from ._serialization import legacy

            legacy.save(obj, file, pickle_protocol)
        else:
            from ._serialization import pickling

            pickling.save(obj, file, pickle_protocol, root=_stem(f))
        if hasattr(file, "flush"):  # so that others can read the file although it is still open
            file.flush()


def load(
    f: str | os.PathLike[str] | IO[bytes],
    map_location: MAP_LOCATION = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    check_crc32: bool = True,
    **pickle_load_args: Any,
) -> Any:
    """Load what ``save`` or PyTorch saved, or the dictionary of tensors in any safetensors file.

    Args:
        f: path, or a file opened for reading bytes, which is read from where it stands to its end.
        map_location: where to put the tensors: a device, a dictionary from devices in the file to devices, or a
            function of a storage and its device in the file that returns the storage to use, or None to let it be.
        pickle_module: as PyTorch has it; allowed with ``weights_only=False`` only.
        weights_only: False lets a PyTorch file use any class and function, and so run any code: for files one trusts.
            Otherwise it is read by a machine that knows tensors, parameters, dictionaries, lists, tuples, sets,
            numbers, strings, bytes, shapes, dtypes, devices, NumPy's numbers and arrays, and what has been allowed with
            ``flambeau.serialization.add_safe_globals``.
        mmap: True leaves the elements in the file, which must have a path, until they are used. Changing such a
            tensor changes a private copy, never the file; the file must not be cut short meanwhile.
        check_crc32: compare what is read with the checksums in the file: those of a .pt file's entries, and those that
            ``save`` writes to safetensors files. With ``mmap=True`` elements are not compared, as that would read them.
        pickle_load_args: ``encoding`` and ``errors`` of strings written by Python 2.
    Raises: pickle.UnpicklingError naming what the file refers to and must not; RuntimeError naming the file and what is
        wrong with it, if it is truncated, damaged or of another kind; NotImplementedError for what flambeau does not
        have, such as quantized tensors; FileNotFoundError.

    >>> flambeau.save([flambeau.arange(3), float("inf")], path)
    >>> flambeau.load(path)
    [tensor([0, 1, 2]), inf]
    """
    if weights_only is not False and pickle_module is not None:
        raise RuntimeError("Can not safely load weights when explicit pickle_module is specified")
    _check_pickle_module("load", pickle_module)
    if mmap and not isinstance(f, str | os.PathLike):
        raise ValueError("f must be a file path in order to use the mmap argument")
    with naming(f), _to_read(f) as file:
        from ._serialization.pytorch import Options

        return _load(file, Options(map_location, bool(mmap), check_crc32, weights_only is not False, pickle_load_args))


def get_unsafe_globals_in_checkpoint(f: str | os.PathLike[str] | IO[bytes]) -> list[str]:
    """The full names that a PyTorch file refers to and that `load` refuses, without loading it.

    Args:
        f: path, or a file opened for reading bytes.
    """
    with naming(f), _to_read(f) as file:
        from ._serialization import pytorch

        return pytorch.refused_names(file)


def _load(file: IO[bytes], options: Options) -> Any:
    from ._serialization import pytorch, safetensors, structure
    from ._serialization.locations import Locations

    opening = file.read(16)
    file.seek(-len(opening), io.SEEK_CUR)
    if pytorch.is_pytorch(opening):
        return pytorch.load(file, options)
    locations = Locations(options.map_location)
    tensors, metadata = safetensors.read(file, options.mapped, options.checked)
    placed = {name: locations.place_tensor(tensor) for name, tensor in tensors.items()}
    return structure.unflatten(placed, metadata.get(STRUCTURE))


def _save_safetensors(obj: Any, file: IO[bytes]) -> None:
    from ._serialization import safetensors, structure

    tensors, described = structure.flatten(obj)
    # Other libraries take "pt" to mean that weights are laid out as PyTorch lays them out, and so they are.
    metadata = {"format": "pt"} if described is None else {"format": "pt", STRUCTURE: described}
    safetensors.write(file, tensors, metadata)


def _check_pickle_module(function: str, module: Any) -> None:
    if module is not None and getattr(module, "__name__", None) != "pickle":
        raise NotImplementedError(f"{function}: pickle_module={module!r}; only Python's pickle is supported")


def _format_for(f: Any, format: str | None) -> str:
    if format is not None:
        if format not in ("pt", "safetensors"):
            raise ValueError(f"save: format must be 'pt', 'safetensors' or None, got {format!r}")
        return format
    name = os.fspath(f) if isinstance(f, str | os.PathLike) else ""
    return "safetensors" if name.endswith(SAFETENSORS_ENDINGS) else "pt"


def _stem(f: Any) -> str:
    """The name of the folder in the archive: the file's, as PyTorch names it."""
    name = os.path.basename(os.fspath(f)) if isinstance(f, str | os.PathLike) else ""
    return os.path.splitext(name)[0] or "archive"


def _to_write(obj: Any, f: str | os.PathLike[str] | IO[bytes]) -> AbstractContextManager[IO[bytes]]:
    if isinstance(f, str | os.PathLike):
        from ._serialization import atomic

        folder = os.path.dirname(os.path.abspath(f))
        if not os.path.isdir(folder):
            raise RuntimeError(f"Parent directory {folder} does not exist.")
        return atomic.replacing(f)
    if not hasattr(f, "write"):
        hint = "; the object comes first: save(obj, path)" if isinstance(obj, str | os.PathLike) else ""
        raise AttributeError(
            "save: expected 'f' to be string, path, or a file-like object with a 'write' attribute, got "
            f"{type(f).__name__}{hint}"
        )
    return contextlib.nullcontext(f)


def _to_read(f: str | os.PathLike[str] | IO[bytes]) -> AbstractContextManager[IO[bytes]]:
    if isinstance(f, str | os.PathLike):
        return open(f, "rb")
    if not hasattr(f, "read"):
        raise TypeError(f"load: f must be a path or a binary file, got {type(f).__name__}")
    seekable = f.seekable() if hasattr(f, "seekable") else hasattr(f, "seek")
    if not (hasattr(f, "readinto") and seekable):
        return io.BytesIO(f.read())
    return contextlib.nullcontext(f)


if not TYPE_CHECKING:  # so that type checkers report names that do not exist

    def __getattr__(name: str) -> Any:
        if name in __all__:
            from ._serialization import globals, lazy, options

            for module in (globals, options, lazy):
                if hasattr(module, name):
                    return getattr(module, name)
        raise _suggestions.unknown_attribute(__name__, name)
