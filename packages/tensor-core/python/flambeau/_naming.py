"""Name under which programs import the library: ``flambeau``, or ``torch`` while ``flambeau.torch`` is installed."""

from __future__ import annotations

from types import FunctionType
from typing import Any

from flambeau import _core


def library_name() -> str:
    """Return the name that reprs and error messages begin with.

    >>> library_name()
    'flambeau'
    """
    return _core._library_name()


def own_name(module: str) -> str:
    """Return a module's name in flambeau, even while programs import it by another name.

    >>> own_name("flambeau.linalg"), own_name("numpy.linalg")
    ('flambeau.linalg', 'numpy.linalg')
    """
    name = _core._library_name()
    return f"flambeau{module.removeprefix(name)}" if module.partition(".")[0] == name else module


# Maps functions and classes whose ``__module__`` was replaced by a name of PyTorch to the original ``__module__``.
renamed: dict[Any, str] = {}


def own_module(value: Any) -> str:
    """Return the name, in flambeau, of the module that defines a function or class. Return "" for other values."""
    module = getattr(value, "__module__", None)
    if not isinstance(module, str):
        return ""
    return own_name(renamed.get(value, module) if isinstance(value, type | FunctionType) else module)


def member(name: str, *arguments: Any) -> Any:
    """Return an attribute of ``flambeau._core`` or, with arguments, the result of calling it. Used in pickles.

    >>> member("float32"), member("device", "cpu")
    (flambeau.float32, device(type='cpu'))
    """
    found = getattr(_core, name)
    return found(*arguments) if arguments else found
