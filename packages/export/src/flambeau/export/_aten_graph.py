"""Graphs of ``ops.aten`` operators for exported programs.

`recorded` runs the calls of a program one by one on fake tensors. A call that matches a schema of ``ops.aten`` becomes
one node, also if the operator is composite, such as ``linear``. Any other call becomes the nodes of the operators that
it calls, as `make_fx` records them.
"""

from __future__ import annotations

import builtins
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import flambeau
from flambeau import Tensor
from flambeau._dispatch._resolution import PREFIXES, parsing_order
from flambeau._naming import own_module
from flambeau._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from flambeau._tracing import _calls
from flambeau._tracing._numbers import ARITHMETIC
from flambeau.func import functionalize
from flambeau.fx import Graph, GraphModule, Node
from flambeau.fx.experimental.proxy_tensor import ProxyTorchDispatchMode, make_fx
from flambeau.jit._graph import CHECKS
from flambeau.jit._program import Compiled
from flambeau.jit._replay import OWN, argument_list, call, named_results, parsed_call, python_call, tokens_of
from flambeau.library import _argument_types, _aten_schemas
from flambeau.library._aten import aten
from flambeau.utils import _pytree

from .graph_signature import (
    ConstantArgument,
    ExportGraphSignature,
    InputKind,
    InputSpec,
    OutputKind,
    OutputSpec,
    TensorArgument as _Argument,
)

_SIZES = {"size": aten.sym_size.int, "stride": aten.sym_stride.int, "numel": aten.sym_numel.default}


class _Size(int):
    """Size in the example inputs, and the node that computes it."""

    node: Node


class Recorder(ProxyTorchDispatchMode):
    """Mode that records operators in a graph.

    Args:
        dynamic: if True, sizes are nodes; otherwise, sizes are numbers.
    """

    def __init__(self, dynamic: bool) -> None:
        super().__init__()
        self.dynamic = dynamic
        self.sizes: list[Node] = []

    def node_of(self, tensor: Any) -> Node:
        """Return the node of a tensor or size."""
        return tensor.node if isinstance(tensor, _Size) else super().node_of(tensor)

    def nodes_in(self, value: Any) -> Any:
        """Replace the tensors and sizes in nested lists, tuples and dictionaries with nodes."""
        return _pytree.tree_map_only((Tensor, _Size), self.node_of, value)

    def add(self, target: Any, args: Any, kwargs: Any, result: Any) -> None:
        """Add a node for a call with a known result."""
        name = self.graph._target_to_str(target.overloadpacket.__name__)
        given = tuple(self.nodes_in(list(args)))
        node = self.graph.create_node("call_function", target, given, self.nodes_in(dict(kwargs)), name)
        self._track_results(result, node)

    def size(self, value: int, target: Any, args: Sequence[Any]) -> _Size:
        """Add a node that computes a size, and return the size."""
        traced_size = _Size(value)
        traced_size.node = self.graph.call_function(target, tuple(self.nodes_in(list(args))))
        traced_size.node.meta["val"] = value
        self.sizes.append(traced_size.node)
        return traced_size

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        if func in self.decomposition_table:
            with self:
                result = self.decomposition_table[func](*args, **(kwargs or {}))
            if result is not NotImplemented:
                return result
        result = func(*args, **(kwargs or {}))
        self.add(func, args, kwargs or {}, result)
        return result


def recorded(
    program: Compiled, state: Mapping[str, Tensor], specs: Sequence[InputSpec], example: Sequence[Any], dynamic: bool
) -> tuple[Graph, ExportGraphSignature]:
    """Return the graph of a program, and its signature.

    Args:
        state: parameters, buffers and constants by name.
        specs: descriptions of the inputs of the graph for ``state``, in the same order.
        example: example arguments in the order of ``program.inputs``.
        dynamic: True if the program has dynamic dimensions.
    """
    fakes = FakeTensorMode()
    recorder = Recorder(dynamic)
    values: dict[str, Any] = {}
    fake_tensors: dict[int, Any] = {}
    for (name, tensor), spec in zip(state.items(), specs, strict=True):
        fake = values[f"@{name}"] = fake_tensors.setdefault(id(tensor), fakes.from_tensor(tensor))
        recorder.track(fake, recorder.graph.placeholder(spec.arg.name))
    signature = ExportGraphSignature([*specs], [])
    tensors = iter(_add_arguments(program, example, recorder, fakes, signature))
    results: list[Any] = []
    for line in program.text.splitlines():
        tokens = tokens_of(line)
        if tokens[0] == "input":
            values[tokens[1]] = next(tensors)
        elif tokens[0] == "return":
            results = argument_list(tokens[1:], values)
        else:
            with flambeau.no_grad(), fakes:
                _record(tokens, values, recorder)
    _add_output(program.outputs.pack(results), recorder, signature)
    for node in reversed(recorder.sizes):
        if not node.users:
            recorder.graph.erase_node(node)
    return recorder.graph, signature


def _add_arguments(
    program: Compiled, example: Sequence[Any], recorder: Recorder, fakes: FakeTensorMode, signature: Any
) -> Sequence[Tensor]:
    """Add a placeholder for each leaf of the arguments. Return the fake tensors."""
    tensors = []
    for (name, _), value in zip(program.inputs, example, strict=True):
        for path, leaf in _leaves(value, name):
            node = recorder.graph.placeholder(path)
            node.name = node.name if node.name != f"{path}_1" or path not in vars(builtins) else path
            if isinstance(leaf, Tensor):
                tensors.append(fakes.from_tensor(leaf))
                recorder.track(tensors[-1], node)
            else:
                node.meta["val"] = leaf
            argument = _Argument(node.name) if isinstance(leaf, Tensor) else ConstantArgument(node.name, leaf)
            signature.input_specs.append(InputSpec(InputKind.USER_INPUT, argument, None))
    return tensors


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, f"{path}_{key}")
    elif isinstance(value, tuple | list):
        for i, item in enumerate(value):
            yield from _leaves(item, f"{path}_{i}")
    else:
        yield path, value


def _add_output(results: Any, recorder: Recorder, signature: ExportGraphSignature) -> None:
    outputs = [recorder.nodes_in(leaf) for leaf in _pytree.tree_leaves(results)]
    recorder.graph.output(tuple(outputs))
    for output in outputs:
        argument = _Argument(output.name) if isinstance(output, Node) else ConstantArgument("", output)
        signature.output_specs.append(OutputSpec(OutputKind.USER_OUTPUT, argument, None))


def _record(tokens: list[str], values: dict[str, Any], recorder: Recorder) -> None:
    """Record one line of a program."""
    if tokens[0] == "require_eq":
        # A size that must equal the size in the example is a constant.
        name, number = tokens[2], argument_list(tokens[4:-3], values)
        if name.startswith("%") and number and not isinstance(number[0], _Size):
            values[name] = number[0]
        return
    if tokens[0].startswith(CHECKS):
        return
    results, name, arguments = parsed_call(tokens, values)
    values.update(named_results(results, name, _called(name, arguments, recorder)))


def _called(name: str, arguments: list[Any], recorder: Recorder) -> Any:
    """Call an operator of a traced program, and record the aten operators that compute it."""
    if name in _SIZES:
        if not recorder.dynamic:
            return call(name, arguments)
        return recorder.size(call(name, arguments), _SIZES[name], arguments)
    if name.startswith("number_"):
        function = ARITHMETIC.get(name.removeprefix("number_"), operator.neg)
        result = call(name, [int(each) if isinstance(each, _Size) else each for each in arguments])
        is_computed = any(isinstance(each, _Size) for each in arguments) and isinstance(result, int)
        return recorder.size(result, function, arguments) if is_computed else result
    if name == "repeated" and isinstance(arguments[1], _Size):
        raise NotImplementedError("the graph of a recurrent layer needs a static sequence length")
    if "::" in name:
        namespace, _, short = name.partition("::")
        result = call(name, arguments)
        recorder.add(getattr(getattr(flambeau.ops, namespace), short).default, arguments, {}, result)
        return result
    if name not in OWN and (found := _overload(name, arguments)) is not None:
        overload, args, kwargs = found
        result = call(name, arguments)
        recorder.add(overload, args, kwargs, result)
        return result
    with recorder:
        return call(name, arguments)


def _overload(name: str, arguments: list[Any]) -> tuple[Any, tuple[Any, ...], dict[str, Any]] | None:
    """Return the overload of ``ops.aten`` for a call, and its arguments, or None if no schema matches."""
    function, args, kwargs = python_call(name, arguments)
    own = PREFIXES.get(own_module(function), "") + function.__name__
    named = _calls.bound(function, tuple(args), kwargs)
    for wrapped in (False, True):
        for schema in parsing_order(own, tuple(_aten_schemas.schemas_of(own).values())):
            if any(argument.is_out for argument in schema.arguments):
                continue
            if (found := _argument_types.bound(schema, (), named, wrapped)) is not None:
                return getattr(getattr(aten, own), schema.overload_name or "default"), *found
    return None


def decomposed(
    graph: Graph, signature: ExportGraphSignature, table: Mapping[Any, Callable[..., Any]] | None
) -> tuple[Graph, ExportGraphSignature]:
    """Return the graph with composite operators decomposed and in-place operators replaced, and its signature.

    The new values of buffers and arguments that the graph changes in place become its first outputs.
    """
    module = GraphModule({}, graph)
    placeholders = graph.find_nodes(op="placeholder")
    examples = [node.meta["val"] for node in placeholders]
    traced = make_fx(functionalize(lambda *given: module(*given)), dict(table or {}))
    with flambeau.no_grad(), _fake_mode_of(examples):
        result = traced(*examples).graph
    for node, source in zip(result.find_nodes(op="placeholder"), placeholders, strict=True):
        node.name = node.target = source.name
    (output,) = result.find_nodes(op="output")
    mutations = _take_mutations(result, signature.input_specs)
    outputs = [*(value for value, _ in mutations), *output.args[0]]
    output.args = (tuple(outputs),)
    specs = [spec for _, spec in mutations]
    for value, spec in zip(output.args[0][len(mutations) :], signature.output_specs, strict=True):
        argument = _Argument(value.name) if isinstance(value, Node) else spec.arg
        specs.append(OutputSpec(spec.kind, argument, spec.target))
    return result, ExportGraphSignature(list(signature.input_specs), specs)


def _fake_mode_of(examples: Sequence[Any]) -> FakeTensorMode:
    return next((each.fake_mode for each in examples if isinstance(each, FakeTensor)), FakeTensorMode())


def _take_mutations(graph: Graph, inputs: Sequence[InputSpec]) -> list[tuple[Node, OutputSpec]]:
    """Remove the copies to inputs at the end of a graph. Return the new values with their descriptions."""
    outputs = []
    by_name = {spec.arg.name: spec for spec in inputs}
    for node in list(graph.nodes):
        if node.target is not aten.copy_.default or node.args[0].op != "placeholder":
            continue
        changed, value = node.args
        spec = by_name[changed.name]
        is_buffer = spec.kind is InputKind.BUFFER
        kind = OutputKind.BUFFER_MUTATION if is_buffer else OutputKind.USER_INPUT_MUTATION
        outputs.append((value, OutputSpec(kind, _Argument(value.name), spec.target if is_buffer else changed.name)))
        node.replace_all_uses_with(value)
        graph.erase_node(node)
    return outputs
