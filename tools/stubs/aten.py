"""Generate the operators of the headers that C++ extensions include: functions and methods in ATen's types."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flambeau import _core
from tools.stubs import generate

HEADERS = Path(__file__).resolve().parents[2] / "packages/torch/src/flambeau/torch/include/ATen"
HEADER_COMMENT = "// Written by tools/stubs from the registry: change that, not this file.\n"
OPTIONS = ("layout", "device", "requires_grad", "pin_memory")
PREFIXES = {"flambeau.fft": "fft_", "flambeau.linalg": "linalg_"}

# Dictionary from types of parameters in the stub to C++ types.
TYPES = {
    "Tensor": "const Tensor&",
    "Tensor | _Number": "const detail::Operand&",
    "_Number": "const c10::Scalar&",
    "_int": "int64_t",
    "_float": "double",
    "_bool": "bool",
    "_Dims": "detail::Dims",
    "_Dims | None": "const detail::OptionalDims&",
    "_Dims | _bool | None": "const detail::OptionalDims&",
    "_int | _Sequence[_int | None] | None": "detail::Dims",
    "_int | _Sequence[_int]": "detail::Dims",
    "_Dtype": "c10::ScalarType",
    "_MemoryFormat": "c10::MemoryFormat",
    "str": "c10::string_view",
    "_Sequence[Tensor]": "TensorList",
    "Tensor | _Sequence[Tensor]": "TensorList",
    "_Sequence[Tensor | None]": "TensorList",
    "Sequence[Tensor | None]": "TensorList",
    "_Sequence[_float]": "c10::ArrayRef<double>",
    "Tensor | _int": "const detail::Operand&",
    "str | _Dims": "detail::Dims",
    "_float | _Sequence[_float]": "c10::ArrayRef<double>",
}
RESULTS = {
    "Tensor": "Tensor",
    "_Self": "Tensor",
    "tuple[Tensor, Tensor]": "detail::Tensors2",
    "tuple[Tensor, ...]": "std::vector<Tensor>",
    "_bool": "bool",
    "_int": "int64_t",
    "_float": "double",
    "dtype": "c10::ScalarType",
    "None": "void",
}
KEYWORDS = {"default", "operator", "this", "union", "register", "float", "double", "int", "bool", "char", "short",
            "long", "and", "or", "not", "xor"}  # fmt: skip


@dataclass(frozen=True)
class Parameter:
    """Parameter of a C++ function: its declaration without the default, and the default."""

    name: str
    type: str
    default: str | None

    @property
    def declared(self) -> str:
        return f"{self.type} {self.name}"

    def __str__(self) -> str:
        return self.declared if self.default is None else f"{self.declared} = {self.default}"


def headers() -> dict[Path, str]:
    """Return the text of each generated header."""
    entries = list(_core.signatures())
    composites = {entry["name"] for entry in entries}
    functions, methods = list[str](), list[str]()
    for row in _core.pointwise_rows():
        for name in (row["name"], *row["aliases"]):
            if not name.startswith("_") and name not in composites:
                functions += functions_of_row(row, name)
                methods += methods_of_row(row, name)
    for entry in entries:
        name = PREFIXES.get(entry["module"], "") + entry["name"]
        if not entry["name"].startswith("_") and name not in KEYWORDS:
            functions += functions_of(entry, name)
            methods += methods_of(entry, name)
    return {
        HEADERS / "flambeau/functions.inc": text("Functions.h", functions),
        HEADERS / "flambeau/methods.inc": text("core/TensorBody.h", methods),
    }


def text(includer: str, definitions: list[str]) -> str:
    """Return a header with the definitions, except for names that the including header ``includer`` already defines."""
    own = own_names((HEADERS / includer).read_text())
    remaining = sorted({line for line in definitions if name_defined(line).removesuffix("_out") not in own})
    return "\n".join([HEADER_COMMENT + "// clang-format off", *remaining, "// clang-format on\n"])


def own_names(header: str) -> set[str]:
    """Return the names of the functions that a handwritten header defines, directly or with a macro."""
    defined = re.findall(r"^(?:inline |  (?=\w))[\w:<>, &*]*?\b(\w+)\([^;{]*(?:[;{]|$)", header, flags=re.MULTILINE)
    return {*defined, *re.findall(r"^FLAMBEAU_(?:EXTREME|SPREAD)\((\w+)\)", header, flags=re.MULTILINE)}


def name_defined(line: str) -> str:
    """Return the name of the function that a line defines."""
    match = re.search(r"\b(\w+)\(", line)
    assert match
    return match[1]


def default_of(value: ast.expr | None) -> str | None:
    """Return the default value of a parameter in C++ syntax."""
    if value is None:
        return None
    constant = ast.literal_eval(value)
    if constant is None:
        return "c10::nullopt"
    if constant == ():
        return "{}"
    if isinstance(constant, bool):
        return str(constant).lower()
    if isinstance(constant, tuple):
        return "{" + ", ".join(map(str, constant)) + "}"
    return f'"{constant}"' if isinstance(constant, str) else str(constant)


def cpp_type(kind: str, optional: bool) -> str | None:
    """Return the C++ type of a parameter, given its type in the stub, or None if there is no C++ equivalent."""
    if kind == "Generator | None":
        return "c10::nullopt_t"
    if (found := TYPES.get(kind)) is not None and not (optional and not found.endswith(("OptionalDims&", "::Dims"))):
        return found
    inner = TYPES.get(kind.removesuffix(" | None"))
    if inner is None:
        return None
    return f"const c10::optional<{inner.removeprefix('const ').removesuffix('&')}>&"


def parameters(entry: dict[str, Any]) -> tuple[list[Parameter], list[str]] | None:
    """Return the parameters and the names of keyword-only parameters, or None if a type has no C++ equivalent."""
    parsed = ast.parse(f"def {entry['signature']}: ...").body[0]
    assert isinstance(parsed, ast.FunctionDef)
    arguments = parsed.args
    try:
        typed = [each.partition(" = ")[0] for each in generate.typed(entry) if each != "*"]
    except KeyError:
        return None
    kinds = {name.lstrip("*"): kind for name, _, kind in (each.partition(": ") for each in typed)}
    missing = [None] * (len(arguments.args) - len(arguments.defaults))
    listed = list(zip(arguments.args, [*missing, *arguments.defaults], strict=True))
    listed += [(arguments.vararg, None)] if arguments.vararg else []
    listed += list(zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True))
    result = []
    for argument, default in listed:
        kind = kinds[argument.arg]
        optional = isinstance(default, ast.Constant) and default.value is None
        cpp = cpp_type(kind, optional)
        if cpp is None and argument.arg not in OPTIONS:
            return None
        name = argument.arg + "_" * (argument.arg in KEYWORDS)
        result.append(Parameter("self" if not result and name == "input" else name, cpp or "", default_of(default)))
    return result, [each.arg for each in arguments.kwonlyargs]


def result_of(entry: dict[str, Any]) -> str | None:
    """Return the C++ type of an operator's result, or None if it has no C++ equivalent."""
    fields = getattr(_core._return_types.get(entry.get("attribute", entry["name"])), "__match_args__", ())
    if fields and (entry["result"] or "reference" not in entry):
        return f"detail::Tensors{len(fields)}"
    return RESULTS.get(generate.result({**entry, "attribute": ""}, "Tensor"))


def functions_of_row(row: dict[str, Any], name: str) -> Iterator[str]:
    """Yield the C++ code of a pointwise operator's function, its in-place form and the form with ``out``."""
    row_operands = operands(row)
    names = ", ".join(each.name for each in row_operands)
    yield f'inline Tensor {name}({joined(row_operands)}) FLAMBEAU_OF_ROW("{row["name"]}", {names})'
    if not name.startswith("special_"):
        first = ["Tensor& self", *map(str, row_operands[1:])]
        yield f'inline Tensor& {name}_({", ".join(first)}) FLAMBEAU_ROW_IN_PLACE("{row["name"]}", self, {names})'
    yield f"inline Tensor& {name}_out(Tensor& out, {joined(row_operands)}) FLAMBEAU_OUT(at::{name}({names}))"


def methods_of_row(row: dict[str, Any], name: str) -> Iterator[str]:
    """Yield the C++ code of a pointwise operator's method and in-place method."""
    if name.startswith("special_"):
        return
    row_operands = operands(row)[1:]
    names = ", ".join(["*this", *(each.name for each in row_operands)])
    yield f'  Tensor {name}({joined(row_operands)}) const FLAMBEAU_OF_ROW("{row["name"]}", {names})'
    yield f'  Tensor& {name}_({joined(row_operands)}) const FLAMBEAU_ROW_IN_PLACE("{row["name"]}", changed(), {names})'


def operands(row: dict[str, Any]) -> list[Parameter]:
    """Return the operands of a pointwise operator as C++ parameters."""
    parsed = ast.parse(f"def f({re.sub('Tensor [|] Number', 'Tensor', row['signature'])}): ...").body[0]
    assert isinstance(parsed, ast.FunctionDef)
    arguments = parsed.args.args
    defaults = [None] * (len(arguments) - len(parsed.args.defaults)) + list(parsed.args.defaults)
    result = []
    for position, (argument, default) in enumerate(zip(arguments, defaults, strict=True)):
        name = "self" if position == 0 else argument.arg + "_" * (argument.arg in KEYWORDS)
        kind = "const Tensor&" if len(arguments) == 1 or row["has_parameters"] else "const detail::Operand&"
        if position and row["has_parameters"]:
            kind = "const c10::Scalar&"
        result.append(Parameter(name, kind, default_of(default)))
    return result


def functions_of(entry: dict[str, Any], name: str) -> Iterator[str]:
    """Yield the C++ code of an operator's functions: the function itself, its in-place form and its ``out`` form."""
    if not (entry["function"] or not entry["method"]) or name.endswith("_"):
        return
    described, result = parameters(entry), result_of(entry)
    if described is None or result is None:
        return
    own, keywords = described
    if any(each.name in OPTIONS for each in own):
        yield from factories(entry, name, own)
        return
    names = ", ".join(each.name for each in own)
    yield f"inline {result} {name}({joined(own)}) {call(entry, result, names, len(own), keywords)}"
    yield from (f"inline {each}" for each in with_dtype(entry, name, own, ""))
    if entry["inplace"] and "reference" in entry:
        first = ["Tensor& self", *map(str, own[1:])]
        names = ", ".join(["self", *(each.name for each in own[1:])])
        yield f"inline Tensor& {name}_({', '.join(first)}) {change(entry, 'self', names)}"
    if entry["out"] and result == "Tensor":
        passed = ", ".join(each.name for each in own)
        yield f"inline Tensor& {name}_out(Tensor& out, {joined(own)}) FLAMBEAU_OUT(at::{name}({passed}))"


def methods_of(entry: dict[str, Any], name: str) -> Iterator[str]:
    """Yield the C++ code of an operator's methods."""
    if not (entry["method"] or entry["inplace"]) or ("reference" not in entry and not entry["python"]):
        return
    described, result = parameters(entry), result_of(entry)
    if described is None or result is None:
        return
    own, keywords = described[0][1:], described[1]
    if any(each.name in OPTIONS for each in own):
        yield from (f"  {each}" for each in factories(entry, name, described[0]))
        return
    names = ", ".join(["*this", *(each.name for each in own)])
    if name.endswith("_"):
        if "reference" in entry:
            called = f"FLAMBEAU_CALL_IN_PLACE({form(entry)}, {names})"
            yield f"  Tensor& {name}({joined(own)}) const {called}"
        return
    if entry["method"]:
        yield f"  {result} {name}({joined(own)}) const {call(entry, result, names, len(own) + 1, keywords)}"
        yield from (f"  {each}" for each in with_dtype(entry, name, described[0], " const"))
    if entry["inplace"] and "reference" in entry:
        yield f"  Tensor& {name}_({joined(own)}) const {change(entry, 'changed()', names)}"


def with_dtype(entry: dict[str, Any], name: str, own: list[Parameter], ending: str) -> Iterator[str]:
    """Yield the overload of a reduction that reduces all elements and has a dtype as its only option."""
    names = [each.name for each in own]
    if names[1:2] == ["dim"] and names[-1] == "dtype" and own[1].default is not None and not entry["python"]:
        arguments = ", ".join(["*this" if ending else "self", *["c10::nullopt"] * (len(own) - 2), "dtype"])
        arguments = arguments.replace("c10::nullopt, dtype", "false, dtype")
        first = "" if ending else "const Tensor& self, "
        yield f"Tensor {name}({first}c10::ScalarType dtype){ending} {call(entry, 'Tensor', arguments, 0, [])}"


def factories(entry: dict[str, Any], name: str, own: list[Parameter]) -> Iterator[str]:
    """Yield the overloads of a function that creates tensors, with and without the parameters that have defaults."""
    if "reference" not in entry:
        return
    method = entry["method"]
    options = "const c10::TensorOptions& options = {}"
    mine = [each for each in own if each.name not in (*OPTIONS, "dtype", "generator")]
    formats = [each for each in mine if each.name == "memory_format"]
    plain = [each for each in mine if each.name != "memory_format"]
    required = [each for each in plain if each.default is None]
    for chosen in [required] if len(required) == len(plain) else [required, plain]:
        declared = [each.declared for each in chosen[1 if method else 0 :]]
        declared += [options, *(f"{each.type} memory_format = c10::nullopt" for each in formats)]
        values = []
        for each in own:
            if each.name == "dtype":
                values.append("options.dtype_opt()")
            elif each.name == "memory_format":
                values.append("memory_format ? memory_format : options.memory_format_opt()")
            elif each in chosen:
                values.append("*this" if method and each is own[0] else each.name)
            elif each.name not in OPTIONS:
                values.append(each.default or "c10::nullopt")
        start, end = ("", " const") if method else ("inline ", "")
        expression = f"FLAMBEAU_MAKE({form(entry)}, {', '.join(values)})"
        yield f"{start}Tensor {name}({', '.join(declared)}){end} {expression}"


def form(entry: dict[str, Any]) -> str:
    """Return the macro arguments that look up an operator's record: a macro for functions or methods, and the name."""
    alone = entry["method"] and not entry["function"]
    return f'FLAMBEAU_{"METHOD" if alone else "FUNCTION"}, "{entry["attribute"]}"'


def call(entry: dict[str, Any], result: str, names: str, count: int, keywords: list[str]) -> str:
    """Return the body of a function that calls an operator."""
    if "reference" in entry:
        return f"FLAMBEAU_CALL({result}, {form(entry)}, {names})"
    path = f"{entry['module']}.{entry['name']}" if entry["python"] else f"_core.{entry['attribute']}"
    if entry["method"] and not entry["function"]:
        path = f"Tensor.{entry['name']}"
    given = f'"{path.removeprefix("flambeau.")}", {count - len(keywords)}, "{" ".join(keywords)}"'
    return f"FLAMBEAU_CALL_PYTHON({result}, {given}, {names})"


def change(entry: dict[str, Any], self: str, names: str) -> str:
    """Return the body of a function that calls the in-place form of an operator."""
    return f"FLAMBEAU_IN_PLACE({form(entry)}, {self}, {names})"


def joined(own: list[Parameter]) -> str:
    """Return the text of a parameter list for a declaration."""
    return ", ".join(map(str, own))
