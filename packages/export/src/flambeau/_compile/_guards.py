"""Guards: the Python objects that a captured function can read, and their contents at capture time.

Note [Guards]
A captured program is valid as long as the function would make the same decisions. The decisions depend on Python
objects: attributes of modules, globals, closures, lists and dictionaries. `Snapshot` collects all objects that the
function can reach: it follows the globals that the code names, closures, defaults, attributes, items and methods. It
stores the contents of each container. `_core._first_changed` compares them before each replay: identical objects,
or equal numbers and strings.

The first snapshot is made before the function runs. It follows all code that the function can reach, so that changes
by the run are detected. The guards of the program follow only the code that ran, since the function runs the same code
as long as the guards hold.

The snapshot contains more than the function reads, so that an unrelated change may cause a new capture, but a related
one is never missed. Objects of other C types, such as files, are compared by identity. Calls of their methods are not
captured (`capture`). A function that can reach an iterator of Python is not compiled, because ``next()`` and loops
advance it. Code of Python's standard library, flambeau and NumPy is constant; a class
of these lists in ``_read_globals`` the globals that its code reads and that may change.
"""

from __future__ import annotations

import array
import builtins
import collections
import contextlib
import dis
import enum
import functools
import logging
import os
import random
import sys
import sysconfig
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flambeau
from flambeau import Tensor, _core
from flambeau._operator import OPERATOR_TYPES
from flambeau.nn import Module
from flambeau.nn.modules._hooks import OF_ALL_MODULES
from flambeau.nn.parameter import is_lazy

MAX_CONTAINERS = 50_000
MAX_BYTES = 4096  # size limit for an array that a function can reach

_CONSTANT = (
    bool, int, float, complex, str, bytes, type(None), type(Ellipsis), type(NotImplemented), range, slice, enum.Enum,
    flambeau.dtype, flambeau.device, flambeau.Size, flambeau.memory_format, types.BuiltinFunctionType,
    *OPERATOR_TYPES,
    types.WrapperDescriptorType, types.MethodDescriptorType, types.GetSetDescriptorType, types.MemberDescriptorType,
)  # fmt: skip
_LIBRARY_FILES = tuple(
    {str(Path(path).resolve()) for path in (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))}
)
# Containers that `_core._first_changed` cannot read. They are copied to a list first.
_COPIED = collections.deque | types.MappingProxyType
_WITHOUT_CODE = {"__dict__", "__weakref__", "__doc__", "__module__", "__annotations__"}
# Names by which code can read the options of an optimizer.
_READ_OPTIONS = {"param_groups", "state_dict", "__dict__", "vars", "getattr"}
_IMPORT_NAME = dis.opmap["IMPORT_NAME"]
_MISSING = Ellipsis  # marks a missing key; `_core._first_changed` uses the same value


def _is_constant(cls: type) -> bool:
    """Return True for classes of libraries."""
    return _is_library_module(cls.__module__) and cls.__module__ != "__main__"


def _attributes(value: Any, names: list[str]) -> list[Any]:
    return [getattr(value, name, _MISSING) for name in names]


def _bytes(array: Any) -> list[Any]:
    return [array.tobytes() if hasattr(array, "tobytes") else bytes(array)]


def _items(container: Any) -> list[Any]:
    if isinstance(container, types.MappingProxyType):
        return [part for item in container.items() for part in item]
    return list(container)


def _slots(cls: type) -> list[str]:
    """Return the names of the attributes that a class declares in ``__slots__``."""
    declared = vars(cls).get("__slots__", ())
    names = [declared] if isinstance(declared, str) else list(declared)
    prefix = f"_{cls.__name__.lstrip('_')}"
    return [prefix + name if name.startswith("__") else name for name in names if not _is_special(name)]


class Compiled:
    """Base class of compiled functions. Guards follow the original function instead of a compiled one."""

    __wrapped__: Any


# Objects that only wrap others, and the attributes that hold these others.
_WRAPPERS: dict[type, tuple[str, ...]] = {
    types.MethodType: ("__self__", "__func__"),
    functools.partial: ("func", "args", "keywords"),
    staticmethod: ("__func__",),
    classmethod: ("__func__",),
    property: ("fget", "fset"),
    Compiled: ("__wrapped__",),
}


def _wrapped_attributes(value: Any) -> tuple[str, ...] | None:
    """Return the names in `_WRAPPERS` for an object, or None if it is not a wrapper."""
    return next((names for wrapper, names in _WRAPPERS.items() if isinstance(value, wrapper)), None)


class UnguardedError(Exception):
    """Error for a function that can reach objects whose changes cannot be detected; the message names the object."""


class UninitializedError(UnguardedError):
    """Error for a function that can reach a parameter that its first call will initialize."""


@functools.lru_cache(4096)
def is_library(file: str) -> bool:
    """Return True for files of Python's standard library, flambeau and NumPy, whose code is constant."""
    if file.startswith("<"):
        return file.startswith("<frozen")
    path = str(Path(file).resolve())
    if "site-packages" in path or "dist-packages" in path:
        return "/flambeau/" in path or "/numpy/" in path
    return path.startswith((*_LIBRARY_FILES, *_own_folders()))


@functools.lru_cache(1)
def _own_folders() -> tuple[str, ...]:
    return tuple(str(Path(folder).resolve()) + "/" for folder in flambeau.__path__)


def _is_library_module(name: Any) -> bool:
    module = sys.modules.get(name) if isinstance(name, str) else None
    if module is None:
        return False
    file = getattr(module, "__file__", None)
    return file is None or is_library(file)


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def is_numpy_array(value: Any) -> bool:
    """Return True for a NumPy array. NumPy is not imported for the check."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray)


def _is_special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__") and name not in _WITHOUT_CODE


class Snapshot:
    """The containers that can be reached from some objects, with their current contents.

    Args:
        roots: objects by name.
        executed: the code objects that ran, or None if they are unknown. If they are known, functions with other code
            are not followed, and attributes of modules and classes are followed only if this code uses their names.
    Attributes:
        tensors: tensors by id, with a path for messages.
        containers, contents: what `_core._first_changed` compares; `paths` names them.
        views: for each object of another type, a function that returns its contents as a list, the contents that the
            function has returned, and the path of the object.
        problem: why the function cannot be compiled, or an empty string. It is set only if ``executed`` is None,
            because the function may not use the object that causes the problem.
    """

    def __init__(self, roots: dict[str, Any], executed: frozenset[types.CodeType] | None = None) -> None:
        self._roots, self.executed = roots, executed
        self.tensors: dict[int, tuple[Tensor, str]] = {}
        self._containers: list[Any] = []
        self._contents: list[tuple[Any, ...]] = []
        self.paths: list[str] = []
        self.views: list[tuple[Callable[[], list[Any]], tuple[Any, ...], str]] = []
        self.problem = ""
        self._seen: dict[int, Any] = {}  # keeps objects alive, so that ids stay unique
        self._names: set[str] = set()  # names that the function's code uses
        self._texts: set[str] = set()  # strings in code of the function
        self._spaces: dict[int, tuple[Any, str, set[str]]] = {}  # modules and classes, with the names followed so far
        self._work: list[tuple[Any, str]] = [(value, name) for name, value in roots.items()]
        if executed is None or Module.__call__.__code__ in executed:
            self._work.append((vars(OF_ALL_MODULES), "hooks of all modules"))
        self._walk()
        self.containers, self.contents = tuple(self._containers), tuple(self._contents)

    def narrowed(self, executed: frozenset[types.CodeType]) -> Snapshot:
        """Return a snapshot from the same roots, restricted to what the code in ``executed`` can reach."""
        return Snapshot(self._roots, executed)

    def holds(self, value: Any) -> bool:
        """Return True if the snapshot contains ``value`` or if ``value`` has an immutable type such as int or str."""
        return id(value) in self._seen or isinstance(value, _CONSTANT)

    def names_among(self, names: set[str]) -> set[str]:
        """Return the names that the function's code uses, as an attribute or in a string."""
        return names & self._names

    @property
    def modules(self) -> set[int]:
        """The ids of the `Module` objects in the snapshot."""
        return {key for key, value in self._seen.items() if isinstance(value, Module)}

    def release(self, container: dict[str, Any], key: str) -> None:
        """Remove the guard of ``container[key]``, unless the function's own code may read this entry."""
        if key in self._texts or self._names & _READ_OPTIONS:
            return
        for i, held in enumerate(self._containers):
            if held is container or (isinstance(held, tuple) and held[0] is container):
                pairs = zip(self._contents[i][::2], self._contents[i][1::2], strict=True)
                self._containers[i] = (container,)
                self._contents[i] = tuple(part for pair in pairs if pair[0] != key for part in pair)
        self.containers, self.contents = tuple(self._containers), tuple(self._contents)

    def first_change(self) -> str | None:
        """Return the path of the first object whose contents have changed, or None."""
        index = _core._first_changed(self.containers, self.contents)
        if index >= 0:
            return self._change(index)
        return next((path for read, then, path in self.views if _core._first_changed((read(),), (then,)) >= 0), None)

    def _change(self, index: int) -> str:
        """Return the path of the entry that has changed in the container at ``index``."""
        container, contents, path = self.containers[index], self.contents[index], self.paths[index]
        if isinstance(container, tuple):
            (container,) = container
        if isinstance(container, Tensor | list | set | types.CellType):
            return path
        space = container if isinstance(container, dict) else vars(container)
        for key, value in zip(contents[::2], contents[1::2], strict=True):
            if space.get(key, _MISSING) is not value and not isinstance(space.get(key), Tensor):
                return f"{path}.{key}"
        return path

    def _walk(self) -> None:
        while self._work:
            while self._work:
                self._visit(*self._work.pop())
            self._follow_names()

    def _add_container(self, container: Any, contents: tuple[Any, ...], path: str) -> None:
        if len(self._containers) >= MAX_CONTAINERS:
            raise UnguardedError(f"the function can reach more than {MAX_CONTAINERS} Python objects")
        self._containers.append(container)
        self._contents.append(contents)
        self.paths.append(path)

    def _visit(self, value: Any, path: str) -> None:
        """Record the state of a value, and add the values that it refers to to the work list."""
        if isinstance(value, types.BuiltinMethodType | types.MethodWrapperType):  # such as a dictionary's ``get``
            if not isinstance(value.__self__, types.ModuleType | type | None):
                self._work.append((value.__self__, path))
            return
        if isinstance(value, _CONSTANT) or id(value) in self._seen:
            return
        self._seen[id(value)] = value
        if is_lazy(value):
            raise UninitializedError(f"{path} is not initialized")
        if isinstance(value, Tensor):
            self.tensors[id(value)] = value, path
            if attributes := vars(value):  # set by the program
                self._dict(attributes, path)
            self._add_container(value, (value.dtype, value.requires_grad, *value.shape), path)
        elif isinstance(value, dict | list):
            self._dict(value, path) if isinstance(value, dict) else self._list(value, path)
            if type(value) not in (dict, list):
                self._instance(value, path)
        elif isinstance(value, set):
            self._add_container(value, tuple(value), path)
            self._work += [(item, f"{path}[...]") for item in value]
        elif isinstance(value, _COPIED):
            self._view(functools.partial(_items, value), path)
        elif isinstance(value, bytearray | array.array | memoryview):
            self._buffer(value, path)
        elif isinstance(value, tuple | frozenset):
            self._work += [(item, f"{path}[{i}]") for i, item in enumerate(value)]
        elif isinstance(value, types.FunctionType):
            self._function(value, path)
        elif isinstance(value, types.CellType):
            self._cell(value, path)
        elif isinstance(value, types.ModuleType | type):
            self._spaces.setdefault(id(value), (value, path, set()))
        elif (names := _wrapped_attributes(value)) is not None:
            self._work += [(getattr(value, name), path) for name in names]
        else:
            self._instance(value, path)

    def _dict(self, value: dict[Any, Any], path: str) -> None:
        items = list(dict.items(value))  # a subclass may override items()
        self._add_container(value, tuple(part for item in items for part in item), path)
        for key, item in items:
            key_path = f".{key}" if isinstance(key, str) else "[...]" if isinstance(key, Tensor) else f"[{key!r}]"
            self._work.append((item, path + key_path))

    def _list(self, value: list[Any], path: str) -> None:
        items = list(list.__iter__(value))
        self._add_container(value, tuple(items), path)
        self._work += [(item, f"{path}[{i}]") for i, item in enumerate(items)]

    def _view(self, read: Callable[[], list[Any]], path: str) -> None:
        items = tuple(read())
        self.views.append((read, items, path))
        self._work += [(item, f"{path}[...]") for item in items]

    def _cell(self, cell: types.CellType, path: str) -> None:
        try:
            contents = cell.cell_contents
        except ValueError:  # the cell is empty
            return
        self._add_container(cell, (contents,), path)
        self._work.append((contents, path))

    def _function(self, function: types.FunctionType, path: str) -> None:
        """Record the globals, defaults and closure that a function may read."""
        if hasattr(function, "is_not_guarded"):  # set by flambeau.compiler.disable and assume_constant_result
            return
        if is_library(function.__code__.co_filename):
            wrapped = getattr(function, "__wrapped__", None)
            if wrapped is not None:
                self._work.append((wrapped, path))
            for cell in function.__closure__ or ():  # a library's wrapper may hold a user's function
                self._cell(cell, path)
            return
        if function.__dict__:
            self._work.append((function.__dict__, path))
        if self.executed is not None and function.__code__ not in self.executed:
            return
        for code in _codes(function.__code__):
            self._names.update(code.co_names)
            if _IMPORT_NAME in code.co_code[::2]:
                self._work += [(sys.modules[name], name) for name in code.co_names if name in sys.modules]
            texts = {text for text in code.co_consts if isinstance(text, str)}
            self._texts |= texts
            self._names.update(filter(str.isidentifier, texts))  # strings that the code may pass to getattr()
            names = [n for n in code.co_names if n in function.__globals__ or hasattr(builtins, n)]
            self._entries(function.__globals__, names, function.__module__ or path)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            if id(cell) not in self._seen:
                self._seen[id(cell)] = cell
                self._cell(cell, name)
        self._work += [(function.__defaults__, path), (function.__kwdefaults__, path)]

    def _entries(self, space: Any, names: list[str], path: str) -> None:
        """Guard the entries ``names`` of a dictionary or class, and follow their values."""
        contents = vars(space) if isinstance(space, type) else space
        entries = [(name, contents.get(name, _MISSING)) for name in names]
        if entries:
            self._add_container((space,), tuple(part for entry in entries for part in entry), path)
        self._work += [(value, f"{path}.{name}") for name, value in entries if value is not _MISSING]

    def _follow_names(self) -> None:
        """Guard the attributes of Python modules and classes whose names occur in the code, and follow their values."""
        if self._names & {"environ", "getenv"} and id(os.environ._data) not in self._seen:  # type: ignore[attr-defined]
            self._work.append((os.environ._data, "os.environ"))  # type: ignore[attr-defined]
        for space, path, done in list(self._spaces.values()):
            if isinstance(space, types.ModuleType):
                if _is_library_module(space.__name__):
                    continue
                names = self._names - done
                done |= names
                self._entries(vars(space), sorted(names & vars(space).keys()), space.__name__)
            else:
                self._class(space, path, done)

    def _class(self, cls: type, path: str, done: set[str]) -> None:
        follows_forward = issubclass(cls, Module)  # up to the class that defines it
        for base in cls.__mro__:
            used = {"forward"} if follows_forward else set()
            if not _is_constant(base):
                used |= {name for name in vars(base) if name in self._names or name == "forward" or _is_special(name)}
            keys = {name: f"{id(base)}.{name}" for name in sorted(used)}
            names = [name for name, key in keys.items() if key not in done]
            done.update(keys.values())
            self._entries(base, names, base.__name__)
            follows_forward = follows_forward and "forward" not in vars(base)

    def _buffer(self, value: Any, path: str) -> None:
        read = functools.partial(_bytes, value)
        has_objects = is_numpy_array(value) and value.dtype.hasobject
        size = value.nbytes if hasattr(value, "nbytes") else memoryview(value).nbytes
        if has_objects or size > MAX_BYTES:
            raise UnguardedError(
                f"{path} is an array ({type(value).__name__}), but only arrays of at most {MAX_BYTES} bytes without "
                "Python objects are compared before each call: pass it as a tensor"
            )
        self._view(read, path)

    def _reject(self, problem: str) -> None:
        """Raise UnguardedError if the executed code is known, because it can reach the object. Else store `problem`."""
        if self.executed is not None:
            raise UnguardedError(problem)
        self.problem = problem

    def _instance(self, value: Any, path: str) -> None:
        """Record the attributes of an object. Reject objects whose changes cannot be observed."""
        cls = type(value)
        if hasattr(cls, "is_not_guarded"):  # custom operators
            return
        if is_numpy_array(value):
            self._buffer(value, path)
            return
        # It decorates a function, and each call has a new generator.
        if isinstance(value, contextlib._GeneratorContextManager):
            self._work += [(value.func, path), (value.args, path), (value.kwds, path)]
            return
        if cls is logging.Manager:  # holds all loggers; only ``disable`` matters
            self._entries(vars(value), ["disable"], path)
            return
        if str(cls.__module__).startswith("numpy.random") or isinstance(value, random.Random):
            self._reject(f"{path} is a random generator of Python or NumPy: draw random numbers with flambeau")
        if cls.__module__ in ("builtins", "itertools") and hasattr(cls, "__next__"):
            self._reject(f"{path} is an iterator ({cls.__name__}), which the function may advance: pass its items")
        self._spaces.setdefault(id(cls), (cls, path, set()))
        self._work += [(container, cls.__name__) for container in getattr(cls, "_read_globals", ())]
        attributes = getattr(value, "__dict__", None)
        if type(attributes) is dict and id(attributes) not in self._seen:
            self._seen[id(attributes)] = attributes
            if isinstance(value, Module):
                self._module(attributes, path)
            else:
                self._dict(attributes, path)
        for base in cls.__mro__:
            if slots := _slots(base):
                read = functools.partial(_attributes, value, slots)  # constant in objects of libraries
                if _is_constant(base):
                    self._work += [(member, path) for member in read()]
                else:
                    self._view(read, path)

    def _module(self, attributes: dict[str, Any], path: str) -> None:
        """Guard the attributes of an `nn.Module`. Paths omit the names of its registries, such as ``_parameters``."""
        self._add_container(attributes, tuple(part for item in attributes.items() for part in item), path)
        for name, value in attributes.items():
            registry = name in ("_parameters", "_buffers", "_modules")
            self._work.append((value, path if registry else f"{path}.{name}"))
