"""Generate the text of the stubs from the handwritten `classes.pyi.in`, the registry, and the types in `types.toml`."""

from __future__ import annotations

import ast
import inspect
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import flambeau.linalg  # noqa: F401  (registers the named tuple of slogdet)
from flambeau import _core, _distributions, _on_first_use, special

HERE = Path(__file__).parent
CLASSES = (HERE / "classes.pyi.in").read_text()
TYPES = tomllib.loads((HERE / "types.toml").read_text())
TENSOR = CLASSES.partition("\nclass Tensor:\n")[2]
WIDTH = 120
INDENT = "    "  # indentation of methods
OUT = "out: _Optional = None"
ARITHMETIC = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor", "lshift", "rshift")

# Dictionary from names in annotations of Python functions to names in the stub, where bool, int and float are dtypes.
STUB_NAMES = {name: f"_{name}" for name in ("bool", "int", "float", "Any", "Sequence", "Number")}

SPECIAL = "# Written by tools/stubs from the registry: change that, not this file."

UNKNOWN_TYPE = """\
{signature}: the type of {parameter!r} is not known; add it to tools/stubs/types.toml, to [parameter] if the name \
means the same wherever it is used, else to [function]"""


def stub() -> str:
    """Return the text of ``_core.pyi``."""
    text = CLASSES
    entries = [*_core.signatures(), *rows()]
    parts = {
        "return_types": ["\n\n".join(return_types())],
        "operators": list(operators()),
        "methods": sorted(line for entry in entries for line in methods(entry)),
        "constants": sorted(
            f"{name}: {type(value).__name__}"
            for name, value in vars(_core).items()
            if isinstance(value, (_core.layout, _core.memory_format))
        ),
        "dtypes": sorted(f"{name}: dtype" for name, value in vars(_core).items() if isinstance(value, _core.dtype)),
        "functions": sorted(line for entry in entries for line in functions(entry)),
    }
    for mark, lines in parts.items():
        text = re.sub(rf"^ *# <{mark}>$", "\n".join(lines), text, flags=re.MULTILINE)
    return f"{text.rstrip()}\n\n{_exported(_core.__all__)}"


def stub_of_names_on_first_use() -> str:
    """Return the text of ``_on_first_use.pyi``, from which ``flambeau/__init__.py`` imports for type checkers only."""
    modules = {"flambeau": (*_on_first_use.MODULES, *_distributions.SUBPACKAGES), **_on_first_use.NAMES}
    imports = []
    for module in sorted(modules):
        names = "".join(f"    {name},\n" for name in sorted(modules[module]))
        imports.append(f"from {module} import (\n{names})")
    return "\n".join(
        (
            "# Written by tools/stubs from _on_first_use.py and _distributions.py: change them, not this file.",
            *imports,
            "",
            "MODULES: tuple[str, ...]",
            "NAMES: dict[str, tuple[str, ...]]",
            "",
            _exported(name for names in modules.values() for name in names),
        )
    )


def _exported(names: Iterable[str]) -> str:
    lines = "".join(f'    "{name}",\n' for name in sorted(names))
    return f"__all__ = [\n{lines}]\n"


def stub_of_special() -> str:
    """Return the text of ``special.pyi``. The module itself reads its names from the registry when it is imported."""
    native = {id(function): name for name, function in sorted(vars(_core).items())}
    names = {name: native[id(getattr(special, name))] for name in special.__all__}
    imported = "".join(f"    {attribute} as {name},\n" for attribute, name in sorted((a, n) for n, a in names.items()))
    return f"{SPECIAL}\n\nfrom flambeau._core import (\n{imported})\n\n{_exported(names)}"


def rows() -> Iterator[dict[str, Any]]:
    """Yield the signatures of pointwise operators, unless a composite operator of the same name replaces them."""
    composites = {entry["name"] for entry in _core.signatures()}
    for row in _core.pointwise_rows():
        for name in (row["name"], *row["aliases"]):
            if name not in composites and not name.startswith("_"):
                public = not name.startswith("special_")
                forms = {"function": True, "method": public, "inplace": public, "out": True}
                yield {"name": name, "signature": f"{name}({row['signature']})", **forms}


def return_types() -> Iterator[str]:
    """Yield a class for each named tuple that an operator returns."""
    for name, kind in sorted(_core._return_types.items()):
        types = TYPES["field"].get(name, {})
        fields = [f"{INDENT}{field}: {types.get(field, 'Tensor')}" for field in kind.__match_args__]
        yield "\n".join([f"class {camel_case(name)}(_NamedTuple):", *fields])


def camel_case(name: str) -> str:
    """Return the name of an operator's named tuple in the stub, such as ``_LinalgSvd`` for ``linalg_svd``."""
    return "_" + "".join(word.capitalize() for word in name.split("_"))


def functions(entry: dict[str, Any]) -> Iterator[str]:
    """Yield the function of an operator, if it exists and `classes.pyi.in` does not define it."""
    name = entry.get("attribute", entry["name"])
    if entry.get("module", "flambeau") != "flambeau" and entry.get("python"):
        return
    if not hasattr(_core, name) or not (entry["function"] or not entry["method"]) or f"\ndef {name}(" in CLASSES:
        return
    parameters = typed(entry)
    if entry["out"]:
        parameters += [OUT] if any(each.startswith("*") for each in parameters) else ["*", OUT]
    yield definition("", name, parameters, result(entry, "Tensor"))
    if entry["inplace"] and hasattr(_core, f"{name}_"):
        yield definition("", f"{name}_", ["input: Tensor", *typed(entry)[1:]], "Tensor")


def methods(entry: dict[str, Any]) -> Iterator[str]:
    """Yield the method and its in-place form, if they exist and `classes.pyi.in` does not define the method."""
    name = entry["name"]
    if entry["method"] and f"\n{INDENT}def {name}(" not in TENSOR:
        usual = "_Self" if re.fullmatch(r"[a-z].*_", name) else "Tensor"
        yield definition(INDENT, name, ["self", *typed(entry)[1:]], result(entry, usual))
    if entry["inplace"]:
        yield definition(INDENT, f"{name}_", ["self", *typed(entry)[1:]], "_Self")


def operators() -> Iterator[str]:
    """Yield the stubs of the special methods for arithmetic, comparisons and matrix products."""
    for name in ARITHMETIC:
        for prefix, result in (("", "Tensor"), ("r", "Tensor"), ("i", "_Self")):
            if f"__{prefix}{name}__" in vars(_core.Tensor):
                yield definition(INDENT, f"__{prefix}{name}__", ["self", "other: Tensor | _Number"], result)
    for name in ("lt", "le", "gt", "ge"):
        yield definition(INDENT, f"__{name}__", ["self", "other: Tensor | _Number"], "Tensor")
    for name in ("matmul", "rmatmul"):
        yield definition(INDENT, f"__{name}__", ["self", "other: Tensor"], "Tensor")
    for name in ("neg", "pos", "abs", "invert"):
        yield definition(INDENT, f"__{name}__", ["self"], "Tensor")


def typed(entry: dict[str, Any]) -> list[str]:
    """Return the parameters of a signature with their types as text."""
    parsed = ast.parse(f"def {entry['signature']}: ...").body[0]
    assert isinstance(parsed, ast.FunctionDef)
    arguments = parsed.args
    types = TYPES["function"].get(entry.get("attribute", entry["name"]), {})
    types = {**types, **converted(entry, arguments), **annotations(entry)}

    def with_type(argument: ast.arg, default: ast.expr | None) -> str:
        said = stub_annotation(ast.unparse(argument.annotation)) if argument.annotation else None
        kind = said or types.get(argument.arg) or TYPES["parameter"].get(argument.arg)
        if kind is None:
            raise KeyError(UNKNOWN_TYPE.format(signature=entry["signature"], parameter=argument.arg))
        if isinstance(default, ast.Constant) and default.value is None and not may_be_none(kind):
            kind += " | None"
        return f"{argument.arg}: {kind}" + (f" = {ast.unparse(default)}".replace("'", '"') if default else "")

    required = len(arguments.args) - len(arguments.defaults)
    parameters = [with_type(each, None) for each in arguments.args[:required]]
    parameters += map(with_type, arguments.args[required:], arguments.defaults)
    if arguments.vararg:
        parameters.append(f"*{arguments.vararg.arg}: {types.get(arguments.vararg.arg, '_Dims')}")
    elif arguments.kwonlyargs:
        parameters.append("*")
    return [*parameters, *map(with_type, arguments.kwonlyargs, arguments.kw_defaults)]


def converted(entry: dict[str, Any], arguments: ast.arguments) -> dict[str, str]:
    """Return the types of a C++ function's parameters in the registry, by parameter name."""
    names = [each.arg for each in (*arguments.args, arguments.vararg, *arguments.kwonlyargs) if each]
    types = entry.get("types") or [None] * len(names)
    return {name: kind for name, kind in zip(names, types, strict=True) if kind}


def may_be_none(kind: str) -> bool:
    """Return True if a type accepts None."""
    return "None" in kind or kind in ("_Optional", "_Any")


def annotations(entry: dict[str, Any]) -> dict[str, str]:
    """Return the annotations of a Python function's parameters and result, by name."""
    function = entry.get("python")
    given = function.__annotations__ if function else {}
    texts = {name: kind if isinstance(kind, str) else inspect.formatannotation(kind) for name, kind in given.items()}
    return {name: stub_annotation(text) for name, text in texts.items()}


def stub_annotation(text: str) -> str:
    """Return an annotation without module names, and with the names of types that the stub uses."""
    plain = re.sub(r"\b(?:\w+\.)+(?=\w)", "", text)
    return re.sub(r"\b\w+\b", lambda word: STUB_NAMES.get(word[0], word[0]), plain).replace("_int | _float", "_float")


def result(entry: dict[str, Any], usual: str) -> str:
    """Return the type of a function's result."""
    name = entry.get("attribute", entry["name"])
    if name in _core._return_types:
        return camel_case(name)
    return entry.get("result") or TYPES["result"].get(name) or annotations(entry).get("return", usual)


def definition(indent: str, name: str, parameters: list[str], result: str) -> str:
    """Return the stub of a function, with line breaks as in ruff's format."""
    start, arguments, end = f"{indent}def {name}(", ", ".join(parameters), f") -> {result}: ..."
    inner = indent + "    "
    if len(start + arguments + end) <= WIDTH:
        return start + arguments + end
    if len(inner + arguments) > WIDTH:
        arguments = f",\n{inner}".join(parameters) + ","
    return f"{start}\n{inner}{arguments}\n{indent}{end}"
