"""Schemas of operators in PyTorch's notation, which contain the names, types, defaults and aliasing of arguments.

>>> schema = FunctionSchema.parse("aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor")
>>> schema.name, schema.overload_name, [argument.name for argument in schema.arguments]
('aten::add', 'Tensor', ['self', 'other', 'alpha'])
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

REQUIRED = object()  # marks an argument without a default

_ALIAS = re.compile(r"\(([a-z*|]+)(!)?(?: -> ([^)]*))?\)")
_DECLARATION = re.compile(
    r"(?P<name>[\w:]+)(?:\.(?P<overload>\w+))?(?P<arguments>\(.*\)) -> (?P<returns>.*)", re.DOTALL
)


@dataclass(frozen=True)
class AliasInfo:
    """Names of the memory that an argument or a result shares with others, and whether the operator writes to it."""

    before_set: frozenset[str]
    is_write: bool
    after_set: frozenset[str]


@dataclass(frozen=True)
class Argument:
    """An argument or a result of an operator."""

    name: str
    type: str  # without alias annotations: "Tensor?", "SymInt[2]"
    default_value: Any = None
    kwarg_only: bool = False
    alias_info: AliasInfo | None = None
    required: bool = True

    def has_default_value(self) -> bool:
        """Return True if the argument is optional in a call."""
        return not self.required

    @property
    def is_write(self) -> bool:
        """True if the operator changes the argument."""
        return self.alias_info is not None and self.alias_info.is_write

    @property
    def is_out(self) -> bool:
        """True if the argument is a tensor that receives a result."""
        return self.kwarg_only and self.is_write

    @cached_property
    def base_type(self) -> str:
        """The type without the suffixes for lists and None: ``"int"`` for ``"SymInt[2]?"``."""
        return re.sub(r"[\[\]\d?]+$", "", self.type).replace("SymInt", "int")

    @cached_property
    def is_list(self) -> bool:
        """True if the argument is a list."""
        return "[" in self.type

    @cached_property
    def is_optional(self) -> bool:
        """True if the argument may be None."""
        return self.type.endswith("?")


@dataclass(frozen=True)
class FunctionSchema:
    """The schema of one overload of an operator."""

    name: str
    overload_name: str
    arguments: tuple[Argument, ...]
    returns: tuple[Argument, ...]
    text: str = field(repr=False)

    def __str__(self) -> str:
        return self.text

    @staticmethod
    def parse(text: str) -> FunctionSchema:
        """Parse a schema. Raises: ValueError for invalid text."""
        match = _DECLARATION.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"expected a schema such as 'ns::op(Tensor x) -> Tensor', got {text!r}")
        arguments, keyword_only = [], False
        for part in _split(match["arguments"][1:-1]):
            if part == "*":
                keyword_only = True
            else:
                arguments.append(_argument(part, keyword_only))
        returned = match["returns"].strip()
        inner = returned[1:-1] if returned.startswith("(") else returned
        returns = tuple(_argument(part, False, named=False) for part in _split(inner))
        return FunctionSchema(match["name"], match["overload"] or "", tuple(arguments), returns, text.strip())

    @cached_property
    def is_mutable(self) -> bool:
        """True if the operator changes an argument."""
        return any(argument.is_write for argument in self.arguments)

    @cached_property
    def is_view(self) -> bool:
        """True if a result shares memory with an argument that the operator does not change."""
        return any(each.alias_info is not None and not each.is_write for each in self.returns)

    @cached_property
    def positional(self) -> tuple[Argument, ...]:
        """The arguments that may be given by position."""
        return tuple(argument for argument in self.arguments if not argument.kwarg_only)

    @cached_property
    def by_name(self) -> dict[str, Argument]:
        """The arguments by their names."""
        return {argument.name: argument for argument in self.arguments}


def _split(text: str) -> Iterator[str]:
    """Split a text at commas that are not inside brackets or quotes."""
    depth, start, quoted = 0, 0, False
    for i, letter in enumerate(text):
        if letter in "\"'":
            quoted = not quoted
        elif letter in "([" and not quoted:
            depth += 1
        elif letter in ")]" and not quoted:
            depth -= 1
        elif letter == "," and depth == 0 and not quoted:
            yield text[start:i].strip()
            start = i + 1
    if text[start:].strip():
        yield text[start:].strip()


def _argument(text: str, keyword_only: bool, named: bool = True) -> Argument:
    declaration, equals, default = text.partition("=")
    bare = _ALIAS.sub("", declaration)
    bare = bare.strip()
    nameless = " " not in bare or bare.endswith(")")  # for example the result "Dict(str, Tensor)"
    type_, _, name = (bare, "", "") if nameless else bare.rpartition(" ")
    if named and not name:
        raise ValueError(f"expected a type and a name, got {text!r}")
    annotation = _ALIAS.search(declaration)
    alias = None
    if annotation is not None:
        before = frozenset(annotation[1].split("|"))
        after = frozenset(annotation[3].split("|")) if annotation[3] else before
        alias = AliasInfo(before, annotation[2] is not None, after)
    return Argument(name, type_.strip(), _value(default) if equals else None, keyword_only, alias, not equals)


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError):
        return text.strip()  # for example the name of a memory format
