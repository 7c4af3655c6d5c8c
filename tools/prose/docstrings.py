"""Find the public functions and classes, and check that they have docstrings that begin correctly.

The check reads sources and imports nothing. A method may inherit its docstring, as with `inspect.getdoc`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
Function = ast.FunctionDef | ast.AsyncFunctionDef
ARTICLES = frozenset(["a", "an", "the", "what", "whether", "which", "who", "whose", "where", "when", "how"])
NATIVE = frozenset({"Tensor"})  # C++ classes, whose docstrings are in C++


@cache
def modules() -> dict[str, ast.Module]:
    """Return the modules of the packages by their dotted names."""
    trees = {}
    for top in sorted([*ROOT.glob("packages/*/src"), *ROOT.glob("packages/*/python")]):
        for path in sorted(top.rglob("*.py")):
            name = ".".join(path.relative_to(top).with_suffix("").parts).removesuffix(".__init__")
            trees[name] = ast.parse(path.read_text(encoding="utf-8"))
    return trees


@cache
def classes() -> dict[str, list[ast.ClassDef]]:
    """Return a dictionary from names to the classes of the packages with this name."""
    by_name: dict[str, list[ast.ClassDef]] = {}
    for tree in modules().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                by_name.setdefault(node.name, []).append(node)
    return by_name


def is_private(name: str) -> bool:
    """Return True if a part of a dotted name begins with an underscore."""
    return any(part.startswith("_") for part in name.split("."))


def public_names() -> dict[str, set[str]]:
    """Return the public functions and classes of each module, including objects that a public module imports."""
    names = {name: set(_listed(tree)) for name, tree in modules().items() if not is_private(name)}
    for name, tree in modules().items():
        for node in tree.body if not is_private(name) else ():
            if isinstance(node, ast.ImportFrom):
                _add_imported(names, name, node)
    return names


def _add_imported(names_of: dict[str, set[str]], importer: str, node: ast.ImportFrom) -> None:
    origin = _origin(importer, node)
    if origin not in modules():
        return
    names = {alias.name for alias in node.names if not (alias.asname or alias.name).startswith("_")}
    if "*" in names:
        names = set(_listed(modules()[origin]))
        for inner in modules()[origin].body:  # modules whose names ``origin`` itself re-exports
            if isinstance(inner, ast.ImportFrom):
                _add_imported(names_of, origin, inner)

    names_of.setdefault(origin, set()).update(names)


def _origin(importer: str, node: ast.ImportFrom) -> str:
    """Return the absolute name of the module that an import statement names."""
    if not node.level:
        return node.module or ""
    is_package = any(name.startswith(f"{importer}.") for name in modules())
    parts = importer.split(".")
    parts = parts[: len(parts) - node.level + is_package]
    return ".".join([*parts, *([node.module] if node.module else [])])


def _listed(tree: ast.Module) -> Iterator[str]:
    """Yield the public names of a module: the names in ``__all__``, or if it is missing names without an underscore."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["__all__"]:
            yield from re.findall(r"'(\w+)'", ast.unparse(node.value))
            return
    for node in tree.body:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            yield node.name


def undocumented() -> Iterator[str]:
    """Yield the public functions, classes and methods of the packages without a docstring."""
    for name, public in sorted(public_names().items()):
        for node in modules()[name].body:
            if isinstance(node, Function | ast.ClassDef) and node.name in public:
                yield from (f"{name}.{member}: no docstring" for member in _undocumented(node))


def _undocumented(node: Function | ast.ClassDef) -> Iterator[str]:
    if not ast.get_docstring(node) and not _is_repeated(node):
        yield node.name
    for method in node.body if isinstance(node, ast.ClassDef) else ():
        if not isinstance(method, Function) or method.name.startswith("_") or _is_repeated(method):
            continue
        if not ast.get_docstring(method) and not (isinstance(node, ast.ClassDef) and _inherits(node, method.name)):
            yield f"{node.name}.{method.name}"


def _is_repeated(node: Function | ast.ClassDef) -> bool:
    """Return True for overloads and setters, which need no docstring, because the function or property has it."""
    return any(ast.unparse(each).endswith(("overload", ".setter", ".deleter")) for each in node.decorator_list)


def _inherits(owner: ast.ClassDef, name: str) -> bool:
    """Return True if a base class documents the method or declares an attribute with this name."""
    for base in owner.bases:
        base_name = ast.unparse(base.value if isinstance(base, ast.Subscript) else base).rpartition(".")[2]
        if base_name in NATIVE:
            return True
        for parent in classes().get(base_name, ()):
            if parent is not owner and (_documents(parent, name) or _inherits(parent, name)):
                return True
    return False


def _documents(owner: ast.ClassDef, name: str) -> bool:
    for node in owner.body:
        if isinstance(node, Function) and node.name == name and ast.get_docstring(node):
            return True
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == name:
            return True
    return False


def without_leading_verb(paths: Iterable[Path]) -> Iterator[str]:
    """Yield the functions in Python files with a docstring that starts with an article or a question word."""
    for path in paths:
        if path.suffix != ".py":
            continue
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
            if isinstance(node, Function) and not any("property" in ast.unparse(d) for d in node.decorator_list):
                first, *_ = (ast.get_docstring(node) or "").split(maxsplit=1) or [""]
                if first.lower() in ARTICLES:
                    yield f"{path}:{node.lineno}: the docstring of {node.name} starts with {first!r}, not with a verb"
