"""Schemas of PyTorch's operators, read from the file that ``tools/parity/schemas.py`` writes."""

from __future__ import annotations

import functools
import re
import zlib
from collections import defaultdict
from pathlib import Path

from flambeau.library._function_schema import FunctionSchema

_COMPOSITE = "~"  # prefix of a composite operator, which PyTorch implements with other operators
_USUAL_RESULT = " -> Tensor"  # result type of the lines that do not contain one


@functools.cache
def _lines() -> dict[str, list[str]]:
    by_name = defaultdict(list)
    packed = (Path(__file__).parent / "aten_schemas.txt.gz").read_bytes()
    text = zlib.decompress(packed, wbits=31).decode()  # 31: with a header of gzip
    for line in text.splitlines():
        by_name[re.split(r"[.(]", line.removeprefix(_COMPOSITE), maxsplit=1)[0]].append(line)
    return dict(by_name)


def has(name: str) -> bool:
    """Return True if an operator has schemas."""
    return name in _lines()


def names() -> list[str]:
    """Return the names of the operators that have schemas."""
    return list(_lines())


@functools.cache
def schemas_of(name: str) -> dict[str, FunctionSchema]:
    """Return a dictionary from overload names to the schemas of an operator. "" is the default overload."""
    lines = [line if ") -> " in line else line + _USUAL_RESULT for line in _lines().get(name, ())]
    parsed = [FunctionSchema.parse(f"aten::{line.removeprefix(_COMPOSITE)}") for line in lines]
    return {schema.overload_name: schema for schema in parsed}


@functools.cache
def is_composite(name: str, overload: str) -> bool:
    """Return True if PyTorch implements an overload with other operators (CompositeImplicitAutograd)."""
    start = f"{_COMPOSITE}{name}.{overload}(" if overload else f"{_COMPOSITE}{name}("
    return any(line.startswith(start) for line in _lines().get(name, ()))
