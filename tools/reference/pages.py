"""From the registry's entries to pages of Markdown."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import flambeau

# Public modules, in the order of the pages.
MODULES = (
    "flambeau",
    "flambeau.special",
    "flambeau.linalg",
    "flambeau.fft",
    "flambeau.masked",
    "flambeau.signal.windows",
    "flambeau.random",
    "flambeau.nn.functional",
    "flambeau.autograd",
)


@dataclass(frozen=True)
class Entry:
    """One function: where it is, how it is called, what it says of itself."""

    name: str
    signature: str
    text: str
    forms: tuple[str, ...]


def entries(module: ModuleType) -> Iterator[Entry]:
    """Yield the public functions of a module, sorted by name."""
    names = getattr(module, "__all__", None) or vars(module)
    for name in sorted(names):
        function = getattr(module, name)
        if not name.startswith("_") and callable(function) and not inspect.isclass(function) and is_own(function):
            yield entry(name, function, module is flambeau)


def is_own(function: Any) -> bool:
    """Return whether a function belongs to this library rather than to an import."""
    return (function.__module__ or "flambeau").startswith("flambeau")


def entry(name: str, function: Any, top: bool) -> Entry:
    """Return the entry of a function; for functions of ``flambeau`` itself, also its method forms."""
    lines = (inspect.getdoc(function) or "").splitlines()
    if lines and lines[0].startswith(f"{name}("):  # the registry puts the signature first
        lines = lines[1:]
    try:
        signature = f"{name}{inspect.signature(function)}"
    except (TypeError, ValueError):
        signature = f"{name}(...)"
    attributes = [each for each in (name, f"{name}_") if top and hasattr(flambeau.Tensor, each)]
    forms = tuple(f"Tensor.{each}" for each in attributes)
    return Entry(name, signature, textwrap.dedent("\n".join(lines)).strip(), forms)


def page(title: str, listed: list[Entry]) -> str:
    """Return the page of a module."""
    contents = " · ".join(f"[{each.name}](#{each.name})" for each in listed)
    return "\n\n".join([f"# {title}", contents, *map(section, listed)]) + "\n"


def section(each: Entry) -> str:
    """Return a function's section of a page, with the examples as code and the rest as text."""
    parts = [f"## {each.name}", f"    {title_of(each.signature)}"]
    for block in each.text.split("\n\n"):
        code = block.lstrip().startswith(">>>") or block.startswith("Args:") or "\n    " in block
        parts.append(textwrap.indent(block, "    ") if code else block.replace("``", "`"))
    if each.forms:
        parts.append(f"Also {', '.join(f'`{form}`' for form in each.forms)}.")
    return "\n\n".join(parts)


def title_of(signature: str) -> str:
    """Wrap a signature to the width of a page."""
    return "\n        ".join(textwrap.wrap(signature, 100, break_long_words=False))


def pages() -> Iterator[tuple[str, list[Entry]]]:
    """Yield every module with its functions."""
    for name in MODULES:
        with contextlib.suppress(ModuleNotFoundError):  # of a distribution that is not installed
            yield name, list(entries(importlib.import_module(name)))
    methods = [
        entry(name, getattr(flambeau.Tensor, name), False)
        for name in sorted(dir(flambeau.Tensor))
        if not name.startswith("_") and callable(getattr(flambeau.Tensor, name))
    ]
    yield "flambeau.Tensor", methods
