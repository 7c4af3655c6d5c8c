"""Custom compiler backends: ``flambeau.compile(model, backend=function)``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import flambeau
from flambeau import Tensor
from flambeau._compile._containers import Contents
from flambeau._compile._function import _Leaves
from flambeau._compile._guards import Snapshot, UnguardedError
from flambeau._compile._logs import UnsupportedError
from flambeau._compile._modes import changed_mode, thread_modes
from flambeau._compile._optimized_module import OptimizedModule
from flambeau._compile._other_backend import other_backend
from flambeau._compile._refusal import object_change
from flambeau._settings import warn_once
from flambeau.nn import Module
from flambeau.utils import _pytree as pytree

from ._symbolic_trace import PH, Tracer
from .graph_module import GraphModule
from .node import Node

MAX_GRAPHS = 8  # maximal number of graphs per program, PyTorch's default

Backend = Callable[[GraphModule, list[Tensor]], Callable[..., Any]]


class _TensorArguments(Module):
    """Module that takes only the tensor arguments of a program, and calls the program with all arguments.

    ``constants`` holds the other leaves and marks the positions of tensors.
    """

    def __init__(self, program: Callable[..., Any], spec: Any, constants: list[Any]) -> None:
        super().__init__()
        self.program = program
        self.spec, self.constants = spec, constants

    def forward(self, *tensors: Any) -> Any:
        given = iter(tensors)
        leaves = [next(given) if constant is PH else constant for constant in self.constants]
        args, kwargs = pytree.tree_unflatten(leaves, self.spec)
        contents = Contents((args, kwargs))
        result = self.program(*args, **kwargs)
        if contents.have_changed() or contents.shares_container_with(result):
            raise NotImplementedError("it changes or returns an argument that is a list, dictionary or other container")
        return result


class _GraphTracer(Tracer):
    """Tracer of functions that run in one mode, because a graph contains neither the grad mode nor autocast."""

    def __init__(self) -> None:
        super().__init__()
        self._modes = thread_modes()

    def create_node(self, *args: Any, **kwargs: Any) -> Node:
        if changed := changed_mode(self._modes):
            raise UnsupportedError(f"an operator of the function runs in another {changed} than its caller")
        return super().create_node(*args, **kwargs)


class _CompiledCall(NamedTuple):
    """Guards of a graph, and the function that the backend returned for the graph."""

    guards: Snapshot
    function: Callable[..., Any]


class Compiled:
    """Compiled calls of a program. They depend on the shapes and dtypes of tensors, and on all other arguments.

    A graph contains the values of numbers, attributes and globals that the program has read. It is traced again if one
    of them has changed (Note [Guards]).
    """

    def __init__(self, program: Callable[..., Any], backend: Backend, fullgraph: bool) -> None:
        self._program, self._backend, self._fullgraph = program, backend, fullgraph
        self._calls: dict[Any, list[_CompiledCall]] = {}
        self._uncompiled: set[Any] = set()  # keys of calls that run the program itself
        self._count = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with other_backend:
            return self._call(args, kwargs)

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        described = _Leaves(args, kwargs)
        if described.key is None:  # the class of an argument can intercept operators
            return self._program(*args, **kwargs)
        leaves, spec = pytree.tree_flatten((args, kwargs))
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        key = described.with_sizes()
        calls = self._calls.setdefault(key, [])
        for guards, function in calls:
            if guards.first_change() is None:
                return function(*tensors)
        if self._count >= MAX_GRAPHS or key in self._uncompiled:
            return self._program(*args, **kwargs)
        try:
            guards, graph = self._trace(leaves, spec, len(tensors))
        except Exception as error:
            if self._fullgraph:
                raise
            self._warn(error)
            graph = None
        if graph is None:
            self._uncompiled.add(key)
            return self._program(*args, **kwargs)
        self._count += 1
        function = self._backend(graph, tensors)
        calls.append(_CompiledCall(guards, function))
        return function(*tensors)

    def _trace(self, leaves: list[Any], spec: Any, count: int) -> tuple[Snapshot, GraphModule | None]:
        """Return the guards and the graph of a call; no graph if it would have no operators.

        Raises: UnsupportedError if no graph can represent the program.
        """
        constants = [PH if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        root = _TensorArguments(self._program, spec, constants)
        try:
            guards = Snapshot({"program": self._program, "arguments": constants})
        except UnguardedError as error:
            raise UnsupportedError(str(error)) from None
        random_state = flambeau.get_rng_state()
        try:
            graph = _GraphTracer().trace(root, (PH,) * count)  # type: ignore[arg-type]
        except Exception as error:
            guards.undo_changes()
            raise UnsupportedError(str(error)) from error
        if (change := guards.first_change()) is not None:
            guards.undo_changes()
            raise UnsupportedError(object_change(change).text)
        if not flambeau.equal(flambeau.get_rng_state(), random_state):
            flambeau.set_rng_state(random_state)
            raise UnsupportedError("the function draws random numbers without a tensor argument")
        if not any(node.op in ("call_function", "call_method", "call_module") for node in graph.nodes):
            return guards, None  # as in PyTorch, a backend does not receive a graph without operators
        return guards, GraphModule(root, graph)

    def _warn(self, error: Exception) -> None:
        name = getattr(self._program, "__name__", type(self._program).__name__)
        warn_once(f"compile: {name} cannot be traced and runs without compilation: {error}")


class ModuleOfBackend(OptimizedModule):
    """Module that is called through a backend."""

    def __init__(self, module: Module, backend: Backend, fullgraph: bool) -> None:
        super().__init__(module)
        object.__setattr__(self, "_compiled", Compiled(module, backend, fullgraph))

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function that the backend returned for arguments of these shapes and dtypes."""
        return self._compiled(*args, **kwargs)


def compiled(program: Any, backend: Backend, fullgraph: bool) -> Any:
    """Wrap a program with a backend; the backend gets a `GraphModule` and the tensors of the first matching call.

    There is one graph per combination of shapes, dtypes and other arguments, up to eight. Further combinations run the
    program directly. A program that cannot be traced also runs directly, after a warning.

    Raises: UnsupportedError when it is called, if ``fullgraph`` is set and the program cannot be traced.
    """
    if isinstance(program, Module):
        return ModuleOfBackend(program, backend, fullgraph)
    calls = Compiled(program, backend, fullgraph)

    @functools.wraps(program)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return calls(*args, **kwargs)

    return wrapper
