"""Operators of programs, and the syntax of names in their text."""

from __future__ import annotations

from collections.abc import Mapping

from flambeau import _core

NATIVE: Mapping[str, int] = _core._program_operators()


def quoted(name: str) -> str:
    """Format a name that follows ``@`` in a program's text. Quote it if it contains special characters."""
    return name if name and not set(name) & set(" ,()[]='#\\\n") else text_of(name)


def text_of(value: str) -> str:
    """Quote a string for a program's text."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"


def missing_of(name: str, count: int) -> str:
    """Return why a program cannot call operator ``name`` with ``count`` arguments, or an empty string."""
    if name not in NATIVE:
        return "programs have no such operator"
    return "" if NATIVE[name] == count else f"programs call it with {NATIVE[name]} arguments, not {count}"
