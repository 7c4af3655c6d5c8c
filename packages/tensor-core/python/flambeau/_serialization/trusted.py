"""Unpickling of trusted files, which may use every name and can run any code."""

from __future__ import annotations

import importlib
import io
import pickle
from typing import IO, TYPE_CHECKING, Any

from . import globals
from .errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Callable


class _Unpickler(pickle.Unpickler):
    """Python's unpickler with PyTorch's names mapped to flambeau."""

    def __init__(self, file: IO[bytes], load: Callable[[Any], Any], **arguments: Any) -> None:
        super().__init__(file, **arguments)
        self._load = load

    def persistent_load(self, identifier: Any) -> Any:
        return self._load(identifier)

    def find_class(self, module: str, name: str) -> Any:
        entry = globals.find(globals.full_name(module, name))
        if entry is not None and module.partition(".")[0] == "torch":
            return entry.value if isinstance(entry.value, type) or entry.call is None else entry.call
        if module.partition(".")[0] == "torch":
            return _counterpart(module, name)
        return super().find_class(module, name)


def _counterpart(module: str, name: str) -> Any:
    """Return flambeau's object for a name of PyTorch, from the corresponding module or from one of its parents."""
    parts = ["flambeau", *module.split(".")[1:]]
    while parts:
        try:
            owner = importlib.import_module(".".join(parts))
        except ImportError:
            owner = None
        if hasattr(owner, name):
            return getattr(owner, name)
        parts.pop()
    raise FormatError(
        f"it refers to {module}.{name}, which flambeau does not have; save a state_dict() with PyTorch instead"
    )


def run(
    source: bytes | IO[bytes], persistent_load: Callable[[Any], Any], encoding: str = "utf-8", errors: str = "strict"
) -> Any:
    """Return the value that a pickle describes. The pickle can run any code.

    Raises: FormatError if the pickle is damaged, or refers to an object that flambeau does not have.
    """
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        return _Unpickler(file, persistent_load, encoding=encoding, errors=errors).load()
    except (pickle.UnpicklingError, EOFError) as error:
        raise FormatError(f"the pickle in it is damaged: {error}") from error
    except (ImportError, AttributeError) as error:
        raise FormatError(f"it refers to a module or name that cannot be imported: {error}") from error
