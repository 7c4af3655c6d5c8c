"""The declaration of an operator as text, such as ``scaled(Tensor x, float factor=2.0) -> Tensor``, taken apart."""

from __future__ import annotations

import ast
import inspect
import re
import types
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import flambeau
from flambeau import Tensor

# The types of Python for the names of types in declarations.
_TYPES: dict[str, Any] = {
    "Tensor": Tensor,
    "int": int,
    "SymInt": int,
    "float": float,
    "bool": bool,
    "str": str,
    "Scalar": int | float | bool,
    "ScalarType": flambeau.dtype,
    "Device": flambeau.device,
}
_CONSTANTS = {"true": True, "false": False, "none": None}


@dataclass(frozen=True)
class Declaration:
    """Name, parameters and result of an operator."""

    name: str
    overload: str
    arguments: str  # with the type of the result, as text
    signature: inspect.Signature
    mutated: tuple[str, ...]  # the parameters that are written to

    @classmethod
    def parse(cls, text: str) -> Declaration:
        """Take a declaration apart.

        Raises: RuntimeError for other texts.

        >>> Declaration.parse("add_(Tensor(a!) x, *, float alpha=1.0) -> ()").mutated
        ('x',)
        """
        match = re.fullmatch(r"\s*(?:\w+::)?(\w+)(?:\.(\w+))?\s*(\((.*)\)\s*->\s*(.+?))\s*", text, re.DOTALL)
        if match is None:
            raise RuntimeError(f"expected a declaration such as 'name(Tensor x) -> Tensor', got {text!r}")
        parameters, mutated = list[inspect.Parameter](), list[str]()
        kind: Any = inspect.Parameter.POSITIONAL_OR_KEYWORD
        for part in _parts(match[4]):
            if part == "*":
                kind = inspect.Parameter.KEYWORD_ONLY
                continue
            parameter, written = _parameter(part, kind, text)
            parameters.append(parameter)
            mutated += [parameter.name] * written
        try:
            signature = inspect.Signature(parameters)
        except ValueError as error:
            raise RuntimeError(f"{text!r}: {error}") from None
        return cls(match[1], match[2] or "", " ".join(match[3].split()), signature, tuple(mutated))


def _parts(text: str) -> list[str]:
    """Return the parameters of a list, which are separated by commas outside of brackets."""
    parts, depth, start = [], 0, 0
    for position, character in enumerate(text):
        depth += (character in "([") - (character in ")]")
        if character == "," and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    return [part.strip() for part in (*parts, text[start:]) if part.strip()]


def _parameter(text: str, kind: Any, declaration: str) -> tuple[inspect.Parameter, bool]:
    """Return a parameter, and whether the operator writes to it."""
    match = re.fullmatch(r"(.+?)\s+(\w+)(?:\s*=\s*(.+))?", text, re.DOTALL)
    if match is None:
        raise RuntimeError(f"{declaration!r}: expected a type and a name, got {text!r}")
    default = inspect.Parameter.empty if match[3] is None else _default(match[3])
    return inspect.Parameter(match[2], kind, default=default, annotation=_type(match[1])), "!" in match[1]


def _type(text: str) -> Any:
    """Return the type of Python for a declared type; ``Any`` for one that has no counterpart."""
    plain = re.sub(r"\([a-z]\d*[!]?( -> [\w|*]+)?\)", "", text)
    if plain.endswith("?"):
        return _type(plain[:-1]) | None
    if match := re.fullmatch(r"(.*)\[\d*\]", plain):
        return types.GenericAlias(Sequence, (_type(match[1]),))
    return _TYPES.get(plain, Any)


def _default(text: str) -> Any:
    """Return the value of a default."""
    if text.lower() in _CONSTANTS:
        return _CONSTANTS[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return getattr(flambeau, text, text)
