"""Graphs of operators in files that PyTorch's ``torch.export.save`` writes, as lists of calls."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import flambeau
from flambeau.jit._archive import entry
from flambeau.library._aten import resolve
from flambeau.library._custom_op import registry

# Dictionary from the numbers of dtypes in the file's schema to flambeau's dtypes.
DTYPES: dict[int, Any] = dict(
    enumerate(("uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"), 1)
)
DTYPES |= {10: "complex64", 11: "complex128", 12: "bool", 13: "bfloat16", 28: "uint16", 29: "float8_e4m3fn"}
DTYPES |= {30: "float8_e5m2"}
_LAYOUTS = {1: "sparse_coo", 2: "sparse_csr", 3: "sparse_csc", 7: "strided"}
_MEMORY_FORMATS = {1: "contiguous_format", 2: "channels_last", 3: "channels_last_3d", 4: "preserve_format"}

_SYMBOLIC = ("as_sym_int", "as_sym_float", "as_sym_bool")
_PLAIN = ("as_int", "as_ints", "as_bool", "as_bools", "as_string", "as_strings", "as_int_lists")
_REFERENCES = ("as_tensor", "as_tensors", "as_optional_tensor", "as_optional_tensors", "as_nested_tensors")


class Reference(NamedTuple):
    """Name of a value that the program computes."""

    name: str


class Call(NamedTuple):
    """Operator call. The arguments may contain references and graphs. A result is a reference, or None if unused."""

    target: str
    function: Callable[..., Any]
    args: list[Any]
    kwargs: dict[str, Any]
    results: list[Any]

    def __str__(self) -> str:
        arguments = [
            *map(_argument_text, self.args),
            *(f"{name}={_argument_text(value)}" for name, value in self.kwargs.items()),
        ]
        left = ", ".join(map(_argument_text, self.results))
        return f"{left} = {self.target}({', '.join(arguments)})" if left else f"{self.target}({', '.join(arguments)})"


class Graph:
    """List of calls with inputs and outputs.

    Args:
        described: the JSON description of the graph.
    Raises: NotImplementedError if flambeau lacks an operator; RuntimeError if the description is damaged.
    """

    def __init__(self, described: Any) -> None:
        self.inputs = [_decode_argument(value) for value in entry(described, "inputs")]
        self.outputs = [_decode_argument(value) for value in entry(described, "outputs")]
        self.calls = [_call(node) for node in entry(described, "nodes")]
        self._last = self._last_uses()

    def __call__(self, *values: Any) -> list[Any]:
        """Run the graph on input ``values`` and return the outputs."""
        values_by_name = {
            at.name: value for at, value in zip(self.inputs, values, strict=True) if isinstance(at, Reference)
        }
        for call, done in zip(self.calls, self._last, strict=True):
            args = [_substitute(arg, values_by_name) for arg in call.args]
            kwargs = {name: _substitute(arg, values_by_name) for name, arg in call.kwargs.items()}
            _store(call, call.function(*args, **kwargs), values_by_name)
            for name in done:
                values_by_name.pop(name, None)
        return [_substitute(output, values_by_name) for output in self.outputs]

    def __str__(self) -> str:
        lines = [f"input {_argument_text(value)}" for value in self.inputs]
        return "\n".join([*lines, *map(str, self.calls), f"return {', '.join(map(_argument_text, self.outputs))}"])

    def _last_uses(self) -> list[list[str]]:
        """Return, for each call, the names of the values that no later call uses."""
        seen = {name for output in self.outputs for name in _names(output)}
        last: list[list[str]] = []
        for call in reversed(self.calls):
            used = dict.fromkeys(_names([call.args, [*call.kwargs.values()], call.results]))
            last.append([name for name in used if name not in seen])
            seen.update(used)
        return last[::-1]


def _names(value: Any) -> list[str]:
    if isinstance(value, Reference):
        return [value.name]
    return [name for item in value for name in _names(item)] if isinstance(value, list) else []


def _substitute(arg: Any, values: Mapping[str, Any]) -> Any:
    if type(arg) is Reference:
        if arg.name not in values:
            raise RuntimeError(f"the program in the archive is damaged: it uses {arg.name!r} before it is computed")
        return values[arg.name]
    return [_substitute(item, values) for item in arg] if type(arg) is list else arg


def _store(call: Call, result: Any, values: dict[str, Any]) -> None:
    """Assign the results of a call to the names in the graph."""
    references = call.results
    if len(references) == 1 and isinstance(references[0], list):
        references = references[0]
    elif len(references) == 1 and not isinstance(result, tuple | list):
        result = [result]
    elif not references:
        return
    if not isinstance(result, tuple | list) or len(result) != len(references):
        given = f"{type(result).__name__} of length {len(result)}" if isinstance(result, tuple | list) else "one value"
        raise RuntimeError(f"the program expects {len(references)} results of {call.target}, got {given}")
    for reference, value in zip(references, result, strict=True):
        if isinstance(reference, Reference):
            values[reference.name] = value
        elif isinstance(reference, list):
            values.update(zip((item.name for item in reference), value, strict=True))


def _argument_text(value: Any) -> str:
    if isinstance(value, Reference):
        return value.name
    if isinstance(value, list):
        return f"[{', '.join(map(_argument_text, value))}]"
    return "<graph>" if isinstance(value, Graph) else repr(value)


# Arguments


def _decode_argument(value: Any) -> Any:
    """Decode an argument from the file's JSON; computed values become references."""
    if not isinstance(value, Mapping) or len(value) != 1:
        raise RuntimeError(f"the program in the archive is damaged: {value!r} is not a valid argument")
    ((kind, content),) = value.items()
    if kind == "as_none":
        return None
    if kind in _REFERENCES:
        return _references(content)
    if kind in _SYMBOLIC:
        return _symbol(content)
    if kind.removesuffix("s") in _SYMBOLIC:
        return [_symbol(item) for item in content]
    if kind in _PLAIN:
        return content
    decode = _DECODED.get(kind)
    if decode is None:
        raise NotImplementedError(f"programs with arguments of the kind {kind!r} cannot be read")
    return decode(content)


def _references(content: Any) -> Any:
    if isinstance(content, list):
        return [_references(item) for item in content]
    if "name" in content:
        return Reference(str(content["name"]))
    return _decode_argument(content)


def _symbol(content: Any) -> Any:
    ((kind, value),) = content.items()
    return Reference(str(value)) if kind == "as_name" else value


def _device(content: Any) -> Any:
    kind, index = entry(content, "type"), content.get("index")
    return flambeau.device(kind) if index is None else flambeau.device(kind, index)


def _lookup_in(table: Mapping[int, str], what: str) -> Callable[[Any], Any]:
    def decode(number: Any) -> Any:
        if number not in table or not hasattr(flambeau, table[number]):
            raise NotImplementedError(f"flambeau has no {what} for PyTorch's number {number}")
        return getattr(flambeau, table[number])

    return decode


dtype_of = _lookup_in(DTYPES, "dtype")

_DECODED: dict[str, Callable[[Any], Any]] = {
    "as_complex": lambda content: complex(float(content["real"]), float(content["imag"])),
    "as_device": _device,
    "as_float": float,
    "as_floats": lambda content: [float(item) for item in content],
    "as_graph": lambda content: Graph(entry(content, "graph")),
    "as_layout": _lookup_in(_LAYOUTS, "layout"),
    "as_memory_format": _lookup_in(_MEMORY_FORMATS, "memory format"),
    "as_scalar_type": dtype_of,
}


# Calls


def _call(node: Any) -> Call:
    target = str(entry(node, "target"))
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for described in entry(node, "inputs"):
        value, kind = _decode_argument(entry(described, "arg")), described.get("kind")
        if kind == 1 or (not kind and not kwargs and described.get("name") not in _KEYWORDS):
            args.append(value)
        else:
            kwargs[str(entry(described, "name"))] = value
    results = [_decode_argument(value) for value in entry(node, "outputs")]
    return Call(target, _function(target), args, kwargs, results)


# Keyword arguments in PyTorch's schemas: files from PyTorch before 2.8 do not mark them.
_KEYWORDS = frozenset(("alpha", "approximate", "beta", "correction", "device", "dtype", "generator", "layout"))
_KEYWORDS |= {
    "memory_format",
    "pin_memory",
    "rounding_mode",
    "scale",
    "value",
    "out_dtype",
    "side",
    "right",
    "include_self",
}


def _function(target: str) -> Callable[..., Any]:
    if target in _FUNCTIONS:
        return _FUNCTIONS[target]
    path = target.removeprefix("torch.ops.").split(".")
    if target.startswith("torch.ops.aten.") and len(path) == 3:
        return resolve(f"aten::{path[1]}.{path[2]}" if path[2] != "default" else f"aten::{path[1]}")
    if target.startswith("torch.ops.") and len(path) == 3:
        name = f"{path[0]}::{path[1]}.{path[2]}".removesuffix(".default")
        if name in registry:
            return registry[name]
    raise NotImplementedError(f"flambeau has no operator '{target}', which the program calls")


def _cond(predicate: Any, if_true: Graph, if_false: Graph, operands: Sequence[Any] = ()) -> list[Any]:
    return (if_true if predicate else if_false)(*operands)


def _while_loop(condition: Graph, body: Graph, carried: Sequence[Any], others: Sequence[Any] = ()) -> list[Any]:
    values = list(carried)
    while condition(*values, *others)[0]:
        values = body(*values, *others)
    return values


def _with_grad_mode(enabled: bool, graph: Graph, *operands: Any) -> list[Any]:
    with flambeau.set_grad_enabled(enabled):
        return graph(*operands)


def _if_else(condition: Any, first: Any, second: Any) -> Any:
    return first if condition else second


_NUMBERS = (
    *("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "neg", "and_", "or_", "getitem"),
    *("eq", "ne", "lt", "le", "gt", "ge"),
)
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{f"_operator.{name}": getattr(operator, name) for name in _NUMBERS},
    **{f"math.{name}": getattr(math, name) for name in ("ceil", "floor", "trunc")},
    "builtins.round": round,
    "torch._sym_sqrt": math.sqrt,
    "torch.ops.aten.view.default": flambeau.reshape,  # strides of results may differ from those in PyTorch
    "torch.ops.higher_order.cond": _cond,
    "torch.ops.higher_order.while_loop": _while_loop,
    "torch.ops.higher_order.wrap_with_set_grad_enabled": _with_grad_mode,
    "torch.sym_float": float,
    "torch.sym_int": int,
    "torch.sym_ite": _if_else,
    "torch.sym_max": max,
    "torch.sym_min": min,
    "torch.sym_not": operator.not_,
}
