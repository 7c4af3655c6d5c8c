"""Proxies: symbolic values during tracing. Operations on proxies become nodes of a graph."""

from __future__ import annotations

import copy
import dataclasses
import dis
import enum
import inspect
import operator
import traceback
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from types import FrameType
from typing import Any, NoReturn, TypeVar

import flambeau
from flambeau import Tensor

from . import _functions
from ._codegen import MAGIC, REFLECTABLE
from ._source_locations import caller, source_line, user_stack
from .graph import Graph
from .node import Argument, Node, Target, base_types, map_aggregate, map_arg

__all__ = ["Attribute", "GraphAppendingTracer", "ParameterProxy", "Proxy", "Scope", "TraceError", "TracerBase"]

NOT_CONTROL_FLOW = "symbolically traced variables cannot be used as inputs to control flow"
E = TypeVar("E", bound=BaseException)

NOT_ITERABLE = (
    "Proxy object cannot be iterated. This can be attempted when the Proxy is used in a loop or as a *args or **kwargs "
    "function argument. See the torch.fx docs on pytorch.org for a more detailed explanation of what types of control "
    "flow can be traced, and check out the Proxy docstring for help troubleshooting Proxy iteration errors"
)
NO_LENGTH = (
    "'len' is not supported in symbolic tracing by default. If you want this call to be recorded, please call "
    "torch.fx.wrap('len') at module scope"
)
NODE_AS_KEY = "Keys for dictionaries used as an argument cannot contain a Node. Got key: {}"


class TraceError(ValueError):
    """Error for a program that branches on a symbolic value. A note of the exception names the line.

    >>> fb.fx.symbolic_trace(lambda x: x if x.sum() > 0 else -x)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    flambeau.fx.proxy.TraceError: symbolically traced variables cannot be used as inputs to control flow...
    """


class Scope:
    """Path and class of the module that is being traced.

    >>> tracer = fb.fx.Tracer()
    >>> graph = tracer.trace(nn.Sequential(nn.ReLU()))
    >>> tracer.node_name_to_scope["_0"][0], tracer.scope.module_path
    ('0', '')
    """

    def __init__(self, module_path: str, module_type: Any) -> None:
        self.module_path, self.module_type = module_path, module_type


@contextmanager
def entered(scope: Scope, current: Scope) -> Iterator[Scope]:
    """Set ``scope`` to ``current`` in this context."""
    former = scope.module_path, scope.module_type
    scope.module_path, scope.module_type = current.module_path, current.module_type
    try:
        yield scope
    finally:
        scope.module_path, scope.module_type = former


class TracerBase:
    """Base class of tracers: creates nodes of a graph and proxies for their values.

    Attributes:
        record_stack_traces: if True, record the source lines of nodes (`Node.stack_trace`).
        trace_asserts: if True, ``assert`` of a traced value becomes a node.
        proxy_buffer_attributes: if True, buffers become nodes when they are read.
        traced_func_name: name of the module's method to trace.

    >>> class Named(fb.fx.proxy.GraphAppendingTracer):
    ...     def create_node(self, *args, **kwargs):
    ...         node = super().create_node(*args, **kwargs)
    ...         node.meta["author"] = "me"
    ...         return node
    >>> graph = fb.fx.Graph()
    >>> y = fb.fx.Proxy(graph.placeholder("x"), Named(graph)).relu()
    >>> y.node.meta["author"]
    'me'
    """

    graph: Graph
    scope: Scope
    module_stack: OrderedDict[str, tuple[str, Any]]
    node_name_to_scope: dict[str, tuple[str, Any]]
    record_stack_traces: bool = False
    check_mutable_operations: bool = False
    trace_asserts: bool = False
    proxy_buffer_attributes: bool = False
    traced_func_name: str = "forward"

    def create_node(
        self,
        kind: str,
        target: Target,
        args: tuple[Argument, ...],
        kwargs: dict[str, Argument],
        name: str | None = None,
        type_expr: Any = None,
    ) -> Node:
        """Create a node. Subclasses can override this method to check, annotate or change nodes."""
        if self.check_mutable_operations and kind == "call_function":
            _reject_mutation(target, kwargs)
        node = self.graph.create_node(kind, target, args, kwargs, name, type_expr)
        self.node_name_to_scope[node.name] = (self.scope.module_path, self.scope.module_type)
        if self.module_stack:
            node.meta["nn_module_stack"] = copy.copy(self.module_stack)
        if self.record_stack_traces and (stack := user_stack()):
            node.stack_trace = "".join(traceback.format_list(stack)).strip()
        return node

    def proxy(self, node: Node) -> Proxy:
        """Return a proxy for the value of a node."""
        return Proxy(node, self)

    def create_proxy(
        self,
        kind: str,
        target: Target,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        name: str | None = None,
        type_expr: Any = None,
        proxy_factory_fn: Callable[[Node], Proxy] | None = None,
    ) -> Proxy:
        """Create a node from arguments that may be proxies. Return a proxy for its value."""
        node = self.create_node(kind, target, self.create_arg(args), self.create_arg(kwargs), name, type_expr)
        return self.proxy(node) if proxy_factory_fn is None else proxy_factory_fn(node)

    def create_arg(self, a: Any) -> Argument:
        """Convert an argument for a node: proxies become nodes, constants are unchanged.

        Raises: NotImplementedError for a value that a graph cannot contain.
        """
        kind = type(a)
        if kind is tuple or kind is list:
            return kind(map(self.create_arg, a))
        if isinstance(a, Proxy):
            return a.node
        if hasattr(a, "__fx_create_arg__"):
            return a.__fx_create_arg__(self)
        if isinstance(a, tuple):
            items = [self.create_arg(item) for item in a]
            return kind(*items) if hasattr(a, "_fields") else kind(items)
        if isinstance(a, list):
            return [self.create_arg(item) for item in a]
        if isinstance(a, dict):
            return {self._create_key(key): self.create_arg(value) for key, value in a.items()}
        if isinstance(a, slice):
            return slice(self.create_arg(a.start), self.create_arg(a.stop), self.create_arg(a.step))
        if isinstance(a, range):
            return range(self.create_arg(a.start), self.create_arg(a.stop), self.create_arg(a.step))
        if isinstance(a, (*base_types, enum.Enum)) or a is None or a is ...:
            return a
        if dataclasses.is_dataclass(a) and not isinstance(a, type):
            fields = {field.name: self.create_arg(getattr(a, field.name)) for field in dataclasses.fields(a)}
            return self.create_node("call_function", kind, (), fields)
        raise NotImplementedError(f"argument of type: {kind}")

    def _create_key(self, key: Any) -> Any:
        if isinstance(key, str):
            return key

        def reject(node: Node) -> NoReturn:
            raise RuntimeError(NODE_AS_KEY.format(node))

        made = self.create_arg(key)
        map_arg(made, reject)
        return made

    # Control flow on traced values

    def to_bool(self, obj: Proxy) -> bool:
        """Handle the conversion of a proxy to bool. Raises TraceError. Override this method if the value is known."""
        raise _untraceable(NOT_CONTROL_FLOW)

    def iter(self, obj: Proxy) -> Iterator[Any]:
        """Handle iteration over a proxy. Raises TraceError."""
        raise _untraceable(NOT_ITERABLE)

    def keys(self, obj: Proxy) -> Proxy:
        """Handle ``**obj`` and the method ``keys``."""
        return Attribute(obj, "keys")()


class GraphAppendingTracer(TracerBase):
    """Tracer that appends nodes to an existing graph.

    >>> from flambeau.fx.proxy import GraphAppendingTracer
    >>> graph = fb.fx.Graph()
    >>> x = fb.fx.Proxy(graph.placeholder("x"), GraphAppendingTracer(graph))
    >>> output = graph.output((x.relu() + 1).node)
    >>> [node.name for node in graph.nodes]
    ['x', 'relu', 'add', 'output']
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.scope = Scope("", None)
        self.module_stack = OrderedDict()
        self.node_name_to_scope = {}


class Proxy:
    """Symbolic value of a node. Arithmetic, methods, functions and indexing create further nodes.

    A proxy cannot be iterated over or converted to bool: ``if``, ``while``, ``for`` and ``*args`` raise `TraceError`.
    Either `wrap` the function that contains such code, or iterate over known values, as in
    ``for i in range(self.layers): x = inputs[i]``.

    Args:
        node: the node.
        tracer: the tracer that creates nodes. None: a tracer that appends nodes to the graph of ``node``.

    >>> graph = fb.fx.Graph()
    >>> x = fb.fx.Proxy(graph.placeholder("x"))
    >>> fb.relu(x + 1)
    Proxy(relu)
    >>> [node.name for node in graph.nodes]
    ['x', 'add', 'relu']
    """

    def __init__(self, node: Node, tracer: TracerBase | None = None) -> None:
        self.tracer = GraphAppendingTracer(node.graph) if tracer is None else tracer
        self.node = node

    def __repr__(self) -> str:
        return f"Proxy({self.node.name})"

    def __getattr__(self, k: str) -> Attribute:
        return Attribute(self, k)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ = state

    def __deepcopy__(self, memo: dict[int, Any]) -> Proxy:
        return type(self)(self.node, self.tracer) if type(self) is Proxy else copy.copy(self)

    def __call__(self, *args: Any, **kwargs: Any) -> Proxy:
        return self.tracer.create_proxy("call_method", "__call__", (self, *args), kwargs)

    def __iter__(self) -> Iterator[Any]:
        frame = inspect.currentframe()
        instruction = _instruction(frame and frame.f_back)
        if instruction is not None and instruction.opname == "UNPACK_SEQUENCE":
            return (self[i] for i in range(instruction.argval))  # type: ignore[index]
        return self.tracer.iter(self)

    def __abs__(self) -> Proxy:
        return self.tracer.create_proxy("call_function", operator.abs, (self,), {})

    def __bool__(self) -> bool:
        if self.tracer.trace_asserts:
            frame = inspect.currentframe()
            if _is_assertion(frame and frame.f_back):
                self.tracer.create_proxy("call_function", assert_fn, (self,), {})
                return True
        return self.tracer.to_bool(self)

    def keys(self) -> Proxy:
        """Return the keys of a symbolic dictionary. ``**`` also calls this method."""
        return self.tracer.keys(self)

    def __len__(self) -> int:
        raise _located(RuntimeError(NO_LENGTH))

    @classmethod
    def __torch_function__(cls, orig_method: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tracers: dict[int, TracerBase] = {}

        def collect(value: Any) -> Any:
            if isinstance(value, Proxy):
                tracers[id(value.tracer)] = value.tracer
            return value

        map_aggregate((args, kwargs), collect)
        if len(tracers) > 1:
            raise RuntimeError(
                f"Found multiple different tracers {list(tracers.values())} while trying to trace operations "
                f"{orig_method}"
            )
        tracer = next(iter(tracers.values()))
        if (definition := getattr(orig_method, "definition", None)) is not None:  # for operators of flambeau.library
            return tracer.create_proxy("call_function", definition, args, kwargs, name=definition.__name__)
        if orig_method.__name__ in ("__get__", "__set__"):
            return tracer.create_proxy("call_function", getattr, (args[0], orig_method.__self__.__name__), {})
        if _functions.is_only_method(orig_method, args):
            return tracer.create_proxy("call_method", orig_method.__name__, args, kwargs)
        args, kwargs = _functions.normalized_arguments(orig_method, args, kwargs)
        name = tracer.graph._target_to_str(orig_method.__name__)
        return tracer.create_proxy("call_function", orig_method, args, kwargs, name=name)


def assert_fn(x: Any) -> None:
    """Raise AssertionError unless ``x`` is true."""
    if not x:
        raise AssertionError("Assertion failed")


class Attribute(Proxy):
    """Attribute of a symbolic value. It becomes a node unless it is called as a method.

    >>> x = fb.fx.Proxy(fb.fx.Graph().placeholder("x"))
    >>> type(x.shape).__name__, x.shape.node, x.sum()
    ('Attribute', getattr_1, Proxy(sum_1))
    """

    def __init__(self, root: Proxy, attr: str) -> None:
        self.root, self.attr, self.tracer = root, attr, root.tracer
        self._node: Node | None = None

    @property
    def node(self) -> Node:  # type: ignore[override]
        """Node, created on first access."""
        if self._node is None:
            self._node = self.tracer.create_proxy("call_function", getattr, (self.root, self.attr), {}).node
        return self._node

    def __call__(self, *args: Any, **kwargs: Any) -> Proxy:
        return self.tracer.create_proxy("call_method", self.attr, (self.root, *args), kwargs)


class ParameterProxy(Proxy):
    """Proxy of a parameter with known sizes, on which a program can branch.

    >>> class Model(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.weight = nn.Parameter(fb.ones(2))
    ...
    ...     def forward(self, x):
    ...         return x * self.weight if self.weight.shape[0] > 1 else x
    >>> graph = fb.fx.Tracer(param_shapes_constant=True).trace(Model())
    >>> [node.name for node in graph.nodes]
    ['x', 'weight', 'mul', 'output']
    """

    def __init__(self, tracer: TracerBase, node: Node, name: str, param: Tensor) -> None:
        super().__init__(node, tracer)
        assert isinstance(param, flambeau.nn.Parameter), f"Expected Parameter, got {type(param)}"
        self.param, self.name = param, name

    def __repr__(self) -> str:
        return f"ParameterProxy({self.name})"

    @property
    def shape(self) -> flambeau.Size:
        """Sizes."""
        return self.param.shape

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return self.param.ndim

    def size(self) -> flambeau.Size:
        """Return the sizes."""
        return self.param.shape

    def dim(self) -> int:
        """Return the number of dimensions."""
        return self.param.ndim

    def numel(self) -> int:
        """Return the number of elements."""
        return self.param.numel()

    nelement = numel


def _define(name: str, reflected: bool) -> None:
    """Define the method of Proxy for an operator of Python."""
    function = getattr(operator, name, None)
    if function is None:
        return  # Python 3 has no operator div
    if reflected:

        def method(self: Proxy, other: Any) -> Proxy:
            return self.tracer.create_proxy("call_function", function, (other, self), {})
    else:

        def method(self: Proxy, *args: Any) -> Proxy:  # type: ignore[misc]
            return self.tracer.create_proxy("call_function", function, (self, *args), {})

    method.__name__ = method.__qualname__ = f"__{'r' if reflected else ''}{name.strip('_')}__"
    setattr(Proxy, method.__name__, method)


for _name in MAGIC:
    _define(_name, reflected=False)
for _name in REFLECTABLE:
    _define(_name, reflected=True)


# Source locations in errors


def _untraceable(text: str) -> TraceError:
    error: TraceError = _located(TraceError(text))
    return error


def _located(error: E) -> E:
    """Add a note with the program's line to an exception and return the exception."""
    if (frame := caller()) is not None:
        error.add_note(f"traced at {source_line(frame)}")
    return error


def _reject_mutation(target: Any, kwargs: dict[str, Any]) -> None:
    name = getattr(target, "__name__", "")
    if (name.endswith("_") and not name.endswith("__")) or kwargs.get("out") is not None:
        raise RuntimeError(f"Tried to trace mutable operation {name}. FX only supports functional code")


def _instruction(frame: FrameType | None) -> dis.Instruction | None:
    """Return the current instruction of a frame."""
    if frame is None:
        return None
    instructions = list(dis.get_instructions(frame.f_code))
    return instructions[bisect_left(instructions, frame.f_lasti, key=lambda found: found.offset)]


def _is_assertion(frame: FrameType | None) -> bool:
    """Return True if a frame evaluates the condition of an ``assert`` statement."""
    now = _instruction(frame)
    if frame is None or now is None:
        return False
    code = (instruction for instruction in dis.get_instructions(frame.f_code) if instruction.offset >= now.offset)
    ahead = [instruction for instruction in islice(code, 4) if instruction.opname != "NOT_TAKEN"]
    if now.opname in (
        "COMPARE_OP",
        "TO_BOOL",
    ):  # CPython 3.13 and later
        ahead = ahead[1:]
    if len(ahead) < 2 or not ahead[0].opname.startswith("POP_JUMP") or "IF_TRUE" not in ahead[0].opname:
        return False
    # CPython 3.14 replaces LOAD_ASSERTION_ERROR with LOAD_COMMON_CONSTANT of AssertionError
    return ahead[1].opname == "LOAD_ASSERTION_ERROR" or ahead[1].argval is AssertionError
