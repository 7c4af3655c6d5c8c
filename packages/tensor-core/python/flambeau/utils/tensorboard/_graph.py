"""Conversion of a model to a TensorBoard graph: the autograd nodes, grouped by the layers that created them."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from tensorboardX.proto.attr_value_pb2 import AttrValue
from tensorboardX.proto.graph_pb2 import GraphDef
from tensorboardX.proto.node_def_pb2 import NodeDef
from tensorboardX.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboardX.proto.versions_pb2 import VersionDef

import flambeau
from flambeau import Tensor


def graph_of(model: Any, arguments: Any) -> GraphDef:
    """Return the graph of ``model(*arguments)``. Raises: RuntimeError if no output requires grad."""
    listed = arguments if isinstance(arguments, (tuple, list)) else () if arguments is None else (arguments,)
    inputs = [_as_graph_input(value) for value in listed]
    layers = _Layers(model)
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with flambeau.enable_grad(), layers:
            outputs = [value for value in _tensors(model(*inputs)) if value.requires_grad]
    finally:
        for module in training:
            module.training = True
    if not outputs:
        raise RuntimeError("add_graph: the graph is recorded by autograd, but no output of the model requires grad")
    leaves = {id(p): (f"{layers.top}/{name.replace('.', '/')}", "Parameter") for name, p in model.named_parameters()}
    leaves |= {id(x): (f"input/{i}", "Input") for i, x in enumerate(inputs) if isinstance(x, Tensor)}
    return _Drawing(layers, leaves).draw(outputs)


def _as_graph_input(value: Any) -> Any:
    """Detach a tensor and make it require grad if its dtype allows it, so that inputs become nodes of the graph."""
    if isinstance(value, Tensor):
        copy = value.detach()
        return copy.requires_grad_() if copy.is_floating_point() or copy.is_complex() else copy
    return value


def _tensors(value: Any) -> Iterable[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list, dict)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _tensors(each)


class _Layers:
    """Context manager that records, for each autograd node, the innermost layer that created it."""

    def __init__(self, model: Any) -> None:
        self.top = type(model).__name__
        self.scopes: dict[Any, str] = {}
        self._model = model
        self._starts: list[int] = []
        self._handles: list[Any] = []
        self._probe = flambeau.ones(1, requires_grad=True)

    def __enter__(self) -> None:
        for name, module in self._model.named_modules():
            scope = "/".join([self.top, *filter(None, name.split("."))])
            self._handles.append(module.register_forward_pre_hook(lambda module, args: self._enter()))
            self._handles.append(module.register_forward_hook(lambda module, args, out, s=scope: self._leave(out, s)))

    def __exit__(self, *exception: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _enter(self) -> None:
        node = (self._probe * 1).grad_fn
        assert node is not None
        self._starts.append(node._sequence_nr())

    def _leave(self, result: Any, scope: str) -> None:
        start = self._starts.pop()
        waiting = [tensor.grad_fn for tensor in _tensors(result)]
        while waiting:
            node: Any = waiting.pop()
            if (
                node is None
                or node in self.scopes
                or node.name() == "torch::autograd::AccumulateGrad"
                or node._sequence_nr() < start
            ):
                continue
            self.scopes[node] = scope
            waiting += [following for following, _ in node.next_functions]


class _Drawing:
    """Conversion of autograd nodes to NodeDefs with unique names."""

    def __init__(self, layers: _Layers, leaves: dict[int, tuple[str, str]]) -> None:
        self._layers, self._leaves = layers, leaves
        self._names: dict[Any, str] = {}
        self._used: Counter[str] = Counter()
        self._graph = GraphDef(versions=VersionDef(producer=22))

    def draw(self, outputs: list[Tensor]) -> GraphDef:
        roots = [_node_of(output) for output in outputs]
        order = _topological_order(roots)
        for node in order:
            self._add(node)
        for index, root in enumerate(roots):
            self._graph.node.append(NodeDef(name=f"output/{index}", op="Output", input=[self._names[root]]))
        return self._graph

    def _add(self, node: Any) -> None:
        if node.name() == "torch::autograd::AccumulateGrad":
            name, operator = self._leaves.get(id(node.variable), (f"{self._layers.top}/constant", "Constant"))
        else:
            operator = re.sub(r"Backward\d$", "", node.name())
            name = f"{self._layers.scopes.get(node, self._layers.top)}/{operator}"
        self._used[name] += 1
        self._names[node] = name if self._used[name] == 1 else f"{name}_{self._used[name] - 1}"
        inputs = [self._names[following] for following, _ in node.next_functions if following is not None]
        shapes = [
            TensorShapeProto(dim=[TensorShapeProto.Dim(size=size) for size in shape]) for shape, _ in node._output_sizes
        ]
        attributes = {"_output_shapes": AttrValue(list=AttrValue.ListValue(shape=shapes))}
        self._graph.node.append(NodeDef(name=self._names[node], op=operator, input=inputs, attr=attributes))


def _node_of(tensor: Tensor) -> Any:
    """Return the autograd node of a tensor. For a leaf, return the node that accumulates the gradient."""
    if tensor.grad_fn is not None:
        return tensor.grad_fn
    with flambeau.enable_grad():
        ((accumulate, _),) = tensor.view_as(tensor).grad_fn.next_functions  # type: ignore[union-attr]
    return accumulate


def _topological_order(roots: list[Any]) -> list[Any]:
    """Return the nodes that lead to ``roots`` in topological order, inputs first."""
    order: dict[Any, None] = {}
    stack = [(root, False) for root in roots]
    while stack:
        node, entered = stack.pop()
        if node in order:
            continue
        if entered:
            order[node] = None
            continue
        stack.append((node, True))
        stack += [(following, False) for following, _ in node.next_functions if following is not None]
    return list(order)
