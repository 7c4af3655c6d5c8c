"""PyTorch's modules and their names, collected from PyTorch by ``tools/parity/names.py``.

A line of ``interface.txt.gz`` is ``module|classes|functions|values``. A name that another module defines has the form
``name@home``, where ``home`` is that module.
"""

from __future__ import annotations

import functools
import zlib
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

KINDS = ("class", "function", "value")


class Entry(NamedTuple):
    """Properties of a name in a module of PyTorch: class, function or value, and the module that defines it."""

    kind: str
    home: str


@functools.cache
def _lines() -> dict[str, str]:
    packed = (Path(__file__).parent / "interface.txt.gz").read_bytes()
    text = zlib.decompress(packed, wbits=31).decode()  # 31: with a header of gzip
    return {line[: line.index("|")]: line for line in text.splitlines()}


def has_module(name: str) -> bool:
    """Return True if PyTorch has a module.

    >>> has_module("torch.ao.quantization"), has_module("torch.nowhere")
    (True, False)
    """
    return name in _lines()


@functools.cache
def _parents() -> set[str]:
    return {name.rpartition(".")[0] for name in _lines()}


def has_submodules(name: str) -> bool:
    """Return True if a module of PyTorch has submodules."""
    return name in _parents()


@functools.cache
def names_of(module: str) -> dict[str, Entry]:
    """Return a dictionary of the names of a module of PyTorch. It is empty for unknown modules.

    >>> names_of("torch.optim")["Adam"]
    Entry(kind='class', home='torch.optim.adam')
    """
    entries = {}
    for kind, field in zip(KINDS, _lines().get(module, "").split("|")[1:], strict=False):
        for text in field.split():
            name, _, home = text.partition("@")
            entries[name] = Entry(kind, home or module)
    return entries


def submodule_with(package: str, name: str) -> str | None:
    """Return the direct submodule of a package that defines ``name``. A package can import it from there.

    >>> submodule_with("torch.jit", "_get_trace_graph")
    'torch.jit._trace'
    """
    for module in _lines():
        if module.rpartition(".")[0] == package and (entry := names_of(module).get(name)) and entry.home == module:
            return module
    return None


@functools.cache
def _publishers() -> dict[tuple[str, str], list[str]]:
    """Return a dictionary from pairs of defining module and name to the modules that re-export the name."""
    modules = defaultdict(list)
    for module in _lines():
        for name, entry in names_of(module).items():
            if entry.home != module:
                modules[entry.home, name].append(module)
    return modules


def other_modules(module: str, name: str) -> list[str]:
    """Return the other modules of PyTorch that have the same object under the same name.

    >>> other_modules("torch.optim.adam", "Adam")
    ['torch.optim']
    """
    home = names_of(module)[name].home
    return [other for other in (home, *_publishers()[home, name]) if other != module]
