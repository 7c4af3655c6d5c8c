"""Custom compiler backends: ``flambeau.compile(model, backend=function)``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from flambeau import Tensor
from flambeau._compile._containers import Contents
from flambeau._compile._optimized_module import OptimizedModule
from flambeau._compile._other_backend import other_backend
from flambeau._settings import warn_once
from flambeau.nn import Module
from flambeau.utils import _pytree as pytree

from ._symbolic_trace import PH, Tracer
from .graph_module import GraphModule

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


class Compiled:
    """Cache of compiled calls of a program, keyed by the shapes and dtypes of tensors and by other arguments."""

    def __init__(self, program: Callable[..., Any], backend: Backend) -> None:
        self.program, self.backend = program, backend
        self.made: dict[Any, Callable[..., Any] | None] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with other_backend:
            return self._call(args, kwargs)

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        leaves, spec = pytree.tree_flatten((args, kwargs))
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        looks = tuple((leaf.shape, leaf.dtype) if isinstance(leaf, Tensor) else leaf for leaf in leaves)
        key = (getattr(self.program, "training", None), str(spec), looks)
        try:
            known = key in self.made
        except TypeError:  # an argument is not hashable
            return self.program(*args, **kwargs)
        if not known:
            if len(self.made) >= MAX_GRAPHS:
                return self.program(*args, **kwargs)
            self.made[key] = self._compiled(leaves, spec, tensors)
        function = self.made[key]
        return self.program(*args, **kwargs) if function is None else function(*tensors)

    def _compiled(self, leaves: list[Any], spec: Any, tensors: list[Tensor]) -> Callable[..., Any] | None:
        root = _TensorArguments(self.program, spec, [PH if isinstance(leaf, Tensor) else leaf for leaf in leaves])
        try:
            graph = Tracer().trace(root, (PH,) * len(tensors))  # type: ignore[arg-type]
        except Exception as error:
            name = getattr(self.program, "__name__", type(self.program).__name__)
            warn_once(f"compile: {name} cannot be traced and runs without compilation: {error}")
            return None
        if not any(node.op in ("call_function", "call_method", "call_module") for node in graph.nodes):
            return None  # as in PyTorch, a backend does not receive a graph without operators
        return self.backend(GraphModule(root, graph), tensors)


class ModuleOfBackend(OptimizedModule):
    """Module that is called through a backend."""

    def __init__(self, module: Module, backend: Backend) -> None:
        super().__init__(module)
        object.__setattr__(self, "_compiled", Compiled(module, backend))

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function that the backend returned for arguments of these shapes and dtypes."""
        return self._compiled(*args, **kwargs)


def compiled(program: Any, backend: Backend) -> Any:
    """Wrap a program with a backend; the backend gets a `GraphModule` and the tensors of the first matching call.

    There is one graph per combination of shapes, dtypes and other arguments, up to eight. Further combinations run the
    program directly. A program that cannot be traced also runs directly, after a warning.
    """
    if isinstance(program, Module):
        return ModuleOfBackend(program, backend)
    calls = Compiled(program, backend)

    @functools.wraps(program)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return calls(*args, **kwargs)

    return wrapper
