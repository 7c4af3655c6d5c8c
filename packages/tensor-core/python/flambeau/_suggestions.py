"""Errors about unknown attributes that suggest the most similar name.

Python itself adds suggestions only to tracebacks that it prints. Notebooks and logs do not show them.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable
from functools import partial
from typing import Any, NoReturn

# Minimum similarity of a suggested attribute, as computed by difflib. For "rleu" and "relu", the similarity is 0.75.
MIN_SIMILARITY = 0.65


class _Owner:
    """Wrapper of the object that lacks an attribute. It lists no names, so Python does not repeat the suggestion."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __dir__(self) -> list[str]:
        return []


class _UnknownAttributeError(AttributeError):
    """AttributeError that computes its suggestion when its text is read, because ``hasattr`` never reads the text."""

    def __str__(self) -> str:
        owner: Any = self.obj
        return f"{self.args[0]}{suggestion(owner.value, str(self.name))}"

    def __reduce__(self) -> tuple[Any, ...]:
        return AttributeError, (str(self),), {"name": self.name}


# Tracebacks print the exception under the name that users know.
_UnknownAttributeError.__name__ = _UnknownAttributeError.__qualname__ = "AttributeError"
_UnknownAttributeError.__module__ = "builtins"


def unknown_attribute(owner: Any, name: str, described: str | None = None) -> AttributeError:
    """Return the error for an attribute that a module or another object lacks.

    Args:
        owner: the object, or the name of an imported module.
        name: the attribute's name.
        described: description of the object in the message (default: its class).

    >>> print(unknown_attribute("flambeau", "zeroes"))
    module 'flambeau' has no attribute 'zeroes'; did you mean 'zeros'?
    """
    if isinstance(owner, str):
        owned = _Owner(sys.modules[owner])
        return _UnknownAttributeError(f"module {owner!r} has no attribute {name!r}", name=name, obj=owned)
    described = described or f"{type(owner).__name__!r}"
    return _UnknownAttributeError(f"{described} object has no attribute {name!r}", name=name, obj=_Owner(owner))


def suggest_names(module: str) -> None:
    """Make errors about unknown attributes of a module suggest a name. The module must not define ``__getattr__``."""
    vars(sys.modules[module])["__getattr__"] = partial(_raise_unknown, module)


def _raise_unknown(module: str, name: str) -> NoReturn:
    raise unknown_attribute(module, name)


def complete(error: AttributeError) -> None:
    """Add a suggestion to an AttributeError that Python raised for an attribute of an object."""
    text, name, owner = str(error), str(error.name), error.obj
    raised_by_python = type(error) is AttributeError and text.endswith(f"has no attribute {name!r}")
    if raised_by_python and (suggested := suggestion(owner, name)):
        error.args, error.obj = (text + suggested,), _Owner(owner)


def suggestion(owner: Any, name: str) -> str:
    """Return ``"; did you mean 'zeros'?"`` for a similar attribute of an object, else an empty string."""
    names: list[str] = []
    with contextlib.suppress(Exception):  # a class's own __dir__ may fail
        names = dir(owner)
    private = name.startswith("_")
    match = nearest(name, (other for other in names if other.startswith("_") == private), MIN_SIMILARITY)
    return f"; did you mean {match!r}?" if match else ""


def nearest(name: str, candidates: Iterable[str], least_similarity: float = 0.6) -> str | None:
    """Return the candidate that is most similar to a name, ignoring case, or None if no candidate is similar.

    >>> nearest("relu", ["ReLU", "SELU"])
    'ReLU'
    """
    from difflib import get_close_matches  # loads slowly, and only an error needs it

    spellings: dict[str, list[str]] = {}
    for candidate in candidates:
        spellings.setdefault(candidate.lower(), []).append(candidate)
    for match in get_close_matches(name.lower(), spellings, n=1, cutoff=least_similarity):
        return max(spellings[match], key=lambda spelling: _matching_letters(spelling, name))
    return None


def _matching_letters(a: str, b: str) -> int:
    return sum(x == y for x, y in zip(a, b, strict=False))
