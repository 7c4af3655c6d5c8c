"""Custom compiler backends: ``flambeau.compile(model, backend=function)``.

Note [Custom backends]
A custom backend gets each captured program, or each segment of a divided program, as a `GraphModule` together with
example inputs, and returns a function that runs in place of the program. The guards are those of other captured
programs. In the first graph, sizes are constants, and the program is used only for the sizes of its capture. If other
sizes are given, sizes are nodes of the next graph, which is used for all sizes unless Python branches on the size of an
intermediate result.

A size can also depend on the elements of a tensor, as that of ``x.nonzero()`` does. To recognize these sizes, the
recorder also calls each operator with fake tensors: if this fails, the results may have other sizes in other calls. The
program is divided where Python branches on such a size, because a graph has no checks.

The call that is captured runs the function itself. If it has not changed a tensor that exists before the call, the
result is discarded, and the functions that the backend returned compute the result again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flambeau
from flambeau import Tensor, _core
from flambeau._operator import OPERATOR_TYPES
from flambeau._subclasses.fake_tensor import FakeTensorMode
from flambeau._tracing._autocast import without_autocast
from flambeau._tracing._numbers import TRACED, Repeated, plain
from flambeau._tracing._structure import leaves, replaced
from flambeau.fx import Graph, GraphModule, Node
from flambeau.jit._graph import graph_of, is_number
from flambeau.jit._replay import call, tokens_of
from flambeau.library._library import definition_of
from flambeau.utils import _pytree as pytree

from ._capture_trace import COUNT_DEPENDS_ON_SIZES, CaptureTrace
from ._guards import Snapshot
from ._program import Part

Backend = Callable[[GraphModule, list[Tensor]], Callable[..., Any]]


class GraphTrace(CaptureTrace):
    """Recorder of a program for a custom backend.

    Args:
        all_sizes: if True, record sizes. If False, sizes are plain numbers, except those that depend on elements.
    Attributes:
        fakes: the mode of the fake tensors.
        examples: dictionary from the names of results to fake tensors.
        methods: names of the results of methods and of Python's operators.
    """

    def __init__(
        self,
        inputs: Mapping[str, Tensor],
        state: Mapping[str, Tensor],
        snapshot: Snapshot,
        fullgraph: bool,
        all_sizes: bool,
    ) -> None:
        super().__init__(inputs, state, snapshot, fullgraph)
        self.all_sizes, self.fakes = all_sizes, FakeTensorMode()
        self.methods: set[str] = set()
        self.examples: dict[str, Any] = {}
        self._known: set[str] = set()  # names of results whose sizes do not depend on elements
        self.signature = (flambeau.is_grad_enabled(), *map(_signature, inputs.values()))

    def operator(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        count = len(self.calls)
        result = super().operator(func, name, args, kwargs)
        if type(func) is OPERATOR_TYPES[1]:
            self.methods.update(value.name for call in self.calls[count:] for value in call.results)
        return result

    def note(self, name: str, arguments: list[Any], result: Any, **options: Any) -> Any:
        former = _core._watch_extensions(None)
        try:
            is_known = self._has_known_sizes(name, arguments)
        finally:
            _core._watch_extensions(former)
        result = super().note(name, arguments, result, **options)
        names = [value.name for value in self.calls[-1].results]
        if is_known:
            self._known.update(names)
        elif name in COUNT_DEPENDS_ON_SIZES and self.open:
            self.give_up(f"the number of results of {name} depends on elements of a tensor")
        self.examples.update(zip(names, map(self.fakes.from_tensor, leaves(result, Tensor)), strict=False))
        return result

    def _has_known_sizes(self, name: str, arguments: list[Any]) -> bool:
        """Return True if the sizes of the results follow from those of the arguments."""
        if "::" in name and definition_of(name)._fake is None:
            return False
        try:
            with flambeau.set_grad_enabled(flambeau.is_grad_enabled()), self.fakes:
                call(name, replaced(arguments, (Tensor, *TRACED), self._fake))
        except Exception:  # the operator reads elements, or has no implementation for fake tensors
            return False
        return True

    def _fake(self, value: Any) -> Any:
        """Return the fake counterpart of an argument. Raises ValueError if its sizes or its value are unknown."""
        if isinstance(value, Tensor):
            if self._knows_sizes(value):
                return self.fakes.from_tensor(value)
        elif not (value.times if isinstance(value, Repeated) else value).of_elements:
            return plain(value)
        raise ValueError

    def _knows_sizes(self, tensor: Tensor) -> bool:
        known = self.value(tensor)
        return known.name in self._known or known.name.startswith("@") or known in self.inputs

    def measured(self, name: str, tensor: Tensor, dim: int | None, value: Any) -> Any:
        """Return a plain size, or a number that is treated as an element if the size depends on elements."""
        is_known = name != "item" and self._knows_sizes(tensor)
        if is_known and not self.all_sizes:
            return value
        number = super().measured(name, tensor, dim, value)
        number.of_elements = not is_known
        return number


def _pause_at_backward(trace: GraphTrace, func: Any, **arguments: Any) -> None:
    """Divide the program at ``Tensor.backward``, which Python calls."""
    tensor = arguments.pop("self")
    if arguments["inputs"] is not None:
        arguments["inputs"] = pytree.tree_leaves(arguments["inputs"])
    trace.pause(func, (tensor,), arguments, "a graph cannot contain Tensor.backward()", has_effects=True)


GraphTrace.rules = {**CaptureTrace.rules, "backward": _pause_at_backward}


def _signature(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.shape, tensor.stride(), tensor.dtype, tensor.device, tensor.requires_grad


class CustomBackend:
    """Custom backend of a compiled function, with the parts of programs that it compiles.

    Args:
        function: the function of the user, which compiles graphs.
        dynamic: True if graphs compute sizes, False if sizes are constants, None if they are constants in the first
            graph for inputs with these dtypes and numbers of dimensions.
    """

    def __init__(self, function: Backend, dynamic: bool | None) -> None:
        self._function, self._dynamic = function, dynamic
        self.clear()

    def clear(self) -> None:
        """Delete the compiled parts."""
        self._parts: dict[Any, GraphPart] = {}
        self._sizes: dict[Any, Any] = {}  # sizes of the first graph

    def __reduce__(self) -> tuple[Any, ...]:
        return CustomBackend, (self._function, self._dynamic)  # copies have no parts

    def trace(
        self, inputs: Mapping[str, Tensor], state: Mapping[str, Tensor], snapshot: Snapshot, fullgraph: bool
    ) -> GraphTrace:
        """Return a recorder; see `GraphTrace`."""
        sizes = [tensor.shape for tensor in inputs.values()]
        first = self._sizes.setdefault(tuple((t.dtype, t.dim()) for t in inputs.values()), sizes)
        all_sizes = sizes != first if self._dynamic is None else self._dynamic
        return GraphTrace(inputs, state, snapshot, fullgraph, all_sizes)

    def part(self, trace: GraphTrace, text: str, state: Mapping[str, Any]) -> GraphPart:
        """Return the part of a program. If an earlier capture had the same part, return that one."""
        part = GraphPart(text, state, self._function, trace)
        calls = re.sub("  # .*", "", text)
        return self._parts.setdefault((calls, *map(id, part.state), trace.signature), part)


class GraphPart(Part):
    """Part of a program that a custom backend compiles.

    Args:
        text, state: see `Part`.
        backend: the function of the user, which compiles the graph.
        trace: the recorder of the program.
    Attributes:
        fits_only_captured_sizes: True if sizes are constants, or if requirements depend on sizes of intermediate
            results.
    """

    def __init__(self, text: str, state: Mapping[str, Any], backend: Backend, trace: GraphTrace) -> None:
        super().__init__(text, state)
        self._named_state, self._backend = state, backend
        self._trace: GraphTrace | None = trace  # until the part is compiled
        self._function: Callable[..., Any]
        self._elements: set[int] = set()  # indices of results whose elements Python reads
        lines, depends_on_results = _requirements(text)
        self.fits_only_captured_sizes = depends_on_results or not trace.all_sizes
        self._guard = Part("\n".join([*lines, "return", ""]), state) if lines else None

    def compile(self, tensors: Sequence[Tensor]) -> None:
        """Pass the graph and example inputs to the backend, unless this was done or the graph has no operators."""
        if (trace := self._trace) is None:
            return
        attributes = {name: self._named_state[name] for name in _core._program_state(self.native)}
        inputs = [line.split()[1] for line in self.text.splitlines() if line.startswith("input ")]
        known = {f"@{name}": tensor for name, tensor in attributes.items()} | dict(zip(inputs, tensors, strict=True))
        fakes = {name: trace.fakes.from_tensor(tensor) for name, tensor in known.items()}
        graph = graph_of(self.text, trace.methods, trace.examples | fakes)
        self._elements = _remove_last_reads(graph)
        module = GraphModule(attributes, graph)
        has_operators = any(node.op.startswith("call_") for node in graph.nodes)
        self._function = self._backend(module, [*tensors]) if has_operators else module
        self._count, self._trace = len(graph.output_node().args[0]), None

    def run(self, tensors: Sequence[Tensor], unmet: Any) -> Any:
        if self._guard is not None and self._guard.run(tensors, unmet) is unmet:
            return unmet
        self.compile(tensors)
        # The graph contains the casts of autocast, and may change the grad mode.
        with without_autocast(), flambeau.set_grad_enabled(flambeau.is_grad_enabled()):
            results = self._function(*tensors)
        if not isinstance(results, tuple | list) or len(results) != self._count:
            given = f"{len(results)}" if isinstance(results, tuple | list) else f"a {type(results).__name__}"
            raise TypeError(
                f"the function that a backend returns must return a tuple or list of {self._count} results, as the "
                f"graph does; got {given}"
            )
        return [result.item() if i in self._elements else result for i, result in enumerate(results)]


def _remove_last_reads(graph: Graph) -> set[int]:
    """Return tensors from a graph in place of their elements, and return the indices of these outputs."""
    output, elements = graph.output_node(), set()
    results = list(output.args[0])
    for i, node in enumerate(results):
        if isinstance(node, Node) and node.op == "call_method" and node.target == "item" and len(node.users) == 1:
            results[i] = node.args[0]
            elements.add(i)
    output.args = (tuple(results),)
    graph.eliminate_dead_code(lambda node: node.target != "item" or bool(node.users))
    return elements


def _requirements(text: str) -> tuple[list[str], bool]:
    """Return the lines of a program that check its requirements, and True if some depend on intermediate results.

    In this case, the lines contain no checks of sizes, because the part is used only for the captured sizes.
    """
    checks: list[str] = []
    needed: set[str] = set()
    depends_on_results = False
    for line in reversed(text.splitlines()):
        tokens = tokens_of(line)
        start = tokens.index("=") if "=" in tokens else 0
        name = tokens[start + 1] if start else tokens[0]
        if name == "input" or name.startswith("require_") or not needed.isdisjoint(tokens[:start]):
            checks.append(line)
            needed.update(token for token in tokens[start:] if token.startswith("%"))
            depends_on_results |= start > 0 and not is_number(name)
        depends_on_results |= name in COUNT_DEPENDS_ON_SIZES
    if depends_on_results:
        checks = [line for line in checks if line.startswith(("input", "require_gradients", "require_state"))]
    return checks[::-1] if any(line.startswith("require_") for line in checks) else [], depends_on_results
