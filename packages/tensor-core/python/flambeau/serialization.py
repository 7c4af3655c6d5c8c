"""Save and load tensors, and structures that contain tensors, in safetensors files and in PyTorch's file format.

Any safetensors reader can read the tensors in the safetensors files. PyTorch can load the PyTorch files, and `load`
can read files that PyTorch saved. Loading does not run code from a file unless ``weights_only=False``.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import warnings
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any, Literal, TypeAlias

from . import _suggestions
from ._core import device
from ._serialization.errors import add_file_name

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

STRUCTURE = "flambeau.structure"  # key of the metadata of a safetensors file: the structure around the tensors
DEFAULT_PROTOCOL = 2

# Filename extensions of safetensors files.
SAFETENSORS_EXTENSIONS = (".safetensors", ".st")

Format = Literal["pt", "safetensors"]

# The types of the arguments ``f`` and ``map_location`` of `load`.
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
    """Save tensors, alone or in a nested structure, to a safetensors file or to a file that PyTorch can load.

    If ``f`` is a path, an existing file is replaced atomically after all data is written. If saving fails, the existing
    file stays unchanged.

    ``"safetensors"`` stores tensors in dictionaries (keys: strings, numbers, None, tuples of these), lists and tuples,
    numbers, strings, booleans and None. Other safetensors readers see a dictionary of tensors unchanged. They see other
    structures as tensors that are named by their path, such as ``model.fc.weight``. Each tensor is stored contiguously
    with only its own elements and without ``requires_grad``. Subclasses of dict are stored as dict.

    ``"pt"`` is PyTorch's own format and stores any object that can be pickled. Tensors that share memory also share
    memory after loading. Strides, ``requires_grad`` and attributes are kept. `load` reads tensors and plain values from
    a ``"pt"`` file. It loads objects of other classes, such as a whole module, only with ``weights_only=False``.

    Args:
        obj: the object to save. To exchange a model, save ``module.state_dict()`` and ``optimizer.state_dict()``.
        f: path, or a binary file opened for writing.
        pickle_module: accepted for compatibility with PyTorch. Only Python's ``pickle`` is supported.
        pickle_protocol: pickle protocol of the PyTorch format. With ``weights_only=True``, PyTorch reads only protocol
            2.
        _use_new_zipfile_serialization: if False, write the format that PyTorch used before version 1.6.
        format: ``"pt"``, ``"safetensors"`` or None. None selects ``"safetensors"`` for a path that ends in .safetensors
            or .st, and ``"pt"`` otherwise.
    Raises: TypeError with the name of an object that cannot be stored; AttributeError if ``f`` is neither a path nor a
        file; RuntimeError if the parent directory does not exist; OSError if writing fails.

    >>> flambeau.save({"weight": flambeau.ones(2), "epoch": 3}, path)
    >>> flambeau.load(path)
    {'weight': tensor([1., 1.]), 'epoch': 3}
    """
    _check_pickle_module("save", pickle_module)
    chosen_format = _format_for(f, format)
    with _open_to_write(obj, f) as file:
        if chosen_format == "safetensors":
            _save_safetensors(obj, file)
        elif not _use_new_zipfile_serialization:
            from ._serialization import legacy

            legacy.save(obj, file, pickle_protocol)
        else:
            from ._serialization import pickling

            pickling.save(obj, file, pickle_protocol, root=_stem(f))
        if hasattr(file, "flush"):  # so that other programs can read the file while it is open
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
    """Load an object that `save` or PyTorch saved, or the dictionary of tensors in any safetensors file.

    Args:
        f: path, or a binary file opened for reading. A file is read from its current position to its end.
        map_location: where to place the tensors: a device; a dictionary from devices in the file to devices; a function
            that takes a storage and its device in the file and returns the storage to use; or None to use the devices
            in the file.
        pickle_module: accepted for compatibility with PyTorch. If it is given, ``weights_only`` is False by default.
        weights_only: False lets a PyTorch file use any class and function, and therefore run any code. Use it only for
            files from a trusted source. Otherwise a restricted unpickler reads the file. It accepts tensors,
            parameters, dictionaries, lists, tuples, sets, numbers, strings, bytes, shapes, dtypes, devices, NumPy's
            scalars and arrays, and the types allowed with ``flambeau.serialization.add_safe_globals``. As in PyTorch,
            the environment variable TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1 changes the default to False, and
            TORCH_FORCE_WEIGHTS_ONLY_LOAD=1 changes every value to True.
        mmap: if True, map the file into memory and read the elements on first use. ``f`` must be a path. A change to a
            loaded tensor changes a private copy, never the file. The file must not be truncated while it is mapped.
        check_crc32: if True, verify the checksums of the entries of a .pt file, and the checksums that `save` writes to
            safetensors files. With ``mmap=True``, the elements are not verified, because verification would read all of
            them.
        pickle_load_args: ``encoding`` and ``errors`` for strings written by Python 2.
    Raises: pickle.UnpicklingError with the name of a class or function that the file must not use; RuntimeError with
        the name of the file and the cause if the file is truncated, damaged or of another format; NotImplementedError
        for features that flambeau does not support, such as quantized tensors; FileNotFoundError.

    >>> flambeau.save([flambeau.arange(3), float("inf")], path)
    >>> flambeau.load(path)
    [tensor([0, 1, 2]), inf]
    """
    if weights_only is None and pickle_module is not None:
        weights_only = False
    weights_only = _is_restricted(weights_only)
    if weights_only and pickle_module is not None:
        raise RuntimeError("Can not safely load weights when explicit pickle_module is specified")
    _check_pickle_module("load", pickle_module)
    if mmap and not isinstance(f, str | os.PathLike):
        raise ValueError("f must be a file path in order to use the mmap argument")
    with add_file_name(f), _open_to_read(f) as file:
        from ._serialization.pytorch import Options

        return _load(file, Options(map_location, bool(mmap), check_crc32, weights_only, pickle_load_args))


def _is_restricted(weights_only: bool | None) -> bool:
    """Return the value of ``weights_only`` that results from the argument and PyTorch's environment variables."""
    always, never = (
        os.environ.get(f"TORCH_FORCE_{name}WEIGHTS_ONLY_LOAD", "0").lower() in ("1", "y", "yes", "true")
        for name in ("", "NO_")
    )
    if always and never:
        raise RuntimeError(
            "Only one of `TORCH_FORCE_WEIGHTS_ONLY_LOAD` or `TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD` should be set, but both "
            "were set."
        )
    if never and weights_only is None:
        warnings.warn(
            "Environment variable TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD detected, since the `weights_only` argument was not "
            "explicitly passed to `torch.load`, forcing weights_only=False.",
            stacklevel=3,
        )
        return False
    return always or weights_only is not False


def get_unsafe_globals_in_checkpoint(f: str | os.PathLike[str] | IO[bytes]) -> list[str]:
    """Return the full names that a PyTorch file refers to and that `load` rejects, without loading the file.

    Args:
        f: path, or a binary file opened for reading.

    >>> import fractions, io
    >>> file = io.BytesIO()
    >>> fb.save({"rate": fractions.Fraction(1, 3)}, file)
    >>> _ = file.seek(0)
    >>> fb.serialization.get_unsafe_globals_in_checkpoint(file)
    ['fractions.Fraction']
    """
    with add_file_name(f), _open_to_read(f) as file:
        from ._serialization import pytorch

        return pytorch.rejected_names(file)


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
    # Other libraries interpret "pt" as "weights in PyTorch's layout", which is true for flambeau.
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
    return "safetensors" if name.endswith(SAFETENSORS_EXTENSIONS) else "pt"


def _stem(f: Any) -> str:
    """Return the name of the folder in the archive: the stem of the file name, as in PyTorch."""
    name = os.path.basename(os.fspath(f)) if isinstance(f, str | os.PathLike) else ""
    return os.path.splitext(name)[0] or "archive"


def _open_to_write(obj: Any, f: str | os.PathLike[str] | IO[bytes]) -> AbstractContextManager[IO[bytes]]:
    """Return a context with a file to write to. A path is replaced only when the context ends without an error."""
    if isinstance(f, str | os.PathLike):
        from ._serialization import atomic

        folder = os.path.dirname(os.path.abspath(f))
        if not os.path.isdir(folder):
            raise RuntimeError(f"Parent directory {folder} does not exist.")
        if os.path.isdir(f) or not os.fspath(f):
            raise RuntimeError(f"File {os.fspath(f)!r} cannot be opened: it is a directory or has no name")
        return atomic.replacing(f)
    if not hasattr(f, "write"):
        hint = "; the object comes first: save(obj, path)" if isinstance(obj, str | os.PathLike) else ""
        raise AttributeError(
            "save: expected 'f' to be string, path, or a file-like object with a 'write' attribute, got "
            f"{type(f).__name__}{hint}"
        )
    return contextlib.nullcontext(f)


def _open_to_read(f: str | os.PathLike[str] | IO[bytes]) -> AbstractContextManager[IO[bytes]]:
    if isinstance(f, str | os.PathLike):
        return open(f, "rb")
    if not hasattr(f, "read"):
        raise TypeError(f"load: f must be a path or a binary file, got {type(f).__name__}")
    seekable = f.seekable() if hasattr(f, "seekable") else hasattr(f, "seek")
    if not (hasattr(f, "readinto") and seekable):
        return io.BytesIO(f.read())
    return contextlib.nullcontext(f)


if not TYPE_CHECKING:  # hidden from type checkers, which then report names that do not exist

    def __getattr__(name: str) -> Any:
        if name == "pickle":  # libraries use it as a default of the argument pickle_module
            return importlib.import_module("pickle")
        if name in __all__:
            from ._serialization import globals, lazy, options

            for module in (globals, options, lazy):
                if hasattr(module, name):
                    return getattr(module, name)
        raise _suggestions.unknown_attribute(__name__, name)
