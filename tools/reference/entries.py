"""Entries of the reference: functions, classes with their members, and constants."""

from __future__ import annotations

import functools
import inspect
import re
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import flambeau
from tools.reference import docstrings, sources
from tools.reference.modules import Namespace

PROPERTIES = (property, functools.cached_property, types.GetSetDescriptorType, types.MemberDescriptorType)
# The repr of a function that is a default value. Its address would change the reference in each run.
FUNCTION = re.compile(r"<function (?:[\w.<>]*\.)?([\w<>]+) at 0x[0-9a-f]+>")


@dataclass(frozen=True)
class Entry:
    """Documented object: its type, full name, signature, documentation and location of its definition."""

    kind: str
    name: str
    signature: str
    text: str
    source: str | None
    members: list[Entry] = field(default_factory=list)

    @property
    def family(self) -> str:
        """Return the name of the group to which the entry belongs, from the location of its definition."""
        return sources.family(self.source)


def entries(namespace: Namespace) -> Iterator[Entry]:
    """Yield the entries of a public module, sorted by name."""
    names = {**dict.fromkeys(namespace.aliases), **namespace.own}
    for name in sorted(names, key=str.lower):
        full = f"{namespace.name}.{name}"
        if name in namespace.aliases:
            home = namespace.aliases[name]
            yield Entry("alias", full, "", f"Alias of `{home}`.", sources.location(name, attribute(namespace, name)))
        else:
            yield entry(full, name, namespace.own[name])


def attribute(namespace: Namespace, name: str) -> Any:
    """Return an attribute of a public module."""
    return getattr(namespace.module, name)


def entry(full: str, name: str, value: Any) -> Entry:
    """Return the entry of an object with its members."""
    if inspect.isclass(value):
        text = "\n\n".join(filter(None, [docstrings.markdown(value, name), bases(value)]))
        class_members = list(members(full, value))
        return Entry("class", full, signature(value), text, sources.location(name, value), class_members)
    if callable(value):
        text = "\n\n".join(filter(None, [docstrings.markdown(value, name), forms(full, name)]))
        return Entry("function", full, signature(value), text, sources.location(name, value))
    return Entry("data", full, "", constant(value), None)


def constant(value: Any) -> str:
    """Return the description of a constant: its type, and its value if the value is short."""
    shown = repr(value)
    kind = f"Constant of type `{type(value).__name__}`"
    return f"{kind}: `{shown}`." if len(shown) < 80 and "`" not in shown and " at 0x" not in shown else f"{kind}."


def forms(full: str, name: str) -> str:
    """Return a sentence with the method forms of an operator in the module ``flambeau``, or an empty string."""
    if full != f"flambeau.{name}":
        return ""
    methods = [f"`flambeau.Tensor.{each}`" for each in (name, f"{name}_") if hasattr(flambeau.Tensor, each)]
    return f"Method forms: {', '.join(methods)}." if methods else ""


def bases(value: type) -> str:
    """Return a sentence with the base classes of a class, or an empty string."""
    names = [f"`{public_name(base)}`" for base in value.__bases__ if base is not object]
    return f"Base classes: {', '.join(names)}." if names else ""


def public_name(value: type) -> str:
    """Return the name by which users know a class, without private modules and implementation modules."""
    parts = value.__module__.split(".")
    for length in range(1, len(parts) + 1):
        module = sys.modules.get(".".join(parts[:length]))  # type: ignore[attr-defined]
        if vars(module or types.ModuleType("")).get(value.__name__) is value:
            return ".".join([*parts[:length], value.__name__])
    return value.__qualname__


def signature(value: Any) -> str:
    """Return the signature of a callable as text."""
    try:
        found = inspect.signature(value)
    except (TypeError, ValueError):
        return "(...)"
    parameters = [each.replace(annotation=unquoted(each.annotation)) for each in found.parameters.values()]
    returned = unquoted(found.return_annotation)
    # The signature is not validated, because some operators have a required parameter after optional parameters.
    text = str(inspect.Signature(parameters, return_annotation=returned, __validate_parameters__=False))
    return FUNCTION.sub(r"\1", text)


class Annotation:
    """Annotation whose repr is its text without quotes."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def unquoted(annotation: Any) -> Any:
    """Remove the quotes of an annotation, which ``from __future__ import annotations`` converts to a string."""
    return Annotation(annotation) if isinstance(annotation, str) else annotation


def members(full: str, value: type) -> Iterator[Entry]:
    """Yield the public members that a class defines, sorted by name."""
    for name in sorted(vars(value)):
        if name.startswith("_"):
            continue
        member = vars(value)[name]
        found = getattr(value, name, member) if not isinstance(member, functools.cached_property) else member.func
        yield member_entry(f"{full}.{name}", name, member, found)


def member_entry(full: str, name: str, member: Any, value: Any) -> Entry:
    """Return the entry of a member of a class."""
    if isinstance(
        member, property | functools.cached_property | types.GetSetDescriptorType | types.MemberDescriptorType
    ):
        return Entry("property", full, "", docstrings.markdown(value, name), sources.location(name, value))
    if inspect.isclass(value):
        return Entry("class", full, signature(value), docstrings.markdown(value, name), sources.location(name, value))
    if callable(value):
        kind = {classmethod: "classmethod", staticmethod: "staticmethod"}.get(type(member), "method")
        return Entry(kind, full, signature(value), method_text(full, name, value), sources.location(name, value))
    return Entry("attribute", full, "", constant(value), None)


def method_text(full: str, name: str, method: Any) -> str:
    """Return the documentation of a method, or its summary and a link if it is also a function of ``flambeau``."""
    text = docstrings.markdown(method, name)
    function = getattr(flambeau, name.removesuffix("_"), None)
    if full == f"flambeau.Tensor.{name}" and callable(function) and not inspect.isclass(function):
        where = "In-place form" if name.endswith("_") else "Method form"
        return f"{docstrings.summary(text)}\n\n{where} of `flambeau.{name.removesuffix('_')}`."
    return text
