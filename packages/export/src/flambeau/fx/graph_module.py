"""Modules with a ``forward`` that is generated from a graph."""

from __future__ import annotations

import copy
import itertools
import linecache
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from flambeau import Tensor
from flambeau._naming import own_module
from flambeau.nn import Module, Parameter

from ._codegen import PythonCode
from ._names import custom_builtins
from ._pytree_code import PyTreeCodeGen
from ._saved_code import write_folder
from .graph import Graph

__all__ = ["GraphModule", "reduce_graph_module"]

REMINDER = "# To see more debug info, please use `graph_module.print_readable()`"
TARGET_MISSING = "Node {node} referenced target {target} but that target was not provided in ``root``!"
_FILE = "<eval_with_key>"
_file_numbers = itertools.count()
_keep_source: dict[str, str] = {}


class _Sources:
    """Import loader from which tracebacks read the lines of generated code."""

    @staticmethod
    def get_source(name: str) -> str | None:
        return _keep_source.get(name)


def _compiled(source: str, variables: dict[str, Any], name: str = "forward") -> Callable[..., Any]:
    """Compile generated code and return its function."""
    file = f"{_FILE}.{next(_file_numbers)}"
    _keep_source[file] = source
    variables = {**variables, "__file__": file, "__name__": file, "__loader__": _Sources}
    linecache.lazycache(file, variables)
    exec(compile(source, file, "exec", dont_inherit=True), variables)
    function: Callable[..., Any] = variables.pop(name)
    return function


class GraphModule(Module):
    """Module with a ``forward`` that is generated from a graph.

    Args:
        root: a module, or a dictionary with paths as keys, that contains the submodules, parameters and buffers of the
            graph. They are shared, not copied.
        graph: the graph. Call `recompile` after changes.
        class_name: name of the module's class.
    Raises: RuntimeError if the root has another type, or lacks an attribute that the graph uses.

    >>> graph = fb.fx.Graph()
    >>> output = graph.output(graph.call_module("layer", (graph.placeholder("x"),)))
    >>> fb.fx.GraphModule({"layer": nn.ReLU()}, graph)(fb.tensor([-1.0, 1.0]))
    tensor([0., 1.])
    """

    _graph: Graph
    _code: str

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        base = next(c for c in cls.__mro__ if "_is_generated" not in vars(c))
        generated = type("GraphModuleImpl", (base,), {"_is_generated": True, "__module__": __name__})
        made: Self = super().__new__(generated)
        return made

    def __init__(self, root: Module | dict[str, Any], graph: Graph, class_name: str = "GraphModule") -> None:
        super().__init__()
        type(self).__name__ = class_name
        needed = [node for node in graph.nodes if node.op in ("get_attr", "call_module")]
        if isinstance(root, Module):
            self.training = root.training
            if isinstance(root, _CodeOnlyModule):
                for named in (root.named_children, root.named_buffers, root.named_parameters):
                    for path, _ in named():
                        _share(root, self, path)
            for node in needed:
                _share(root, self, str(node.target))
        elif isinstance(root, dict):
            for node in needed:
                if node.target not in root:
                    raise RuntimeError(TARGET_MISSING.format(node=node, target=node.target))
            for path in sorted(dict.fromkeys(str(node.target) for node in needed), key=lambda path: path.count(".")):
                _assign(self, path, root[path])
        else:
            raise RuntimeError(f"Unsupported type {root} passed for root!")
        self.graph = graph
        own_tracer = graph._tracer_cls is not None and "<locals>" not in graph._tracer_cls.__qualname__
        self._tracer_cls = graph._tracer_cls if own_tracer else None
        self._tracer_extras = graph._tracer_extras or {}
        self.meta: dict[str, Any] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except Exception as error:
            _add_code(error)
            raise

    @property
    def graph(self) -> Graph:
        """Graph of the module. Assignment generates the code again."""
        return self._graph

    @graph.setter
    def graph(self, g: Graph) -> None:
        assert isinstance(g, Graph), f"Expected a Graph instance, but got {type(g)}"
        object.__setattr__(self, "_graph", g)
        g.owning_module = self
        self.recompile()

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "graph":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    @property
    def code(self) -> str:
        """Source of ``forward``."""
        return self._code

    def recompile(self) -> PythonCode:
        """Generate ``forward`` from the current graph."""
        codegen = self._graph._codegen
        if isinstance(codegen, PyTreeCodeGen):
            self._in_spec, self._out_spec = codegen.in_spec, codegen.out_spec
        made: PythonCode = self._graph.python_code(root_module="self")
        self._code = made.src
        type(self).forward = _compiled(made.src, made.globals, codegen._func_name)  # type: ignore[method-assign]
        for child in self.children():
            if isinstance(child, GraphModule):
                child.recompile()
        return made

    # Submodules

    def add_submodule(self, target: str, m: Module) -> bool:
        """Add a module at a dotted path and create missing parents. Return False if a parent is not a module."""
        *above, name = target.split(".")
        owner: Module = self
        for part in above:
            child = getattr(owner, part, None)
            if child is None:
                child = Module()
                setattr(owner, part, child)
            if not isinstance(child, Module):
                return False
            owner = child
        owner.add_module(name, m)
        return True

    def delete_submodule(self, target: str) -> bool:
        """Remove the module at a dotted path. Return False if it does not exist."""
        *above, name = target.split(".")
        owner: Any = self
        for part in above:
            owner = getattr(owner, part, None)
        if not isinstance(owner, Module) or not isinstance(getattr(owner, name, None), Module):
            return False
        delattr(owner, name)
        return True

    def delete_all_unused_submodules(self) -> None:
        """Remove the modules that no node uses, directly or through a parent or child."""
        used: set[str] = set()
        for node in self.graph.nodes:
            if node.op not in ("call_module", "get_attr"):
                continue
            path = str(node.target)
            used.update(itertools.accumulate(path.split("."), lambda left, right: f"{left}.{right}"))
            if node.op == "call_module" and isinstance(_at(self, path), Module):
                used.update(f"{path}.{name}" for name, _ in self.get_submodule(path).named_modules() if name)
        for name, _ in list(self.named_modules()):
            if name and name not in used:
                self.delete_submodule(name)

    # Copies and files

    def __deepcopy__(self, memo: dict[int, Any]) -> GraphModule:
        copied = type(self).__new__(type(self))
        memo[id(self)] = copied
        state = copy.deepcopy({name: value for name, value in vars(self).items() if name != "_graph"}, memo)
        graph = copy.deepcopy(self._graph)
        GraphModule.__init__(copied, _CodeOnlyModule(state), graph, type(self).__name__)
        for name, value in state.items():
            if name not in vars(copied):
                object.__setattr__(copied, name, value)
        copied._hooks, copied.meta = state.get("_hooks"), state.get("meta", {})
        copied._tracer_cls, copied._tracer_extras = self._tracer_cls, self._tracer_extras
        return copied

    def __copy__(self) -> GraphModule:
        made = GraphModule(self, self.graph, type(self).__name__)
        made.meta = self.meta
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        code = self.recompile()
        state = {name: value for name, value in vars(self).items() if name != "_graph"}
        state["_graphmodule_cls_name"] = type(self).__name__
        return reduce_graph_module, (state, import_block(code.globals))

    def to_folder(self, folder: str | Path, module_name: str = "FxModule") -> None:
        """Write the module as a package: source, state, and pickles of layers that repr() cannot recreate."""
        write_folder(self, Path(folder), module_name)

    # Text

    def print_readable(
        self,
        print_output: bool = True,
        include_stride: bool = False,
        include_device: bool = False,
        colored: bool = False,
        **options: Any,
    ) -> str:
        """Print the code as a class, with known shapes and source lines, and return it. ``colored`` is ignored."""
        text = self._readable(self._get_name(), include_stride=include_stride, include_device=include_device)
        if print_output:
            print(text)
        return text

    def _readable(self, name: str, **options: Any) -> str:
        source = self._graph.python_code(root_module="self", verbose=True, **options).src.lstrip("\n")
        text = _indent(f"class {name}(flambeau.nn.Module):\n{source}")
        inner = [child._readable(n, **options) for n, child in self.named_children() if isinstance(child, GraphModule)]
        return text + _indent("\n".join(["", *inner]))

    def __str__(self) -> str:
        return "\n".join([super().__str__(), self._code, REMINDER])


class _CodeOnlyModule(Module):
    """Temporary module that holds the attributes of a graph module while it is copied or loaded."""

    def __init__(self, state: dict[str, Any]) -> None:
        super().__init__()
        vars(self).update(state)


def import_block(variables: dict[str, Any]) -> str:
    """Return the import statements for the global names of generated code."""
    lines = set()
    for name, obj in variables.items():
        if name in custom_builtins:
            lines.add(custom_builtins[name].import_str)
        elif name == "fx_pytree":
            lines.add("import flambeau.fx._pytree as fx_pytree")
        else:
            lines.add(f"from {own_module(obj)} import {obj.__qualname__} as {name}")
    return "\n".join(sorted(lines))


def reduce_graph_module(body: dict[str, Any], import_block: str) -> Module:
    """Recreate a graph module by tracing its code again. Pickle calls this function.

    Args:
        body: attributes of the module.
        import_block: statements that import the global names of the code.

    >>> import pickle
    >>> traced = fb.fx.symbolic_trace(lambda x: fb.relu(x) + 1)
    >>> traced.__reduce__()[0].__name__
    'reduce_graph_module'
    >>> pickle.loads(pickle.dumps(traced))(fb.zeros(2))
    tensor([1., 1.])
    """
    from ._symbolic_trace import Tracer

    _CodeOnlyModule.forward = _compiled(import_block + body["_code"], {})  # type: ignore[method-assign]
    tracer_cls: Any = body.get("_tracer_cls") or Tracer

    class KeepModules(tracer_cls):  # type: ignore[misc]
        def is_leaf_module(self, m: Module, module_qualified_name: str) -> bool:
            return True

    root = _CodeOnlyModule(body)
    graph = KeepModules().trace(root, **body.get("_tracer_extras", {}))
    graph._tracer_cls = tracer_cls
    module = GraphModule(root, graph, body.get("_graphmodule_cls_name", "GraphModule"))
    for name, value in body.items():
        if not hasattr(module, name):
            setattr(module, name, value)
    module.meta = body.get("meta", {})
    return module


def _share(source: Any, target: Any, path: str) -> None:
    """Copy a reference to the attribute at a dotted path from ``source`` to ``target``. Create missing parents."""
    *above, name = path.split(".")
    for part in above:
        shared, child = getattr(source, part), getattr(target, part, None)
        if shared is child:
            return
        if child is None:
            child = Module()
            setattr(target, part, child)
        source, target = shared, child
    _assign(target, name, getattr(source, name))


def _at(owner: Any, path: str) -> Any:
    """Return the attribute at a dotted path; None if it does not exist."""
    for part in path.split("."):
        owner = getattr(owner, part, None)
    return owner


def _assign(owner: Any, path: str, value: Any) -> None:
    *above, name = path.split(".")
    for part in above:
        child = getattr(owner, part, None)
        if child is None:
            child = Module()
            setattr(owner, part, child)
        owner = child
    if isinstance(value, Tensor) and not isinstance(value, Parameter):
        owner.register_buffer(name, value)
    else:
        setattr(owner, name, value)


def _add_code(error: Exception) -> None:
    """Add the generated code around the failing line to an exception."""
    innermost = traceback.extract_tb(error.__traceback__)[-1]
    notes = getattr(error, "__notes__", [])
    if not innermost.filename.startswith(_FILE) or any("<--- HERE" in note for note in notes):
        return
    lines, number = linecache.getlines(innermost.filename), innermost.lineno or 0
    error.add_note(
        f"Call using an FX-traced Module, line {number} of the traced Module's generated forward function:\n"
        + "".join(lines[max(number - 2, 0) : number])
        + f"{'~' * len(innermost.line or '')}~~~ <--- HERE\n"
        + "".join(lines[number : number + 2])
    )


def _indent(text: str) -> str:
    first, *rest = text.split("\n")
    return "\n".join([first, *("    " + line if line.strip() else "" for line in rest)])
