"""Generation of a Python function from a graph."""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import flambeau
from flambeau import Tensor
from flambeau._naming import library_name

from ._names import Namespace, _get_qualified_name, known_names, public_path, type_repr

if TYPE_CHECKING:
    from .graph import Graph
    from .node import Node

TransformCode = Callable[[list[str]], list[str]]

REFLECTABLE = {
    "add": "{} + {}",
    "sub": "{} - {}",
    "mul": "{} * {}",
    "floordiv": "{} // {}",
    "truediv": "{} / {}",
    "div": "{} / {}",
    "mod": "{} % {}",
    "pow": "{} ** {}",
    "lshift": "{} << {}",
    "rshift": "{} >> {}",
    "and_": "{} & {}",
    "or_": "{} | {}",
    "xor": "{} ^ {}",
    "getitem": "{}[{}]",
    "matmul": "{} @ {}",
}
MAGIC = {
    "eq": "{} == {}",
    "ne": "{} != {}",
    "lt": "{} < {}",
    "gt": "{} > {}",
    "le": "{} <= {}",
    "ge": "{} >= {}",
    "pos": "+{}",
    "neg": "-{}",
    "invert": "~{}",
    **REFLECTABLE,
}
IN_PLACE = {
    "iadd": "{} += {}",
    "iand": "{} &= {}",
    "ifloordiv": "{} //= {}",
    "ilshift": "{} <<= {}",
    "imod": "{} %= {}",
    "imul": "{} *= {}",
    "imatmul": "{} @= {}",
    "ior": "{} |= {}",
    "ipow": "{} **= {}",
    "irshift": "{} >>= {}",
    "isub": "{} -= {}",
    "itruediv": "{} /= {}",
    "ixor": "{} ^= {}",
    "setitem": "{}[{}] = {}",
}


@dataclass
class PythonCode:
    """Source of a generated function, and its global variables by name.

    >>> code = fb.fx.symbolic_trace(lambda x: fb.relu(x)).graph.python_code("self")
    >>> print(code.src.strip())
    def forward(self, x):
        relu = flambeau.relu(x);  x = None
        return relu
    """

    src: str
    globals: dict[str, Any]


def path_expression(base: str, path: str) -> str:
    """Return ``base.a.b``, with ``getattr`` for parts that are not identifiers, as in `Sequential`."""
    for part in path.split("."):
        base = f"{base}.{part}" if part.isidentifier() else f'getattr({base}, "{part}")'
    return base


def last_uses(graph: Graph) -> dict[Node, list[Node]]:
    """Return a dictionary from each node to the nodes whose values it is the last to use."""
    seen: set[Node] = set()
    released: dict[Node, list[Node]] = {}
    for user in reversed(graph.nodes):
        for node in user._input_nodes:
            if node not in seen:
                seen.add(node)
                released.setdefault(user, []).append(node)
    return released


class CodeGen:
    """Code generator for the function of a graph; subclasses customise its ``def`` line, its inputs and its result.

    >>> class Listing(fb.fx.CodeGen):
    ...     def generate_output(self, output_args, *, repr_fn=repr):
    ...         return f"return [{repr_fn(output_args)}]"
    >>> traced = fb.fx.symbolic_trace(lambda x: x + 1)
    >>> traced.graph.set_codegen(Listing())
    >>> code = traced.recompile()
    >>> traced(fb.ones(2))
    [tensor([2., 2.])]
    """

    def __init__(self) -> None:
        self._body_transformer: TransformCode | None = None
        self._func_name = "forward"

    def gen_fn_def(self, free_vars: list[str], maybe_return_annotation: str) -> str:
        """Return the ``def`` line, for example ``def forward(self, x):``. ``free_vars`` has the parameters as text."""
        if not free_vars or free_vars[0] != "self":
            free_vars.insert(0, "self")
        return f"def {self._func_name}({', '.join(free_vars)}){maybe_return_annotation}:"

    def generate_output(self, output_args: Any, *, repr_fn: Callable[[Any], str] = repr) -> str:
        """Return the return statement."""
        return f"return {repr_fn(output_args)}"

    def process_inputs(self, *args: Any) -> Sequence[Any]:
        """Convert arguments of the function to inputs of the graph."""
        return args

    def process_outputs(self, outputs: Any) -> Any:
        """Convert the output of the graph to the result of the function."""
        return outputs

    def additional_globals(self) -> list[tuple[str, Any]]:
        """Return further global names of the code and their objects."""
        return []

    def python_code(
        self, graph: Graph, root_module: str, namespace: Namespace, *, verbose: bool, options: dict[str, Any]
    ) -> PythonCode:
        """Return the code of a graph. ``namespace`` creates the names of nodes and global variables."""
        return _Writer(self, graph, root_module, namespace, verbose, options).code()


class _Writer:
    """Code generator state for one graph."""

    def __init__(
        self,
        codegen: CodeGen,
        graph: Graph,
        root_module: str,
        namespace: Namespace,
        verbose: bool,
        options: dict[str, Any],
    ) -> None:
        self.codegen, self.graph, self.root = codegen, graph, root_module
        self.namespace, self.verbose, self.options = namespace, verbose, options
        self.globals: dict[str, Any] = {}
        self.wrapped: dict[str, None] = {}
        self.parameters: list[str] = []
        self.returned = ""

    def code(self) -> PythonCode:
        """Return the source of ``forward`` for the graph, and the global variables that it uses."""
        for name, known in known_names().items():
            self.global_name(name, known.obj)
        done_after = last_uses(self.graph)
        body: list[str] = []
        for node in self.graph.nodes:
            if self.verbose and node.op not in ("placeholder", "output"):
                body += self._source_comment(node)
            if text := self._statement(node):
                body.append(text + self._release_statement(node, done_after) + "\n")
        body = body or ["pass\n"]
        wraps = ""
        if self.wrapped:
            from ._symbolic_trace import wrap

            name = self.global_name("wrap", wrap)
            wraps = "\n".join(f'{name}("{function}")' for function in self.wrapped)
        if self.codegen._body_transformer is not None:
            body = self.codegen._body_transformer(body)
        for name, obj in self.codegen.additional_globals():
            self.global_name(name, obj)
        head = self.codegen.gen_fn_def(self.parameters, self.returned)
        lines = "".join(body).lstrip("\n").split("\n")
        return PythonCode(f"\n{wraps}\n\n{head}\n" + "\n".join(f"    {line}" for line in lines), self.globals)

    # Names

    def global_name(self, hint: str, obj: Any, wrapped: bool = False) -> str:
        """Return the name of an object in generated code. Define the name unless it is a public path of flambeau.

        If ``wrapped`` is True, the name is defined and contains no dots.
        """
        if not wrapped and obj is not flambeau.device and (path := public_path(obj)) is not None:
            return path
        name = self.namespace.create_name(hint, obj)
        self.globals[name] = obj
        return name

    def annotation(self, kind: Any) -> str:
        if kind == ():
            return "()"
        if isinstance(kind, types.UnionType):
            return "|".join(self.annotation(part) for part in typing.get_args(kind))
        if (origin := getattr(kind, "__origin__", None)) is not None:
            origin = _TYPING.get(origin, origin) if type(kind).__module__ == "typing" else origin
            name = self.global_name(type_repr(origin), origin)
            parts = typing.get_args(kind)
            return f"{name}[{','.join(map(self.annotation, parts))}]" if parts else name
        return self.global_name(type_repr(kind), kind)

    def value(self, arg: Any) -> str:
        """Return the source text of an argument."""
        if isinstance(arg, tuple) and hasattr(arg, "_fields"):
            name = self.global_name(_get_qualified_name(type(arg)), type(arg))
            return f"{name}({', '.join(map(self.value, arg))})"
        if isinstance(arg, enum.Enum):
            return f"{self.global_name(type(arg).__name__, type(arg))}.{arg.name}"
        if isinstance(arg, Tensor):
            return f"{library_name()}.Tensor(size={list(arg.shape)}, dtype={str(arg.dtype).rpartition('.')[2]})"
        if isinstance(arg, tuple):
            return f"({', '.join(map(self.value, arg))}{',' if len(arg) == 1 else ''})"
        if isinstance(arg, list):
            return f"[{', '.join(map(self.value, arg))}]"
        if isinstance(arg, dict):
            return f"{{{', '.join(f'{key!r}: {self.value(item)}' for key, item in arg.items())}}}"
        if isinstance(arg, slice):
            return f"slice({self.value(arg.start)}, {self.value(arg.stop)}, {self.value(arg.step)})"
        return repr(arg)

    def arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        return ", ".join([*map(self.value, args), *(f"{key} = {self.value(item)}" for key, item in kwargs.items())])

    # Statements

    def _statement(self, node: Node) -> str:
        """Return the line of Python code for a node."""
        if node.op == "placeholder":
            return self._parameter(node)
        if node.op == "output":
            if node.type is not None:
                self.returned = f" -> {self.annotation(node.type)}"
            return self.codegen.generate_output(node.args[0], repr_fn=self.value)
        target: Any = node.target
        args, kwargs, left = node.args, node.kwargs, f"{node!r}{self._node_annotation(node)} ="
        if node.op == "call_method":
            return f"{left} {path_expression(self.value(args[0]), target)}({self.arguments(args[1:], kwargs)})"
        if node.op == "call_module":
            return f"{left} {path_expression(self.root, target)}({self.arguments(args, kwargs)})"
        if node.op == "get_attr":
            return f"{left} {path_expression(self.root, target)}"
        if getattr(target, "__module__", "") == "_operator":
            operands = [self.value(arg) for arg in args]
            if target.__name__ in MAGIC:
                return f"{left} {MAGIC[target.__name__].format(*operands)}"
            if target.__name__ in IN_PLACE:
                return f"{IN_PLACE[target.__name__].format(*operands)};  {left} {operands[0]}"
        wrapped = node.meta.get("is_wrapped", False)
        name = self.global_name(_get_qualified_name(target), target, wrapped)
        if name == "getattr" and len(args) == 2 and isinstance(args[1], str) and args[1].isidentifier():
            return f"{left} {path_expression(self.value(args[0]), args[1])}"
        if wrapped:
            self.wrapped[name] = None
        return f"{left} {name}({self.arguments(args, kwargs)})"

    def _parameter(self, node: Node) -> str:
        target = str(node.target)
        default = f" = {self.value(node.args[0])}" if node.args else ""
        self.parameters.append(f"{target}{self._node_annotation(node)}{default}")
        raw = target.replace("*", "")
        return f"{node!r} = {raw}" if raw != repr(node) else ""

    def _node_annotation(self, node: Node) -> str:
        known: Any = node.meta.get("val", node.meta.get("tensor_meta")) if self.verbose else None
        if hasattr(known, "dtype") and hasattr(known, "shape"):
            stride = list(known.stride() if callable(known.stride) else known.stride)
            text = f"{_ABBREVIATED.get(known.dtype, known.dtype)}{list(known.shape)}"
            text += str(stride) if self.options.get("include_stride") else ""
            text += str(known.device) if self.options.get("include_device") and hasattr(known, "device") else ""
            return f': "{text}"'
        return "" if node.type is None else f" : {self.annotation(node.type)}"

    def _source_comment(self, node: Node) -> Iterator[str]:
        """Yield a comment with the source line that created the node, if it differs from the previous node's line."""
        lines = (node.stack_trace or "").strip().split("\n")
        text = "No stacktrace found for following nodes"
        if len(lines) >= 2 and lines[-2].strip().startswith("File "):
            file, line, function = lines[-2].strip().removeprefix("File ").split(", ", 2)
            where = f"{file.strip(chr(34))}:{line.removeprefix('line ')} in {function.removeprefix('in ')}"
            text = f"File: {where}, code: {lines[-1].strip()}"
        if text != getattr(self, "_last_source", None):
            self._last_source = text
            yield f"\n# {text}\n"

    # Values are freed after the last node that uses them

    def _release_statement(self, node: Node, done_after: dict[Node, list[Node]]) -> str:
        if node.op in ("placeholder", "output"):
            return ""
        done = [*done_after.get(node, []), *([] if node.users else [node])]
        return f";  {' = '.join(map(repr, done))} = None" if done else ""


_ABBREVIATED = {
    **{getattr(flambeau, f"float{bits}"): f"f{bits}" for bits in (16, 32, 64)},
    **{getattr(flambeau, f"int{bits}"): f"i{bits}" for bits in (8, 16, 32, 64)},
    **{getattr(flambeau, f"uint{bits}"): f"u{bits}" for bits in (8, 16, 32, 64)},
    flambeau.bfloat16: "bf16",
    flambeau.bool: "b8",
    flambeau.complex64: "c64",
    flambeau.complex128: "c128",
}

# Generic types of ``typing`` in place of the built-in ones, as in ``typing.List[int]``.
_TYPING = {list: typing.List, dict: typing.Dict, set: typing.Set, frozenset: typing.FrozenSet, tuple: typing.Tuple}  # noqa: UP006
