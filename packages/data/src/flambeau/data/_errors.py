"""Serialisation of the exceptions that a worker sends to the loader."""

from __future__ import annotations

import importlib
import pickle
import traceback
from collections.abc import Iterator
from typing import Any


class WorkerTraceback(Exception):  # noqa: N818, it describes another error
    """Cause of an exception that was raised in a worker. Its text is the worker's traceback."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


def describe(error: BaseException, worker: str) -> tuple[Any, ...]:
    """Return a picklable description of an exception, which :func:`rebuild` converts back to an exception.

    ``worker`` is the description of the worker in a note of the exception.
    """
    error.add_note(f"in {worker}")
    text = "".join(traceback.format_exception(error))
    kind = type(error)
    attributes = {name: value for name, value in error.__dict__.items() if _can_be_pickled(value)}
    arguments = error.args if _can_be_pickled(error.args) else (str(error),)
    whole = pickle.dumps(error) if _can_be_pickled(error) else None
    return whole, kind.__module__, kind.__qualname__, arguments, attributes, text


def rebuild(description: tuple[Any, ...]) -> BaseException:
    """Return an exception of the original type with a :class:`WorkerTraceback` as its cause.

    If the type cannot be found in this process, return a RuntimeError.
    """
    whole, module, name, arguments, attributes, text = description
    error: BaseException | None = pickle.loads(whole) if whole is not None else None
    if error is None:
        kind = _find(module, name)
        if kind is None:
            details = ", ".join(map(str, arguments))
            error = RuntimeError(f"{name}: {details}" if details else name)
        else:
            error = kind.__new__(kind, *arguments)
            error.args = arguments
        error.__dict__.update(attributes)
    error.__cause__ = WorkerTraceback(text)
    return error


def _can_be_pickled(value: Any) -> bool:
    # Pickling runs code of the value's class, which can raise any exception.
    try:
        return type(pickle.loads(pickle.dumps(value))) is type(value)
    except Exception:
        return False


def _find(module: str, name: str) -> type[BaseException] | None:
    """Return an exception class, or None if it is not found.

    A class that is defined in a function is found among the subclasses of BaseException.
    """
    try:
        value: Any = importlib.import_module(module)
        for part in name.split("."):
            value = getattr(value, part)
    except (ImportError, AttributeError):
        matching = (
            kind for kind in _subclasses(BaseException) if (kind.__module__, kind.__qualname__) == (module, name)
        )
        return next(matching, None)
    return value if isinstance(value, type) and issubclass(value, BaseException) else None


def _subclasses(kind: type[BaseException]) -> Iterator[type[BaseException]]:
    for below in type.__subclasses__(kind):
        yield below
        yield from _subclasses(below)
