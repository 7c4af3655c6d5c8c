"""Exceptions on their way from a worker to the loader."""

from __future__ import annotations

import importlib
import pickle
import traceback
from collections.abc import Iterator
from typing import Any


class WorkerTraceback(Exception):  # noqa: N818, it is the story of an error
    """The cause of an exception that was raised in a worker; reads as the traceback there."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


def describe(error: BaseException, worker: str) -> tuple[Any, ...]:
    """An exception as something that can be pickled whatever it is; :func:`rebuild` reverses it."""
    error.add_note(f"in {worker}")
    text = "".join(traceback.format_exception(error))
    kind = type(error)
    attributes = {name: value for name, value in error.__dict__.items() if _can_be_pickled(value)}
    arguments = error.args if _can_be_pickled(error.args) else (str(error),)
    whole = pickle.dumps(error) if _can_be_pickled(error) else None
    return whole, kind.__module__, kind.__qualname__, arguments, attributes, text


def rebuild(description: tuple[Any, ...]) -> BaseException:
    """The exception in its own type, caused by a :class:`WorkerTraceback`.

    RuntimeError where its type is not to be found here.
    """
    whole, module, name, arguments, attributes, text = description
    error: BaseException | None = pickle.loads(whole) if whole is not None else None
    if error is None:
        kind = _find(module, name)
        if kind is None:
            error = RuntimeError(f"{name}: {', '.join(map(str, arguments))}")
        else:
            error = kind.__new__(kind, *arguments)
            error.args = arguments
        error.__dict__.update(attributes)
    error.__cause__ = WorkerTraceback(text)
    return error


def _can_be_pickled(value: Any) -> bool:
    # Any class may be met here, and its own code runs: whatever that raises, the answer is no.
    try:
        return type(pickle.loads(pickle.dumps(value))) is type(value)
    except Exception:
        return False


def _find(module: str, name: str) -> type[BaseException] | None:
    """The class of that name; those defined in functions are found among the subclasses of BaseException."""
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        matching = (
            kind for kind in _subclasses(BaseException) if (kind.__module__, kind.__qualname__) == (module, name)
        )
        return next(matching, None)
    return found if isinstance(found, type) and issubclass(found, BaseException) else None


def _subclasses(kind: type[BaseException]) -> Iterator[type[BaseException]]:
    for below in type.__subclasses__(kind):
        yield below
        yield from _subclasses(below)
