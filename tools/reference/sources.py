"""Locations of the definitions of objects: a file of the repository and a line."""

from __future__ import annotations

import ast
import functools
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# C++ names an operator or attribute for Python in a signature, in a row of the operator table, or in a method table.
SIGNATURE = re.compile(r'"(\w+)\((?:[a-z*]|\))')
ROW = re.compile(r"^(?!TRAITS|LOOP|SIGNATURE|PART|JOIN)[A-Z_]+\((\w+),")
ATTRIBUTE = re.compile(r'\{"(\w+)",')


def location(name: str, value: Any) -> str | None:
    """Return ``path#Lline`` of the definition of an object, relative to the repository, or None if it is unknown."""
    target = inspect.unwrap(value.fget if isinstance(value, property) and value.fget else value)
    target = getattr(target, "__func__", target)
    code = getattr(target, "__code__", None)
    if code is not None:
        path = repository_path(code.co_filename)
        return path and f"{path}#L{code.co_firstlineno}"
    if inspect.isclass(target):
        path = repository_path(getattr(inspect.getmodule(target), "__file__", None) or "")
        if path is not None:  # line 1 for a class without a class statement
            return f"{path}#L{class_lines(path).get(target.__qualname__, 1)}"
    module = (getattr(target, "__module__", None) or "").rpartition(".")[2]
    return next(filter(None, map(operators().get, (f"{module}_{name}", name, name.removesuffix("_")))), None)


@functools.cache
def repository_path(file: str) -> str | None:
    """Return the path of an installed Python file in the repository."""
    path = Path(file)
    if path.is_relative_to(ROOT / "packages"):
        return path.relative_to(ROOT).as_posix()
    parts = path.parts
    if "flambeau" not in parts:
        return None
    tail = Path(*parts[len(parts) - 1 - parts[::-1].index("flambeau") :])
    if "site-packages" in parts:
        tail = Path(*parts[parts.index("site-packages") + 1 :])
    for source in (*ROOT.glob("packages/*/python"), *ROOT.glob("packages/*/src")):
        if (source / tail).is_file():
            return (source / tail).relative_to(ROOT).as_posix()
    return None


@functools.cache
def class_lines(path: str) -> dict[str, int]:
    """Return a dictionary from the qualified names of the classes in a Python file to their line numbers."""
    lines: dict[str, int] = {}

    def visit(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            inner = prefix
            if isinstance(child, ast.ClassDef):
                lines.setdefault(f"{prefix}{child.name}", child.lineno)
                inner = f"{prefix}{child.name}."
            visit(child, inner)

    visit(ast.parse((ROOT / path).read_text(encoding="utf-8")), "")
    return lines


@functools.cache
def operators() -> dict[str, str]:
    """Return the locations of the operators and tensor attributes by name."""
    places: dict[str, str] = {}
    core = ROOT / "packages/tensor-core"
    for name, place in (
        *matches(core.glob("include/flambeau/**/*.def"), ROW),
        *matches((core / "src").glob("**/*.cpp"), SIGNATURE),
        *matches((core / "bindings").glob("**/*.*"), SIGNATURE),
        *matches((core / "src").glob("**/*.h"), SIGNATURE),
        *matches((core / "bindings/tensor").glob("*.cpp"), ATTRIBUTE),
        *python_operators(),
    ):
        places.setdefault(name, place)
    return places


def matches(files: Iterator[Path], pattern: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    """Yield the names that a pattern finds in files, each with its location."""
    for path in sorted(files):
        if path.suffix in (".cpp", ".h", ".def"):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                for match in pattern.finditer(line):
                    yield match[1], f"{path.relative_to(ROOT).as_posix()}#L{number}"


def python_operators() -> Iterator[tuple[str, str]]:
    """Yield the names and aliases of the operators in Python, each with the location of its definition."""
    for path in sorted((ROOT / "packages/tensor-core/python/flambeau/_operators").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                place = f"{path.relative_to(ROOT).as_posix()}#L{node.lineno}"
                yield node.name, place
                for constant in (each for decorator in node.decorator_list for each in ast.walk(decorator)):
                    if isinstance(constant, ast.Constant) and isinstance(constant.value, str):
                        yield constant.value, place


def family(place: str | None) -> str:
    """Return the name of the group to which a definition belongs: the operators' folder or the file's name."""
    if place is None:
        return "other"
    path = Path(place.partition("#")[0])
    if "operators" in path.parts and path.suffix == ".cpp" and path.parent.name != "operators":
        return path.parent.name
    if path.parts[2] == "bindings":
        return "objects"
    return path.parent.name if path.stem == "__init__" else path.stem.strip("_")
