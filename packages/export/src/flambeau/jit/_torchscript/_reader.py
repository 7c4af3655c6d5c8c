"""Reader of TorchScript archives; see Note [TorchScript]."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import IO, Any

from flambeau._serialization import interpreter
from flambeau._serialization.archive_reader import ArchiveReader
from flambeau._serialization.errors import FormatError, UnsafePickleError, add_file_name
from flambeau._serialization.locations import Locations
from flambeau._serialization.pytorch import storage_loader

from .._archive import Archive
from ._library import Library
from ._objects import RecursiveScriptModule, ScriptClass, ScriptObject, set_state

_LISTS = ("build_intlist", "build_boollist", "build_doublelist", "build_tensorlist")


def read(file: IO[bytes], map_location: Any = None, extra_files: dict[str, Any] | None = None) -> RecursiveScriptModule:
    """Return the module in an archive.

    Args:
        map_location: the device of parameters, buffers, attributes and constants, as in `flambeau.load`.
        extra_files: a dictionary of file names; its values are replaced with the contents of these files.
    Raises: RuntimeError if the archive is damaged or contains code that TorchScript cannot generate;
        pickle.UnpicklingError for references that are not allowed.
    """
    with add_file_name(file):
        archive, values = Archive(file, "constants.pkl"), ArchiveReader(file, mapped=False)
        locations = Locations(map_location)
        constants = _unpickled(values, "constants", locations, None)
        library = Library(archive, constants if isinstance(constants, tuple) else (), _version(archive))
        module = _unpickled(values, "data", locations, library)
        if not isinstance(module, RecursiveScriptModule):
            raise FormatError(f"its data.pkl holds {type(module).__name__}, not a module")
        archive.fill(extra_files)
        return module


def _version(archive: Archive) -> int:
    name = ".data/version" if ".data/version" in archive else "version"
    try:
        return int(archive.text(name))
    except ValueError as error:
        raise FormatError(f"damaged: its file {name!r} does not hold a number ({error})") from None


def _unpickled(values: ArchiveReader, name: str, locations: Locations, library: Library | None) -> Any:
    def machine(load: Callable[[Any], Any], encoding: str, errors: str) -> interpreter.Machine:
        return _Machine(load, encoding, errors, library)

    loader = storage_loader(values, locations, name)
    return interpreter.run(values.read(f"{name}.pkl"), loader, machine_type=machine)


class _Machine(interpreter.Machine):
    """Pickle interpreter that also knows the classes of an archive."""

    def __init__(
        self, persistent_load: Callable[[Any], Any], encoding: str, errors: str, library: Library | None
    ) -> None:
        super().__init__(persistent_load, encoding, errors)
        self._library = library

    def named(self, module: str, name: str) -> Any:
        """Return the object that a pickle names: a class of the archive's code, or one that every pickle may use."""
        if module.partition(".")[0] == "__torch__":
            full = f"{module}.{name}"
            found = None if self._library is None else self._library.found.get(full)
            if not isinstance(found, type | ScriptClass):
                if full.startswith("__torch__.torch.classes."):
                    raise NotImplementedError(f"flambeau has no class '{full}', which the archive uses")
                raise UnsafePickleError(f"its pickle refers to '{full}', which is not a class in its code")
            return found
        if module == "torch.jit._pickle":
            if name not in (*_LISTS, "restore_type_tag"):
                raise NotImplementedError(f"the pickle refers to '{module}.{name}', which flambeau does not have")
            function = _first
            self.calls[id(function)] = function
            return function
        return super().named(module, name)

    def call(self, function: Any, arguments: Any) -> Any:
        if isinstance(function, type) and issubclass(function, enum.Enum):
            return function(arguments[0] if isinstance(arguments, tuple) else arguments)
        if isinstance(function, type) and hasattr(function, "_fields") and issubclass(function, tuple):
            return function(*arguments)
        return super().call(function, arguments)

    def new(self, kind: Any, arguments: Any, keywords: Any) -> Any:
        if isinstance(kind, ScriptClass):
            return kind.made()
        return super().new(kind, arguments, keywords)

    def do_build(self, argument: None) -> None:
        if self.stack and len(self.stack) > 1 and isinstance(self.stack[-2], RecursiveScriptModule | ScriptObject):
            state = self.pop()
            set_state(self.top(), state)
        else:
            super().do_build(argument)


def _first(values: Any, kind: Any = None) -> Any:
    """Return ``values``, a list or dictionary. Ignore the type ``kind`` that the pickle attaches to it."""
    return values
