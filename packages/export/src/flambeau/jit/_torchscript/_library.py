"""Classes and functions in an archive's ``code/``."""

from __future__ import annotations

import ast
import enum
from typing import Any

from .._archive import Archive, named_tuple
from ._objects import HELPERS, ScriptClass
from ._operators import operator
from ._source import Translator, compiled, parsed, path_of, rejected

_BASES = ("Module", "Enum", "NamedTuple", "Interface", "ModuleInterface")


class Library:
    """Collection of the classes and functions of an archive, which it finds by their dotted names.

    Args:
        archive: the archive.
        constants: the values of ``CONSTANTS.c0``, ``CONSTANTS.c1`` and so on.
        version: operator version of the archive.
    Raises: RuntimeError for code that TorchScript cannot generate.
    """

    def __init__(self, archive: Archive, constants: tuple[Any, ...], version: int) -> None:
        self._version = version
        self._variables: dict[str, Any] = {"__builtins__": {}, **HELPERS}
        self._constants = {f"CONSTANTS.c{i}": value for i, value in enumerate(constants)}
        self.found: dict[str, Any] = {}  # classes and functions
        self._enums: dict[str, Any] = {}  # members of enumerations
        files = {name: parsed(archive.text(name), name) for name in archive.below("code/", ".py")}
        texts = {name: archive.text(name) for name in files}
        waiting: list[tuple[str, str, Any, dict[str, ast.FunctionDef], dict[str, str]]] = []
        for file, module in files.items():
            prefix = file.removeprefix("code/").removesuffix(".py").replace("/", ".")
            for node in module.body:
                if isinstance(node, ast.ClassDef):
                    waiting.append(self._declare(file, f"{prefix}.{node.name}", node, texts[file]))
                elif isinstance(node, ast.FunctionDef):
                    self.found[f"{prefix}.{node.name}"] = _LateFunction(f"{prefix}.{node.name}", self)
                    waiting.append((file, f"{prefix}.{node.name}", None, {node.name: node}, {}))
                else:
                    raise rejected(node, f"the statement {type(node).__name__}")
        for file, name, kind, methods, sources in waiting:
            self._define(file, name, kind, methods, sources)

    def known(self, name: str) -> Any:
        """Return the operator, function, class or constant for a dotted name in the archive's code.

        Raises: RuntimeError if the name is not defined.
        """
        root, _, rest = name.partition(".")
        if root in ("torch", "ops"):
            return operator(rest if root == "ops" else f"aten.{rest}", self._version)
        for table in (self._constants, self.found, self._enums):
            if name in table:
                return table[name]
        if name.startswith("__torch__.torch.classes."):
            raise NotImplementedError(f"flambeau has no class '{name}', which the archive uses")
        raise RuntimeError(f"the archive is damaged: its code uses '{name}', which it does not define")

    def _declare(self, file: str, name: str, node: ast.ClassDef, text: str) -> Any:
        """Declare a class and its attributes. Return the data from which its methods are translated."""
        base = "Object"
        if node.bases:
            base = node.bases[0].id if isinstance(node.bases[0], ast.Name) else ""
        if (node.bases and base not in _BASES) or len(node.bases) > 1 or node.keywords or node.decorator_list:
            raise rejected(node, f"an unknown base or a decorator for the class '{node.name}'")
        body = _ClassBody(node)
        cls: Any
        if base == "Enum":
            enumeration: Any = enum.Enum
            cls = enumeration(node.name, body.values)
            self._enums |= {f"{name}.{member.name}": member for member in cls}
        elif base == "NamedTuple":
            cls = named_tuple(node.name, body.attributes, list(body.values.values()))
        else:
            cls = ScriptClass(name, base, body.attributes, body.constants)
            cls.parameters, cls.buffers = frozenset(body.parameters), frozenset(body.buffers)
        self.found[name] = cls
        translated = {} if "Interface" in base else body.methods
        sources = {each: ast.get_source_segment(text, method) or "" for each, method in translated.items()}
        return file, name, cls, translated, sources

    def _define(
        self, file: str, name: str, kind: Any, methods: dict[str, ast.FunctionDef], sources: dict[str, str]
    ) -> None:
        translated = {
            each: Translator(method, self.known, self._variables).translated() for each, method in methods.items()
        }
        made = compiled(translated, file, self._variables)
        if isinstance(kind, ScriptClass):
            kind.methods, kind.sources = made, sources
        elif kind is None:
            (self.found[name].function,) = made.values()
            self._variables[name] = self.found[name].function
            self.found[name] = self.found[name].function


class _LateFunction:
    """Placeholder for a function until it is compiled, since functions can refer to later functions."""

    def __init__(self, name: str, library: Library) -> None:
        self.name, self.library = name, library
        self.function: Any = None


class _ClassBody:
    """Declarations in the body of a class of an archive.

    Attributes:
        attributes: names of the attributes.
        constants: values of ``Final`` attributes.
        values: members of an enumeration and defaults of a named tuple.
    """

    def __init__(self, node: ast.ClassDef) -> None:
        self.attributes: list[str] = []
        self.constants: dict[str, Any] = {}
        self.values: dict[str, Any] = {}
        self.parameters: list[str] = []
        self.buffers: list[str] = []
        self.methods: dict[str, ast.FunctionDef] = {}
        for statement in node.body:
            self._read(statement)

    def _read(self, statement: ast.stmt) -> None:
        """Store the declaration of a statement in the list or dictionary of its kind."""
        match statement:
            case ast.FunctionDef(name=name):
                self.methods[name] = statement
            case ast.AnnAssign(target=ast.Name(id=name), value=None):
                self.attributes.append(name)
            case ast.AnnAssign(target=ast.Name(id=name), annotation=kind, value=ast.expr() as value):
                is_final = isinstance(kind, ast.Subscript) and path_of(kind.value) == ["Final"]
                (self.constants if is_final else self.values)[name] = _literal(value)
                self.attributes.append(name)
            case ast.Assign(targets=[ast.Name(id="__parameters__")], value=value):
                self.parameters = [str(name) for name in _literal(value)]
            case ast.Assign(targets=[ast.Name(id="__buffers__")], value=value):
                self.buffers = [str(name) for name in _literal(value)]
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                self.values[name] = _literal(value)
            case ast.Assign(
                targets=[ast.Subscript(value=ast.Name(id="__annotations__"), slice=ast.Constant(value=str() as name))]
            ):
                self.attributes.append(name)
            case ast.Pass():
                pass
            case _:
                raise rejected(statement, f"the statement {type(statement).__name__} in a class")


def _literal(node: ast.expr) -> Any:
    """Return the value of a constant expression in a class body."""
    if isinstance(node, ast.Call) and path_of(node.func) == ["annotate"] and len(node.args) == 2:
        node = node.args[1]
    if isinstance(node, ast.Name) and node.id in ("inf", "nan"):
        return float(node.id)
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError) as error:
        raise rejected(node, f"a constant that is not a literal ({error})") from None
