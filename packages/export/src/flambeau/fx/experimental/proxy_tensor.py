"""``make_fx``: trace a function to a graph of the ``ops.aten`` operators that it calls.

>>> import flambeau
>>> def gradient(x):
...     y = x.sin().sum()
...     return flambeau.autograd.grad(y, x)[0]
>>> traced = make_fx(gradient)(flambeau.ones(2, requires_grad=True))
>>> [str(node.target) for node in traced.graph.nodes if node.op == "call_function"][:3]
['aten.sin.default', 'aten.sum.default', 'aten.ones_like.default']
>>> [str(node.target) for node in traced.graph.nodes if node.op == "call_function"][3:]
['aten.expand.default', 'aten.cos.default', 'aten.mul.Tensor']

A mode with ``__torch_dispatch__`` is active while the function runs. The mode receives operators below autograd, so
operators of the backward pass are also traced. Composite operators are traced as the operators that they call.
"""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable
from typing import Any

import flambeau
from flambeau import Tensor
from flambeau._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from flambeau.fx.graph import Graph
from flambeau.fx.graph_module import GraphModule
from flambeau.fx.node import Node
from flambeau.utils import _pytree
from flambeau.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode_stack

__all__ = ["ProxyTorchDispatchMode", "get_innermost_proxy_mode", "get_proxy_mode", "make_fx"]

_MODES = ("real", "fake")


class ProxyTorchDispatchMode(TorchDispatchMode):
    """Mode that runs each operator and records it in a graph.

    Attributes:
        graph: the graph.
        constants: tensors from outside the function, by name.

    >>> from flambeau.fx.experimental.proxy_tensor import ProxyTorchDispatchMode
    >>> with ProxyTorchDispatchMode() as mode:
    ...     y = fb.ones(2).exp()
    >>> [node.name for node in mode.graph.nodes]
    ['ones', 'exp']
    """

    def __init__(self, decomposition_table: dict[Any, Callable[..., Any]] | None = None) -> None:
        self.graph = Graph()
        self.constants: dict[str, Tensor] = {}
        self.decomposition_table = decomposition_table or {}
        self._nodes: dict[int, Node] = {}
        self._held: list[Tensor] = []  # references that keep the tensors alive, so that their ids stay unique

    def track(self, tensor: Tensor, node: Node) -> None:
        """Associate a node with a tensor."""
        self._nodes[id(tensor)] = node
        self._held.append(tensor)
        node.meta.setdefault("val", tensor)

    def node_of(self, tensor: Tensor) -> Node:
        """Return the node of a tensor. If it has no node, add the tensor as a constant."""
        if id(tensor) not in self._nodes:
            name = f"_tensor_constant{len(self.constants)}"
            self.constants[name] = tensor
            self.track(tensor, self.graph.get_attr(name))
        return self._nodes[id(tensor)]

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in self.decomposition_table:
            with self:
                result = self.decomposition_table[func](*args, **kwargs)
            if result is not NotImplemented:
                return result
        given, named = _pytree.tree_map_only(Tensor, self.node_of, (args, kwargs))
        name = self.graph._target_to_str(func.overloadpacket.__name__)
        node = self.graph.create_node("call_function", func, tuple(given), dict(named), name)
        result = func(*args, **kwargs)
        self._track_results(result, node)
        return result

    def _track_results(self, result: Any, node: Node) -> None:
        if isinstance(result, Tensor):
            self.track(result, node)
        elif isinstance(result, (tuple, list)):
            for i, item in enumerate(result):
                if isinstance(item, (Tensor, tuple, list)):
                    self._track_results(item, self.graph.call_function(operator.getitem, (node, i)))


def get_innermost_proxy_mode() -> ProxyTorchDispatchMode | None:
    """Return the innermost mode that traces in this thread, or None.

    >>> from flambeau.fx.experimental.proxy_tensor import get_innermost_proxy_mode, make_fx
    >>> traced = make_fx(lambda x: x if get_innermost_proxy_mode() is None else x.exp())(fb.ones(2))
    >>> [node.name for node in traced.graph.nodes]
    ['x_1', 'exp', 'output']
    """
    modes = [mode for mode in _get_current_dispatch_mode_stack() if isinstance(mode, ProxyTorchDispatchMode)]
    return modes[-1] if modes else None


def get_proxy_mode() -> ProxyTorchDispatchMode | None:
    """Return the mode that traces in this thread, or None. See `get_innermost_proxy_mode`."""
    return get_innermost_proxy_mode()


def make_fx(
    f: Callable[..., Any],
    decomposition_table: dict[Any, Callable[..., Any]] | None = None,
    tracing_mode: str = "real",
    _allow_non_fake_inputs: bool = False,
    *,
    pre_dispatch: bool = False,
    **_: Any,
) -> Callable[..., GraphModule]:
    """Return a function that traces ``f`` for its arguments.

    The graph contains the operators that ``f`` calls with these arguments, also in backward passes. Sizes, numbers and
    decisions of ``f`` that depend on values are constants.

    Args:
        f: function that takes and returns tensors or nested structures of them.
        decomposition_table: dictionary from overloads to functions that are traced instead.
        tracing_mode: ``"real"`` computes values; ``"fake"`` traces with tensors without elements.
        _allow_non_fake_inputs: if True, ``f`` may use other tensors when it is traced with ``"fake"``.
    Raises: NotImplementedError for ``tracing_mode="symbolic"`` and ``pre_dispatch=True``.

    >>> from flambeau.fx.experimental.proxy_tensor import make_fx
    >>> traced = make_fx(lambda x: x.relu().sum())(fb.ones(3))
    >>> [node.name for node in traced.graph.nodes]
    ['x_1', 'relu', 'sum_1', 'output']
    """
    if tracing_mode == "symbolic":
        raise NotImplementedError("make_fx: flambeau has no symbolic sizes; use tracing_mode='fake'")
    if tracing_mode not in _MODES:
        raise ValueError(f"Unexpected tracing mode type: {tracing_mode}")
    if pre_dispatch:
        raise NotImplementedError("make_fx: pre_dispatch=True is not implemented; operators are traced below autograd")

    @functools.wraps(f)
    def wrapped(*args: Any) -> GraphModule:
        mode = ProxyTorchDispatchMode(decomposition_table)
        fake = FakeTensorMode(allow_non_fake_inputs=_allow_non_fake_inputs) if tracing_mode == "fake" else None
        leaves, structure = _pytree.tree_flatten(args)
        leaves = [_traced(leaf, fake) for leaf in leaves]
        for leaf, name in zip(leaves, _names(f, args), strict=True):
            node = mode.graph.placeholder(name)
            if isinstance(leaf, Tensor):
                mode.track(leaf, node)
            else:
                node.meta["val"] = leaf
        traced_args = _pytree.tree_unflatten(leaves, structure)
        if fake is None:
            with mode:
                result = f(*traced_args)
        else:
            with fake, mode:
                result = f(*traced_args)
        mode.graph.output(_pytree.tree_map_only(Tensor, mode.node_of, result))
        module = GraphModule(_root(f, mode), mode.graph)
        module.recompile()
        return module

    return wrapped


def _traced(leaf: Any, fake: FakeTensorMode | None) -> Any:
    """Return the tensor that replaces an argument leaf during tracing."""
    if not isinstance(leaf, Tensor):
        return leaf
    return leaf if fake is None or isinstance(leaf, FakeTensor) else fake.from_tensor(leaf)


def _names(f: Callable[..., Any], args: tuple[Any, ...]) -> list[str]:
    """Return the names of the placeholders: parameter names with a number, or ``arg0_1`` if ``f`` takes ``*args``."""
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    fixed = not any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters)
    names: list[str] = []
    for i, value in enumerate(args):
        name = parameters[i].name if fixed and i < len(parameters) else f"arg{i}"
        count = len(_pytree.tree_leaves(value))
        names += [f"{name}_{k + 1}" for k in range(count)]
    return names


def _root(f: Callable[..., Any], mode: ProxyTorchDispatchMode) -> flambeau.nn.Module:
    root = flambeau.nn.Module()
    for name, tensor in mode.constants.items():
        setattr(root, name, tensor)
    return root
