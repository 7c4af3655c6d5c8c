"""Classes and objects of an archive."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from functools import partial
from types import FunctionType
from typing import Any, NoReturn, cast

from flambeau import Tensor
from flambeau.nn import Module, Parameter

from .._container_types import has_type
from .._program import ScriptModule

_OWN_NAMES = frozenset(name for name in dir(Module()) if name.startswith("_"))  # a file must not set these


class ScriptClass:
    """Class of an archive.

    Args:
        name: dotted name, including the archive's module.
        base: "Module", "Object", "Enum", "NamedTuple" or "Interface".
        attributes: names of declared attributes.
        constants: attributes with the same value in all objects.
    """

    def __init__(self, name: str, base: str, attributes: list[str], constants: Mapping[str, Any]) -> None:
        self.name, self.base, self.attributes, self.constants = name, base, frozenset(attributes), dict(constants)
        self.parameters: frozenset[str] = frozenset()
        self.buffers: frozenset[str] = frozenset()
        self.methods: dict[str, FunctionType] = {}
        self.sources: dict[str, str] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> ScriptClass:
        return self

    @property
    def short_name(self) -> str:
        """Class name without the module."""
        return self.name.rpartition(".")[2]

    def method(self, name: str) -> FunctionType:
        """Return a method.

        Raises: RuntimeError if the method does not exist.
        """
        if name not in self.methods:
            raise RuntimeError(f"the class {self.name!r} of the archive has no method {name!r}")
        return self.methods[name]

    def made(self) -> ScriptObject | RecursiveScriptModule:
        """Return a new object without attributes."""
        return RecursiveScriptModule(self) if self.base == "Module" else ScriptObject(self)


class ScriptObject:
    """Instance of a TorchScript class of an archive, other than a module."""

    __slots__ = ("_class", "_values")

    def __init__(self, kind: ScriptClass) -> None:
        self._class = kind
        self._values: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in self._class.methods:
            return partial(self._class.methods[name], self)
        return get_attribute(self, name)

    def __repr__(self) -> str:
        return f"<flambeau.jit.ScriptObject {self._class.name}>"


class RecursiveScriptModule(ScriptModule):
    """Module of an archive from PyTorch, run on flambeau's operators.

    Parameters, buffers and submodules have the same names as in PyTorch. The methods are the traced or scripted methods
    of the archive.
    """

    def __init__(self, kind: ScriptClass) -> None:
        Module.__init__(self)
        self._class = kind
        self.original_name = kind.short_name
        bound = {name: partial(method, self) for name, method in kind.methods.items() if not hasattr(Module, name)}
        vars(self).update(bound | kind.constants)

    def __len__(self) -> int:
        return int(self._class.method("__len__")(self))

    def __bool__(self) -> bool:
        return True

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the method ``forward`` of the archive."""
        return self._class.method("forward")(self, *args, **kwargs)

    @property
    def code(self) -> str:
        """Source of ``forward`` in the archive."""
        return self._class.sources.get("forward", "")

    graph = inlined_graph = code

    def save(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise NotImplementedError: a program from a TorchScript file cannot be saved."""
        raise NotImplementedError(
            "flambeau.jit.save cannot write a program that was loaded from a TorchScript file of PyTorch: keep that "
            "file, or trace the module with flambeau.jit.trace and save the result"
        )

    def _set(self, state: Mapping[str, Any]) -> None:
        """Set the attributes of a module from the archive."""
        for name, value in state.items():
            if name in _OWN_NAMES:
                if value is None:
                    continue
                raise RuntimeError(f"the archive sets the attribute {name!r} of a module, which is not allowed")
            if isinstance(value, Tensor) and name in self._class.parameters:
                value.__class__ = Parameter  # the same object, because other objects may refer to it
                self.register_parameter(name, cast(Parameter, value))
            elif isinstance(value, Tensor) and name in self._class.buffers:
                self.register_buffer(name, value)
            elif isinstance(value, Module):
                self.add_module(name, value)
            else:
                self.__dict__[name] = value


def set_state(target: Any, state: Any) -> None:
    """Set the attributes of an object from an archive, or call the ``__setstate__`` of its class."""
    if "__setstate__" in target._class.methods:
        target._class.methods["__setstate__"](target, state)
        return
    if not isinstance(state, Mapping) or not all(isinstance(name, str) for name in state):
        raise RuntimeError(
            f"the archive is damaged: expected a dictionary of attributes by name, got {type(state).__name__}"
        )
    if isinstance(target, RecursiveScriptModule):
        target._set(state)
    else:
        target._values.update(state)


def get_attribute(owner: Any, name: str) -> Any:
    """Return an attribute that a class of the archive declares."""
    if isinstance(owner, RecursiveScriptModule | ScriptObject):
        kind = owner._class
        if name in kind.constants:
            return kind.constants[name]
        if name in kind.attributes:
            if isinstance(owner, RecursiveScriptModule):
                return None if name == "_is_full_backward_hook" else getattr(owner, name)
            if name in owner._values:
                return owner._values[name]
    elif name in (("name", "value") if isinstance(owner, enum.Enum) else _fields(owner)):
        return getattr(owner, name)
    raise RuntimeError(
        f"the archive's code reads the attribute {name!r} of {_described(owner)}, which does not declare it"
    )


def _fields(value: Any) -> tuple[str, ...]:
    """Return the names of the fields of a named tuple, and an empty tuple for other values."""
    return getattr(value, "_fields", ()) if isinstance(value, tuple) else ()


def set_attribute(owner: Any, name: str, value: Any) -> None:
    """Set an attribute that a class of the archive declares."""
    if not isinstance(owner, RecursiveScriptModule | ScriptObject) or name not in owner._class.attributes:
        raise RuntimeError(
            f"the archive's code sets the attribute {name!r} of {_described(owner)}, which does not declare it"
        )
    if not isinstance(owner, RecursiveScriptModule):
        owner._values[name] = value
    elif name in owner._parameters or name in owner._buffers:
        setattr(owner, name, value)
    else:
        owner._set({name: value})


def call_method(owner: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    """Call a method of a class of the archive."""
    if not isinstance(owner, RecursiveScriptModule | ScriptObject):
        raise RuntimeError(
            f"the archive's code calls the method {name!r} of {_described(owner)}, which is not an object of it"
        )
    return owner._class.method(name)(owner, *args, **kwargs)


def call(function: Any, *args: Any, **kwargs: Any) -> Any:
    """Call ``function``, the value of a variable. Raises RuntimeError if it is not a function of the archive."""
    if not isinstance(function, FunctionType) or function.__globals__.get("call") is not call:
        raise RuntimeError(f"the archive's code calls {_described(function)}, which is not a function of the archive")
    return function(*args, **kwargs)


class Context:
    """Context manager that calls ``__enter__`` and ``__exit__`` of an archive object."""

    def __init__(self, owner: Any) -> None:
        self._owner = owner

    def __enter__(self) -> Any:
        return call_method(self._owner, "__enter__")

    def __exit__(self, *exception: object) -> None:
        call_method(self._owner, "__exit__", None, None, None)


def new(kind: Any) -> Any:
    """Return a new object of a class of the archive."""
    if not isinstance(kind, ScriptClass):
        raise RuntimeError(
            f"the archive's code creates an instance of {_described(kind)}, which is not a class of the archive"
        )
    return kind.made()


def is_instance(value: Any, kinds: Any) -> bool:
    """Return True if ``value`` has the TorchScript type ``kinds`` or one of a tuple of types."""
    each = kinds if isinstance(kinds, tuple) else (kinds,)
    scripts = [kind for kind in each if isinstance(kind, ScriptClass)]
    if scripts and getattr(value, "_class", None) in scripts:
        return True
    return any(has_type(value, kind) for kind in each if not isinstance(kind, ScriptClass))


def as_number(value: Any) -> Any:
    """Return the element of a one-element tensor; return other values unchanged."""
    return value.item() if isinstance(value, Tensor) else value


def _described(value: Any) -> str:
    return f"a value of type '{type(value).__name__}'"


def checked_range(*args: Any) -> range:
    """Return ``range(*args)``; arguments may be one-element tensors."""
    return range(*(int(arg) for arg in args))


def as_bool(value: Any = False) -> bool:
    """Return ``bool(value)``."""
    return bool(value)


HELPERS: dict[str, Callable[..., Any]] = {
    "as number": as_number,
    "builtin bool": as_bool,
    "builtin complex": complex,
    "builtin float": float,
    "builtin int": int,
    "builtin print": print,
    "builtin range": checked_range,
    "builtin sorted": sorted,
    "builtin str": str,
    "call": call,
    "call method": call_method,
    "context": Context,
    "get attribute": get_attribute,
    "has type": is_instance,
    "new": new,
    "set attribute": set_attribute,
}
