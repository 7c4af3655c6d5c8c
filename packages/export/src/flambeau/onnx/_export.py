"""Export of a program to an ONNX file."""

from __future__ import annotations

import contextlib
import inspect
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import flambeau
from flambeau import Tensor
from flambeau._tracing._numbers import traced_lengths
from flambeau._tracing._recorder import Call
from flambeau._tracing._structure import leaves, replaced
from flambeau.library._custom_op import registry
from flambeau.nn import Module
from onnx import helper

# These imports register the converters.
from . import (
    _indexing as _indexing,
    _layers as _layers,
    _pointwise as _pointwise,
    _products as _products,
    _recurrent as _recurrent,
    _reductions as _reductions,
    _shapes as _shapes,
    _sorting as _sorting,
)
from ._counts import COUNTED_TRACES
from ._dimensions import Dimensions
from ._graph import CONVERTERS, ELEMENT_TYPES, Converter, Graph, Name
from ._merge import merge, needs_rounding, same_operators
from ._nodes import every_node
from ._opsets import in_opset
from ._program import ONNXProgram
from ._sizes import Size
from ._trace import Trace
from ._values import Value

REGISTER = ". Or call flambeau.ops.{}.register_onnx(converter) or register_decomposition(function)"
_IGNORED_ARGUMENTS = {"out", "device", "layout", "requires_grad", "pin_memory", "memory_format", "generator"}


def exported(
    model: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    input_names: Sequence[Name] | None,
    output_names: Sequence[Name] | None,
    dimensions: Any,
    opset_version: int,
) -> ONNXProgram:
    """Trace ``model`` for several sizes and return it as an ONNX program. The arguments are those of `export`."""
    example = _Example(model, args, kwargs)
    parameters = list(example.parameters())
    names = _input_names(parameters, input_names)
    wanted = Dimensions(dimensions, names, leaves([args, kwargs], Tensor), parameters)
    traces, outputs = _traces(example, wanted)
    merge(traces, wanted.samples)
    _check_smaller_sizes(traces, example, wanted)
    graph = _graph(model, names, wanted, traces[0], outputs, opset_version)
    file = _model(graph, names, wanted, outputs, _output_names(len(outputs), output_names))
    return ONNXProgram(in_opset(file, opset_version))


class _Example(NamedTuple):
    """The program to export, with the arguments of an example call."""

    model: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def parameters(self) -> Iterator[str]:
        """Yield, for each tensor in the arguments, the name of the parameter of ``forward`` that receives it."""
        function = self.model.forward if isinstance(self.model, Module) else self.model
        signature = inspect.signature(function)
        signature.bind(*self.args, **self.kwargs)  # an invalid call raises an error
        for parameter, value in (*signature.bind_partial(*self.args).arguments.items(), *self.kwargs.items()):
            yield from (parameter for _ in leaves(value, Tensor))

    def run_on(self, inputs: list[Tensor]) -> Any:
        """Call the program with other tensors in the places of the example's tensors."""
        remaining = iter(inputs)
        args = replaced(self.args, Tensor, lambda _: next(remaining))
        kwargs = replaced(self.kwargs, Tensor, lambda _: next(remaining))
        return self.model(*args, **kwargs)


def _input_names(parameters: list[str], wanted: Sequence[Name] | None) -> list[Name]:
    repeats = [parameters[:i].count(name) for i, name in enumerate(parameters)]
    names = [f"{name}_{i}" if parameters.count(name) > 1 else name for name, i in zip(parameters, repeats, strict=True)]
    given = _given_names("input", wanted, len(names))
    return [*given, *names[len(given) :]]


def _output_names(count: int, wanted: Sequence[Name] | None) -> list[Name]:
    given = _given_names("output", wanted, count)
    return [*given, *(f"output_{i}" if count > 1 else "output" for i in range(len(given), count))]


def _given_names(kind: str, wanted: Sequence[Name] | None, count: int) -> list[Name]:
    if isinstance(wanted, str):
        raise TypeError(f"{kind}_names must be a list of names, got the string {wanted!r}")
    given = list(wanted or [])
    if len(given) > count:
        raise RuntimeError(f"number of {kind} names provided ({len(given)}) exceeded number of {kind}s ({count})")
    return given


# Tracing


def _traces(example: _Example, wanted: Dimensions) -> tuple[list[Trace], list[Value]]:
    """Trace the program with several sizes of its dynamic dimensions; return the traces and the outputs."""
    traces: list[Trace] = []
    outputs: list[list[Value]] = []
    for sizes in wanted.samples.traced:
        try:
            trace, output = _trace_with_other_sizes(traces, example, wanted.resized(sizes))
        except Exception as error:
            if traces:
                error.add_note(
                    f"while tracing the model with the dynamic dimensions {sizes}: if these sizes are too large, pass "
                    "smaller example inputs"
                )
            raise
        traces.append(trace)
        outputs.append(output)
    if traces[0].counted:  # further traces with the same sizes and other row counts
        same = wanted.samples.traced[0]
        for _ in range(COUNTED_TRACES):
            traces.append(_trace_with_other_sizes(traces, example, wanted.resized(same))[0])
            wanted.samples.traced.append(same)
    if len(traces) > 1 and not same_operators(traces[0], traces[1]):  # the first run may have filled a cache
        traces[0], outputs[0] = _traced(example, wanted.resized(wanted.samples.traced[0]), 0)
    if len(traces) > 1 and needs_rounding(traces, wanted.samples):
        for sizes in wanted.samples.odd:
            with contextlib.suppress(Exception):  # the program may not support odd sizes
                trace = _trace_with_other_sizes(traces, example, wanted.resized(sizes))[0]
                if same_operators(trace, traces[0]):
                    traces.append(trace)
                    wanted.samples.traced.append(sizes)
    return traces, outputs[0]


def _check_smaller_sizes(traces: Sequence[Trace], example: _Example, wanted: Dimensions) -> None:
    """Warn if the program calls other operators for half the sizes, as windowed networks do for small images."""
    first = wanted.samples.traced[0]
    sizes = {name: max(1, size // 2) for name, size in first.items()}
    if sizes == first:
        return
    try:
        trace = _trace_with_other_sizes(traces, example, wanted.resized(sizes))[0]
    except Exception:  # the program does not support these sizes
        return
    if not same_operators(trace, traces[0]):
        warnings.warn(
            f"the model calls other operators if the dynamic dimensions have the sizes {sizes}; the file may compute "
            f"other results than the model for sizes smaller than those of the example, {first}",
            stacklevel=4,
        )


def _trace_with_other_sizes(
    traces: Sequence[Trace], example: _Example, inputs: list[Tensor]
) -> tuple[Trace, list[Value]]:
    """Trace the program with other sizes. Compute only shapes if the program does not read elements."""
    if traces and not traces[0].reads:
        with contextlib.suppress(Exception):  # an error is raised again below
            trace, output = _traced(example, inputs, len(traces), shapes_only=True)
            if same_operators(trace, traces[0]):
                return trace, output
    return _traced(example, inputs, len(traces))


def _traced(
    example: _Example, inputs: list[Tensor], number: int, shapes_only: bool = False
) -> tuple[Trace, list[Value]]:
    """Trace the program once. Return the trace and the values of the outputs.

    ``number`` is the index of this run. The model is restored afterwards.
    """
    trace = Trace(inputs, number, shapes_only)
    with flambeau.no_grad(), flambeau.random.fork_rng(devices=[]):
        try:
            with traced_lengths(), trace.watching_extensions(), trace:
                output = example.run_on(inputs)
            values = [trace.memory.value(tensor) for tensor in leaves(output, Tensor)]
        finally:
            trace.end(keep_constants=number == 0)
    if not values:
        raise RuntimeError(f"the model must return at least one tensor to be exported, got {type(output).__name__}")
    return trace, values


# Converting


def _graph(model: Any, names: list[Name], wanted: Dimensions, trace: Trace, outputs: list[Value], opset: int) -> Graph:
    """Return the graph of the calls that the outputs need. Raises NotImplementedError if one has no converter."""
    parameters = dict(model.state_dict(keep_vars=True)) if isinstance(model, Module) else {}
    sources: dict[str, tuple[Name | Value, int]] = {**wanted.sources}
    sources |= {
        value.size_name(axis): (value, axis)
        for value in trace.values
        for axis in range(value.ndim)
        if value.size_name(axis) in wanted.samples.measured
    }
    graph = Graph(
        names, sources, {id(tensor): name for name, tensor in parameters.items()}, opset, wanted.samples.computed
    )
    needed = _needed_calls(trace.calls, outputs)
    lacking = [call for call in needed if _converter_of(call) is None]
    if lacking:
        raise NotImplementedError(_missing_converters(lacking, model))
    for call in needed:
        _convert(graph, call, model)
    return graph


def _needed_calls(calls: list[Call], outputs: list[Value]) -> list[Call]:
    """Return the non-constant calls that the outputs depend on."""
    used = set(outputs)
    needed = []
    for call in reversed(calls):
        if any(value in used and value.varies for value in call.results):
            used.update(leaves(call.arguments, Value))
            needed.append(call)
    return needed[::-1]


def _convert(graph: Graph, call: Call, model: Any) -> None:
    graph.operator, graph.results = call.name.rpartition("::")[2], call.results
    converter = _converter_of(call)
    assert converter is not None  # checked in _graph
    args, kwargs = _converter_arguments(call)
    try:
        outputs = converter(graph, *args, **kwargs)
        names = [outputs] if isinstance(outputs, str) else list(outputs)
        if len(names) != len(call.results):
            raise RuntimeError(f"the ONNX converter returned {len(names)} results, expected {len(call.results)}")
    except Exception as error:
        error.add_note(f"in {call.name}, called by {_where(call, model)}")
        raise
    for value, name in zip(call.results, names, strict=True):
        graph.bind(value, name)


def _converter_arguments(call: Call) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments of a converter. Operators of `library` pass values by position unless keyword-only."""
    if _is_custom(call):
        keywords = registry[call.name]._keywords
        named = {name: call.arguments[name] for name in keywords}
        return [value for name, value in call.arguments.items() if name not in keywords], named
    return [], {name: value for name, value in call.arguments.items() if name not in _IGNORED_ARGUMENTS}


def _is_custom(call: Call) -> bool:
    return "::" in call.name and call.name in registry


def _converter_of(call: Call) -> Converter | None:
    if _is_custom(call):
        return registry[call.name]._onnx
    return CONVERTERS.get(call.name)


def _where(call: Call, model: Any) -> str:
    if isinstance(model, Module):
        for path, module in model.named_modules():
            if module is call.location.module and path:
                return f"layer {path} ({type(module).__name__}), {call.location.line}"
    return call.location.line


def _call_name(call: Call) -> str:
    return f"{call.name} ({call.missing})" if call.missing else call.called or call.name


def _missing_converters(calls: list[Call], model: Any) -> str:
    first = {_call_name(call): call for call in reversed(calls)}
    lines = [f"  {name}, called by {_where(call, model)}" for name, call in sorted(first.items())]
    custom = next((_overload_path(call.name) for call in calls if _is_custom(call)), None)
    return (
        "there is no converter to ONNX for these operators, which depend on the inputs:\n" + "\n".join(lines) + "\n"
        "Use other operators, or compute this part outside of the exported program"
        + ("" if custom is None else REGISTER.format(custom))
    )


def _overload_path(name: str) -> str:
    """Return ``namespace.name.default`` for an operator ``namespace::name``."""
    return name.replace("::", ".") + ("" if "." in name.partition("::")[2] else ".default")


# Assembly


def _model(graph: Graph, names: list[Name], wanted: Dimensions, outputs: list[Value], output_names: list[Name]) -> Any:
    """Return the ONNX model: the graph with its named inputs and outputs and the weights that it uses."""
    _name_outputs(graph, outputs, output_names)
    inputs = [
        helper.make_tensor_value_info(name, ELEMENT_TYPES[tensor.dtype], shape)
        for name, tensor, shape in zip(names, wanted.tensors, wanted.shapes, strict=True)
    ]
    results = [
        helper.make_tensor_value_info(name, ELEMENT_TYPES[value.dtype], _shape_names(value))
        for name, value in zip(output_names, outputs, strict=True)
    ]
    used = {name for node in every_node(graph.nodes) for name in node.input} | set(output_names)
    initializers = [tensor for name, tensor in graph.initializers.items() if name in used]
    domains = sorted({node.domain for node in graph.nodes if node.domain})
    return helper.make_model(
        helper.make_graph(graph.nodes, "main_graph", inputs, results, initializers),
        opset_imports=[helper.make_opsetid("", graph.opset), *(helper.make_opsetid(name, 1) for name in domains)],
        producer_name="flambeau",
        producer_version=flambeau.__version__,
        ir_version=10,  # the version of opsets 20 to 22; runtimes reject versions that they do not know
    )


def _shape_names(value: Value) -> list[int | str | None]:
    return [str(size) if isinstance(size, Size) else size for size in value.shape_or_none]


def _name_outputs(graph: Graph, outputs: list[Value], chosen: list[Name]) -> None:
    """Set the names of the outputs. Copy an output that no node computes or that appears twice."""
    computed = {name for node in graph.nodes for name in node.output}
    renamed: dict[Name, Name] = {}
    for value, name in zip(outputs, chosen, strict=True):
        current = graph.name(value)
        if current in computed and current not in renamed:
            renamed[current] = name
        else:
            graph.nodes.append(helper.make_node("Identity", [current], [name]))
    for node in every_node(graph.nodes):
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                names[i] = renamed.get(name, name)
