"""Nested tuples, lists and dictionaries, and source locations of calls."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flambeau._naming import own_name
from flambeau.nn import Module


@dataclass(frozen=True)
class SourceLocation:
    """Source location of an operator call."""

    line: str  # file:line
    module: Any  # innermost running module, or None

    def __str__(self) -> str:
        return self.line


# Frames of these modules belong to the library and are skipped; tracing entry points are skipped as well.
_LIBRARY = ("flambeau._", "flambeau.nn.", "flambeau.jit.", "flambeau.onnx.", "flambeau.autograd.", "flambeau.library.")
_BEGINNINGS = {"flambeau.jit._program", "flambeau.onnx._export"}


def source_location() -> SourceLocation:
    """Return the line of the traced code that is running, and the innermost running module.

    The line is the innermost line outside flambeau. For models in flambeau's packages, such as the vision models, it is
    the innermost line of a method of the model, unless a module from outside flambeau runs.
    """
    frame, module, own = sys._getframe(1), None, None
    inside = True
    while frame.f_back and (name := f"{own_name(frame.f_globals.get('__name__', ''))}.").startswith("flambeau."):
        owner = frame.f_locals.get("self")
        inside = inside and name[:-1] not in _BEGINNINGS
        if isinstance(owner, Module):
            module = module or owner
            if inside and own is None and not name.startswith(_LIBRARY):
                own = frame
        frame = frame.f_back
    owner = frame.f_locals.get("self")
    called_by_module = inside and isinstance(owner, Module)
    module = module or (owner if isinstance(owner, Module) else None)
    found = frame if called_by_module or own is None else own
    return SourceLocation(f"{found.f_code.co_filename}:{found.f_lineno}", module)


def foreign_call() -> tuple[str, str, SourceLocation]:
    """Return the name of the extension call in progress, the reason why it cannot be recorded, and its location."""
    caller = sys._getframe(2).f_globals.get("__name__", "")
    if own_name(caller).partition(".")[0] == "flambeau":  # flambeau's own extension module is the autograd engine
        return (
            "a gradient",
            "programs cannot compute derivatives: trace the function that is differentiated",
            source_location(),
        )
    reason = "it is not a flambeau operator: register it with flambeau.library.extension_op"
    return "a function of an extension module", reason, source_location()


class Opaque:
    """Base class of lists and tuples that the functions below treat as leaves."""


def replaced(structure: Any, kind: type | tuple[type, ...], by: Callable[[Any], Any]) -> Any:
    """Replace each instance ``x`` of ``kind`` in nested tuples, lists, dictionaries and slices with ``by(x)``."""
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


def holds_batches(*structures: Any) -> bool:
    """Return True if an argument is a batched tensor of `flambeau.func.vmap`."""
    placeholders = sys.modules.get("flambeau.func._placeholders")
    return placeholders is not None and bool(leaves(structures, placeholders.BatchedTensor))


def leaves(structure: Any, kind: type | tuple[type, ...]) -> list[Any]:
    """Return all instances of ``kind`` in a nested structure, in order."""
    result: list[Any] = []
    replaced(structure, kind, result.append)
    return result
