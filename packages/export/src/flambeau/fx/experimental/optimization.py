"""Optimisations for evaluation: fusion of batch normalisation and removal of dropout."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from flambeau import nn
from flambeau.nn import Module
from flambeau.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from .._symbolic_trace import symbolic_trace
from ..graph import Graph
from ..graph_module import GraphModule
from ..interpreter import Transformer
from ..node import Node, Target

__all__ = ["extract_subgraph", "fuse", "matches_module_pattern", "remove_dropout", "replace_node_module"]

_FUSED = (
    (nn.Conv1d, nn.BatchNorm1d),
    (nn.Conv2d, nn.BatchNorm2d),
    (nn.Conv3d, nn.BatchNorm3d),
    (nn.Linear, nn.BatchNorm1d),
)


def matches_module_pattern(pattern: Iterable[type], node: Node, modules: dict[str, Any]) -> bool:
    """Return True if the first argument of a node and the node call modules of exactly these classes.

    >>> from flambeau.fx.experimental.optimization import matches_module_pattern
    >>> traced = fb.fx.symbolic_trace(nn.Sequential(nn.Linear(2, 2), nn.ReLU()))
    >>> modules = dict(traced.named_modules())
    >>> [matches_module_pattern((nn.Linear, nn.ReLU), node, modules) for node in traced.graph.nodes]
    [False, False, True, False]
    """
    if not node.args:
        return False
    for kind, current in zip(pattern, (node.args[0], node), strict=True):
        if not isinstance(current, Node) or current.op != "call_module":
            return False
        if type(modules.get(str(current.target))) is not kind:
            return False
    return True


def replace_node_module(node: Node, modules: dict[str, Any], new_module: Module) -> None:
    """Replace the module that a node calls.

    Args:
        node: a ``call_module`` node.
        modules: dictionary from paths to the modules of the graph module. It is updated.
        new_module: the new module.

    >>> from flambeau.fx.experimental.optimization import replace_node_module
    >>> traced = fb.fx.symbolic_trace(nn.Sequential(nn.ReLU()))
    >>> node = next(node for node in traced.graph.nodes if node.op == "call_module")
    >>> replace_node_module(node, dict(traced.named_modules()), nn.Tanh())
    >>> traced(fb.zeros(1)), traced.get_submodule("0")
    (tensor([0.]), Tanh())
    """
    path = str(node.target)
    above, _, name = path.rpartition(".")
    modules[path] = new_module
    setattr(modules[above], name, new_module)


def fuse(model: Module, inplace: bool = False, no_trace: bool = False) -> GraphModule:
    """Fuse each batch normalisation into the preceding convolution or linear layer, for evaluation.

    Args:
        inplace: if True, change the model instead of a copy.
        no_trace: if True, do not trace a `GraphModule` again.
    Raises: AssertionError for layers in training mode.

    >>> from flambeau.fx.experimental.optimization import fuse
    >>> model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).eval()
    >>> x = fb.ones(1, 1, 4, 4)
    >>> fused = fuse(model)
    >>> len(fused.graph.nodes), fb.allclose(fused(x), model(x), atol=1e-6)
    (3, True)
    """
    model = model if inplace else copy.deepcopy(model)
    traced = model if no_trace and isinstance(model, GraphModule) else symbolic_trace(model)
    modules: dict[str, Any] = dict(traced.named_modules())
    graph = copy.deepcopy(traced.graph)
    for pattern in _FUSED:
        for node in graph.nodes:
            if not matches_module_pattern(pattern, node, modules) or len(node.args[0].users) > 1:
                continue
            layer, norm = modules[str(node.args[0].target)], modules[str(node.target)]
            if not norm.track_running_stats:
                continue
            fused = fuse_linear_bn_eval(layer, norm) if pattern[0] is nn.Linear else fuse_conv_bn_eval(layer, norm)
            replace_node_module(node.args[0], modules, fused)
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)
    return GraphModule(traced, graph)


class _WithoutDropout(Transformer):
    def call_module(self, target: Target, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if isinstance(self.submodules[str(target)], nn.Dropout):
            return args[0]
        return super().call_module(target, args, kwargs)


def remove_dropout(model: Module) -> GraphModule:
    """Remove the `Dropout` layers of a module.

    >>> from flambeau.fx.experimental.optimization import remove_dropout
    >>> traced = remove_dropout(nn.Sequential(nn.Linear(2, 2), nn.Dropout()))
    >>> [node.target for node in traced.graph.nodes if node.op == "call_module"]
    ['0']
    """
    return _WithoutDropout(symbolic_trace(model)).transform()


def extract_subgraph(orig_module: Module, nodes: list[Node], inputs: list[Node], outputs: list[Node]) -> GraphModule:
    """Return a module that computes only some nodes of a graph.

    Args:
        orig_module: module with the submodules and parameters that the nodes use.
        nodes: the nodes, in their order.
        inputs, outputs: nodes whose values are the inputs and the results.

    >>> from flambeau.fx.experimental.optimization import extract_subgraph
    >>> traced = fb.fx.symbolic_trace(lambda x: (x + 1).relu().exp())
    >>> x, add, relu, exp, output = traced.graph.nodes
    >>> extract_subgraph(traced, [relu, exp], [add], [exp])(fb.tensor([-1.0, 0.0]))
    [tensor([1., 1.])]
    """
    graph = Graph()
    values: dict[Node, Node] = {node: graph.placeholder(node.name) for node in inputs}
    for node in nodes:
        values[node] = graph.node_copy(node, lambda n: values[n])
    graph.output([values[node] for node in outputs])
    graph.lint()
    return GraphModule(orig_module, graph)
