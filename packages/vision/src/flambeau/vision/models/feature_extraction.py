"""Feature extraction: intermediate values of a model, selected by the names of layers and operations.

>>> import flambeau as fb
>>> from flambeau.vision.models import resnet18
>>> from flambeau.vision.models.feature_extraction import create_feature_extractor
>>> extractor = create_feature_extractor(resnet18(), {"layer1": "fine", "layer4": "coarse"})
>>> {name: tuple(feature.shape) for name, feature in extractor(fb.zeros(1, 3, 64, 64)).items()}
{'fine': (1, 64, 16, 16), 'coarse': (1, 512, 2, 2)}
"""

from __future__ import annotations

import copy
import inspect
import math
import re
import warnings
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, Self

from flambeau import fx, nn
from flambeau.fx.graph_module import _share
from flambeau.vision import ops

__all__ = ["create_feature_extractor", "get_graph_node_names"]

_ADVICE = (
    "When choosing nodes for feature extraction, you may need to specify output nodes for train and eval mode "
    "separately."
)
_SUBSEQUENCE_NOTE = (
    "NOTE: The nodes obtained by tracing the model in {} mode are a subsequence of those obtained in {} mode. "
)
_NODES_DIFFER = "The nodes obtained by tracing the model in train mode are different to those obtained in eval mode. "
_MISSING_NODE = (
    "node: '{}' is not present in model. Hint: use `get_graph_node_names` to make sure the `return_nodes` you "
    "specified are present. It may even be that you need to specify `train_return_nodes` and `eval_return_nodes` "
    "separately."
)
_ONE_OR_BOTH = "If `train_return_nodes` and `eval_return_nodes` are specified, then both should be specified"


class LeafModuleAwareTracer(fx.Tracer):
    """Tracer that does not trace into instances of the classes ``leaf_modules``: a call of a leaf is one node."""

    def __init__(self, *args: Any, leaf_modules: Iterable[type] = (), **kwargs: Any) -> None:
        self.leaf_modules = tuple(leaf_modules)
        super().__init__(*args, **kwargs)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Return True if a call of the module is one node."""
        return isinstance(m, self.leaf_modules) or super().is_leaf_module(m, module_qualified_name)


class NodePathTracer(LeafModuleAwareTracer):
    """Tracer that gives each node a name: the path of the layer, or the path of the module and the operation.

    Repeated names get a number: ``layer1.0.relu``, ``layer1.0.relu_1``. ``node_to_qualname`` maps nodes to names, in
    execution order.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.current_module_qualname = ""
        self.node_to_qualname: dict[fx.Node, str] = {}

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Override `fx.Tracer.call_module` to record the path of the current module."""
        former = self.current_module_qualname
        try:
            self.current_module_qualname = self.path_of_module(m)
            return super().call_module(m, forward, args, kwargs)
        finally:
            self.current_module_qualname = former

    def create_proxy(
        self, kind: str, target: Any, args: Any, kwargs: Any, name: str | None = None, type_expr: Any = None, *_: Any
    ) -> fx.Proxy:
        """Override `fx.Tracer.create_proxy` to record the name of the node."""
        proxy = super().create_proxy(kind, target, args, kwargs, name, type_expr)
        self.node_to_qualname[proxy.node] = self._get_node_qualname(self.current_module_qualname, proxy.node)
        return proxy

    def _get_node_qualname(self, module_qualname: str, node: fx.Node) -> str:
        name = module_qualname
        if node.op != "call_module":
            name = f"{name}.{node}" if name else str(node)
        name = re.sub(r"(?<=.)_[0-9]+$", "", name)
        again = re.compile(rf"{re.escape(name)}(?:_([0-9]+))?")
        for existing in reversed(self.node_to_qualname.values()):
            if found := again.fullmatch(existing):
                return f"{name}_{int(found[1] or 0) + 1}"
        return name


def _tracer_options(tracer_kwargs: dict[str, Any] | None) -> dict[str, Any]:
    """Return the options of a tracer that treats all functions and layers of ``vision.ops`` as leaves."""
    options = dict(tracer_kwargs or {})
    layers = [kind for _, kind in inspect.getmembers(ops, inspect.isclass) if issubclass(kind, nn.Module)]
    modules: tuple[ModuleType, ...] = (math, ops)
    options["autowrap_modules"] = tuple(dict.fromkeys((*options.get("autowrap_modules", ()), *modules)))
    options["leaf_modules"] = list(dict.fromkeys((*options.get("leaf_modules", ()), *layers)))
    return options


def _trace(
    model: nn.Module, mode: bool, options: dict[str, Any], concrete_args: dict[str, Any] | None
) -> tuple[NodePathTracer, fx.Graph]:
    tracer = NodePathTracer(**options)
    return tracer, tracer.trace(model.train(mode), concrete_args=concrete_args)


def _is_subsequence(names: list[str], whole: list[str]) -> bool:
    rest = iter(whole)
    return all(name in rest for name in names)


def _warn_of_differences(train: NodePathTracer, evaluation: NodePathTracer) -> None:
    in_train, in_eval = list(train.node_to_qualname.values()), list(evaluation.node_to_qualname.values())
    if in_train == in_eval:
        return
    text = _NODES_DIFFER
    if _is_subsequence(in_eval, in_train):
        text = _SUBSEQUENCE_NOTE.format("eval", "train")
    elif _is_subsequence(in_train, in_eval):
        text = _SUBSEQUENCE_NOTE.format("train", "eval")
    warnings.warn(text + _ADVICE, stacklevel=3)


def get_graph_node_names(
    model: nn.Module,
    tracer_kwargs: dict[str, Any] | None = None,
    suppress_diff_warning: bool = False,
    concrete_args: dict[str, Any] | None = None,
) -> tuple[list[str], list[str]]:
    """Return the names of a model's nodes in training mode and in evaluation mode, in execution order.

    Args:
        model: the model.
        tracer_kwargs: options of `NodePathTracer`. ``math`` and ``vision.ops`` are always leaves.
        suppress_diff_warning: if True, do not warn when the two lists differ.
        concrete_args: see `fx.Tracer.trace`.

    >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    >>> training, evaluation = get_graph_node_names(model)
    >>> evaluation
    ['input', '0', '1']
    """
    options, was_training = _tracer_options(tracer_kwargs), model.training
    try:
        train, _ = _trace(model, True, options, concrete_args)
        evaluation, _ = _trace(model, False, options, concrete_args)
    finally:
        model.train(was_training)
    if not suppress_diff_warning:
        _warn_of_differences(train, evaluation)
    return list(train.node_to_qualname.values()), list(evaluation.node_to_qualname.values())


class DualGraphModule(fx.GraphModule):
    """`fx.GraphModule` with a graph for training and a graph for evaluation. The method `train` selects the graph."""

    train_graph: fx.Graph
    eval_graph: fx.Graph

    def __init__(
        self, root: nn.Module, train_graph: fx.Graph, eval_graph: fx.Graph, class_name: str = "GraphModule"
    ) -> None:
        nn.Module.__init__(self)
        type(self).__name__ = class_name
        object.__setattr__(self, "train_graph", train_graph)
        object.__setattr__(self, "eval_graph", eval_graph)
        for graph in (train_graph, eval_graph):
            for node in graph.nodes:
                if node.op in ("get_attr", "call_module"):
                    _share(root, self, str(node.target))
        self._tracer_cls: Any = train_graph._tracer_cls
        self._tracer_extras: dict[str, Any] = {}
        self.meta: dict[str, Any] = {}
        self.graph = train_graph

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all layers, and select the graph of this mode."""
        wanted = self.train_graph if mode else self.eval_graph
        if wanted is not self.graph:
            self.graph = wanted
        return super().train(mode)

    def __deepcopy__(self, memo: dict[int, Any]) -> DualGraphModule:
        graphs = copy.deepcopy(self.train_graph), copy.deepcopy(self.eval_graph)
        root = nn.Module()
        state = {name: value for name, value in vars(self).items() if not name.endswith("graph")}
        vars(root).update(copy.deepcopy(state, memo))
        copied = DualGraphModule(root, *graphs, type(self).__name__)
        memo[id(self)] = copied
        return copied.train(self.training)


def _named(nodes: list[str] | dict[str, str]) -> dict[str, str]:
    pairs = nodes.items() if isinstance(nodes, dict) else ((node, node) for node in nodes)
    return {str(key): str(name) for key, name in pairs}


def _return(tracer: NodePathTracer, graph: fx.Graph, wanted: dict[str, str]) -> None:
    """Change a graph so that it returns only the requested values. ``wanted`` maps node names to names in the result.

    A name or prefix that several nodes have refers to the last of these nodes.
    """
    for query in wanted:
        if not any(name == query or name.startswith(f"{query}.") for name in tracer.node_to_qualname.values()):
            raise ValueError(_MISSING_NODE.format(query))
    graph.erase_node(graph.output_node())
    nodes = list(graph.nodes)
    left, results = dict(wanted), {}
    for node in reversed(nodes):
        name = tracer.node_to_qualname.get(node, "")
        for query in [query for query in left if name == query or name.startswith(f"{query}.")]:
            results[left.pop(query)] = node
    graph.output(dict(reversed(results.items())))
    graph.eliminate_dead_code()


def create_feature_extractor(
    model: nn.Module,
    return_nodes: list[str] | dict[str, str] | None = None,
    train_return_nodes: list[str] | dict[str, str] | None = None,
    eval_return_nodes: list[str] | dict[str, str] | None = None,
    tracer_kwargs: dict[str, Any] | None = None,
    suppress_diff_warning: bool = False,
    concrete_args: dict[str, Any] | None = None,
) -> fx.GraphModule:
    """Return a module that returns intermediate values of ``model`` as a dictionary and computes nothing else.

    Args:
        model: the model. The result shares its layers.
        return_nodes: list of names of nodes (see `get_graph_node_names`), or a dictionary that maps them to names in
            the result. A prefix that ends before a dot, such as ``"layer1"``, refers to the last node with this prefix.
        train_return_nodes, eval_return_nodes: nodes for training and for evaluation mode, in place of ``return_nodes``.
        tracer_kwargs, suppress_diff_warning, concrete_args: see `get_graph_node_names`.
    Raises: ValueError for unknown names, or if only one of ``train_return_nodes`` and ``eval_return_nodes`` is given.

    >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    >>> extractor = create_feature_extractor(model, {"1": "hidden"})
    >>> {name: value.shape for name, value in extractor(fb.zeros(4, 2)).items()}
    {'hidden': flambeau.Size([4, 3])}
    """
    if return_nodes is None and train_return_nodes is None and eval_return_nodes is None:
        raise ValueError(
            "Either `return_nodes` or `train_return_nodes` and `eval_return_nodes` together, should be specified"
        )
    if (train_return_nodes is None) != (eval_return_nodes is None):
        raise ValueError(
            "If any of `train_return_nodes` and `eval_return_nodes` are specified, then both should be specified"
        )
    if (return_nodes is None) == (train_return_nodes is None):
        raise ValueError(_ONE_OR_BOTH)
    options, was_training = _tracer_options(tracer_kwargs), model.training
    try:
        train, train_graph = _trace(model, True, options, concrete_args)
        evaluation, eval_graph = _trace(model, False, options, concrete_args)
    finally:
        model.train(was_training)
    in_train: Any = train_return_nodes if return_nodes is None else return_nodes
    in_eval: Any = eval_return_nodes if return_nodes is None else return_nodes
    for tracer, graph, wanted in ((train, train_graph, in_train), (evaluation, eval_graph, in_eval)):
        graph.owning_module = fx.GraphModule(model, graph)
        _return(tracer, graph, _named(wanted))
    if not suppress_diff_warning:
        _warn_of_differences(train, evaluation)
    return DualGraphModule(model, train_graph, eval_graph, model._get_name()).train(was_training)
