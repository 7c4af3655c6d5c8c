"""Reasons why calls of a compiled function run uncompiled."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CaptureFailure:
    """Reason why a call has no program.

    Attributes:
        text: the reason, with the source line if it is known.
        may_end: True if later calls may have a program: a function that fills its caches changes objects only at first.
        is_allowed_in_fullgraph: True if PyTorch can compile such functions, so that ``fullgraph=True`` only warns.
    """

    text: str
    may_end: bool = False
    is_allowed_in_fullgraph: bool = False


_CHANGES = "the function changes a Python object"
CHANGES_ARGUMENT = CaptureFailure(
    f"{_CHANGES} (argument that is a list, dictionary or other container)", is_allowed_in_fullgraph=True
)
RETURNS_ARGUMENT = CaptureFailure(
    "the function returns a list, dictionary or other container that is an argument", is_allowed_in_fullgraph=True
)


def object_change(what: str) -> CaptureFailure:
    """Return why a call that changes a Python object has no program. ``what`` names the object."""
    return CaptureFailure(f"{_CHANGES} ({what})", may_end=True)
