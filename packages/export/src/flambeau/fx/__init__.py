"""Programs as graphs: symbolic tracing, transformation and code generation.

`symbolic_trace` runs a module or a function once with symbolic values, records the operations as a `Graph`, and returns
a `GraphModule` with a generated ``forward``. Passes transform the graph.

>>> from flambeau import fx
>>> traced = fx.symbolic_trace(lambda x: fb.relu(x) + 1)
>>> for node in traced.graph.nodes:
...     if node.target is fb.relu:
...         node.target = fb.sigmoid
>>> code = traced.recompile()
>>> traced(fb.zeros(2))
tensor([1.5000, 1.5000])
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from flambeau import _public_names, _suggestions
from flambeau.nn._leaf_functions import wrap

if TYPE_CHECKING:
    from . import (
        experimental as experimental,
        immutable_collections as immutable_collections,
        node as node,
        passes as passes,
        proxy as proxy,
    )
    from ._symbolic_trace import PH, ProxyableClassMeta, Tracer, symbolic_trace
    from .graph import CodeGen, Graph
    from .graph_module import GraphModule
    from .interpreter import Interpreter, Transformer
    from .node import Node, has_side_effect, map_arg
    from .proxy import Proxy
    from .subgraph_rewriter import replace_pattern

__all__ = [
    "PH",
    "CodeGen",
    "Graph",
    "GraphModule",
    "Interpreter",
    "Node",
    "Proxy",
    "ProxyableClassMeta",
    "Tracer",
    "Transformer",
    "has_side_effect",
    "immutable_collections",
    "map_arg",
    "replace_pattern",
    "symbolic_trace",
    "wrap",
]

_HOME_MODULES = {
    **dict.fromkeys(("PH", "ProxyableClassMeta", "Tracer", "symbolic_trace"), "_symbolic_trace"),
    **dict.fromkeys(("CodeGen", "Graph"), "graph"),
    **dict.fromkeys(("Interpreter", "Transformer"), "interpreter"),
    **dict.fromkeys(("Node", "has_side_effect", "map_arg"), "node"),
    "GraphModule": "graph_module",
    "Proxy": "proxy",
    "replace_pattern": "subgraph_rewriter",
}
_MODULES = {"immutable_collections", "experimental", "passes", "_compile", "_pytree", *_HOME_MODULES.values()}


if not TYPE_CHECKING:  # hidden from type checkers, so that they report undefined names

    def __getattr__(name: str) -> Any:
        if name in _HOME_MODULES:
            return getattr(importlib.import_module(f"{__name__}.{_HOME_MODULES[name]}"), name)
        if name in _MODULES:
            return importlib.import_module(f"{__name__}.{name}")
        raise _suggestions.unknown_attribute(__name__, name)


def __dir__() -> list[str]:
    return _public_names.public_names(globals(), (*__all__, *_MODULES))
