"""Saving and loading: tensors and structures of them, in safetensors files.

Any safetensors reader can read the tensors; how a nested structure belongs together is written in the file's metadata.
Loading never runs code from the file.
"""

from __future__ import annotations

import contextlib
import os
from typing import IO, TYPE_CHECKING, Any

import flambeau

from ._serialization import atomic, safetensors, structure

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from flambeau import device

__all__ = ["load", "save"]

STRUCTURE = "flambeau.structure"


def save(obj: Any, f: str | os.PathLike[str] | IO[bytes]) -> None:
    """Save tensors, alone or in nested dictionaries, lists and tuples, to a safetensors file.

    A file of that name is replaced at once when everything is written; if saving fails it stays as it was. A
    dictionary of tensors (a module's ``state_dict()``) is what other safetensors readers see; other structures appear
    to them as tensors named by their path, such as ``model.fc.weight``.

    Args:
        obj: tensors, dictionaries (keys: strings, numbers, None, tuples of these), lists, tuples, numbers, strings,
            bools, None, nested up to 100 levels. Tensors are stored contiguous, each with its own elements only, and
            without their graph; subclasses of dict are stored as dict.
        f: path, or a file opened for writing bytes.
    Raises: TypeError naming the place and type of what cannot be stored; OSError if writing fails.

    >>> flambeau.save({"weight": flambeau.ones(2), "epoch": 3}, path)
    >>> flambeau.load(path)
    {'weight': tensor([1., 1.]), 'epoch': 3}
    """
    tensors, described = structure.flatten(obj)
    # Other libraries take "pt" to mean that weights are laid out as PyTorch lays them out, and so they are.
    metadata = {"format": "pt"} if described is None else {"format": "pt", STRUCTURE: described}
    with _to_write(f) as file:
        safetensors.write(file, tensors, metadata)


def load(
    f: str | os.PathLike[str] | IO[bytes], map_location: str | device | None = None, weights_only: bool = True
) -> Any:
    """Load what ``save`` saved, or the dictionary of tensors in any safetensors file.

    Args:
        f: path, or a file opened for reading bytes, which is read from where it stands to its end.
        map_location: device to put the tensors on; None is the CPU.
        weights_only: accepted for PyTorch's sake; the format holds no code, so loading is safe either way.
    Returns: a structure of tensors that own their memory and require no grad.
    Raises: RuntimeError naming the file and what is wrong with it, if it is truncated, damaged or no safetensors
        file; NotImplementedError if it is a PyTorch ``.pt`` file; FileNotFoundError.

    >>> flambeau.save([flambeau.arange(3), float("inf")], path)
    >>> flambeau.load(path)
    [tensor([0, 1, 2]), inf]
    """
    if callable(map_location) or isinstance(map_location, dict):
        raise TypeError(f"load: map_location must be a device such as 'cpu' or 'cuda:0', got {map_location!r}")
    place = None if map_location is None else flambeau.device(map_location)
    try:
        with _to_read(f) as file:
            tensors, metadata = safetensors.read(file)
        if place is not None:
            tensors = {name: tensor.to(place) for name, tensor in tensors.items()}
        return structure.unflatten(tensors, metadata.get(STRUCTURE))
    except safetensors.FormatError as error:
        kind = NotImplementedError if isinstance(error, NotImplementedError) else RuntimeError
        name = os.fspath(f) if isinstance(f, str | os.PathLike) else getattr(f, "name", type(f).__name__)
        raise kind(f"cannot load {name!r}: {error}") from None


def _to_write(f: str | os.PathLike[str] | IO[bytes]) -> AbstractContextManager[IO[bytes]]:
    if isinstance(f, str | os.PathLike):
        return atomic.replacing(f)
    if not hasattr(f, "write"):
        raise TypeError(f"save: f must be a path or a binary file, got {type(f).__name__}")
    return contextlib.nullcontext(f)


def _to_read(f: str | os.PathLike[str] | IO[bytes]) -> AbstractContextManager[IO[bytes]]:
    if isinstance(f, str | os.PathLike):
        return open(f, "rb")
    if not hasattr(f, "read"):
        raise TypeError(f"load: f must be a path or a binary file, got {type(f).__name__}")
    return contextlib.nullcontext(f)
