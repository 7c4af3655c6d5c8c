"""Tuples, lists and dictionaries within each other, and the places of calls in a program."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flambeau.nn import Module


@dataclass(frozen=True)
class Place:
    """Where a program calls an operator."""

    line: str  # file:line
    module: Any  # the innermost module that runs there, if any

    def __str__(self) -> str:
        return self.line


def place() -> Place:
    """Which line of the program is running, and in which module."""
    frame, module = sys._getframe(1), None
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == "flambeau":
        owner = frame.f_locals.get("self")
        module = module or (owner if isinstance(owner, Module) else None)
        frame = frame.f_back
    owner = frame.f_locals.get("self")
    module = module or (owner if isinstance(owner, Module) else None)
    return Place(f"{frame.f_code.co_filename}:{frame.f_lineno}", module)


class Opaque:
    """What is a list or tuple to programs, and a leaf here."""


def replaced(structure: Any, kind: type | tuple[type, ...], by: Callable[[Any], Any]) -> Any:
    """A structure of tuples, lists, dictionaries and slices with all instances of a type replaced."""
    if isinstance(structure, kind):
        return by(structure)
    if isinstance(structure, Opaque):
        return structure
    if isinstance(structure, tuple | list):
        items = [replaced(item, kind, by) for item in structure]
        return items if isinstance(structure, list) else tuple(items)
    if isinstance(structure, dict):
        return {key: replaced(item, kind, by) for key, item in structure.items()}
    if isinstance(structure, slice):
        return slice(*(replaced(part, kind, by) for part in (structure.start, structure.stop, structure.step)))
    return structure


def leaves(structure: Any, kind: type | tuple[type, ...]) -> list[Any]:
    """All instances of a type in such a structure, in its order."""
    found: list[Any] = []
    replaced(structure, kind, found.append)
    return found
