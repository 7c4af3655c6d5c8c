"""Symbolic tracing: run a program once with symbolic values and record its operations."""

from __future__ import annotations

import functools as functools
import inspect
import math
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

import flambeau
from flambeau import Tensor
from flambeau._naming import own_module
from flambeau.nn import Module, Parameter, Sequential
from flambeau.nn._leaf_functions import wrap
from flambeau.utils import _pytree as pytree

from . import _patches
from ._compatibility import compatibility as compatibility
from ._functions import find_proxy
from ._patcher import (
    ScriptObject as ScriptObject,
    _autowrap_check as _autowrap_check,
    _orig_module_call as _orig_module_call,
    _orig_module_getattr as _orig_module_getattr,
    _patch_wrapped_functions as _patch_wrapped_functions,
    _Patcher as _Patcher,
)
from ._pytree_code import PyTreeCodeGen
from .graph import Graph
from .graph_module import GraphModule
from .node import Argument, base_types
from .proxy import ParameterProxy, Proxy, Scope, TracerBase, entered

__all__ = ["PH", "PHBase", "PHWithMeta", "ProxyableClassMeta", "Tracer", "symbolic_trace", "wrap"]

_tracing = threading.local()
_proxyable_classes: set[type] = set()


def is_fx_symbolic_tracing() -> bool:
    """Return True if this thread is tracing a program."""
    return getattr(_tracing, "depth", 0) > 0


is_fx_tracing = is_fx_symbolic_tracing


class ProxyableClassMeta(type):
    """Metaclass of classes whose construction from traced values becomes a node.

    >>> from flambeau import fx
    >>> class Pair(metaclass=fx.ProxyableClassMeta):
    ...     def __init__(self, left, right):
    ...         self.left, self.right = left, right
    >>> [node.name for node in fx.symbolic_trace(lambda x: Pair(x, x).left).graph.nodes]
    ['x', 'pair', 'getattr_1', 'output']
    """

    def __init__(cls, name: str, bases: tuple[type, ...], variables: dict[str, Any]) -> None:
        _proxyable_classes.add(cls)
        super().__init__(name, bases, variables)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if is_fx_tracing() and (proxy := find_proxy(args, kwargs)) is not None:
            return proxy.tracer.create_proxy("call_function", cls, args, kwargs)
        return super().__call__(*args, **kwargs)


class PHBase:
    """Marker for arguments in ``concrete_args`` that remain inputs."""

    def __repr__(self) -> str:
        return "PH"


PH = PHBase()


class PHWithMeta(PHBase):
    """Marker like `PH` that copies its attributes to the node of the input."""

    def __init__(self, ph_key: str | None = None) -> None:
        self.ph_key = ph_key


class Tracer(TracerBase):
    """Tracer of modules and functions; subclasses customise the graph.

    Args:
        autowrap_modules: Python modules; calls of their functions always become nodes.
        autowrap_functions: further functions whose calls always become nodes.
        param_shapes_constant: if True, sizes of parameters are ints, on which a program can branch.

    >>> class IntoLayers(fb.fx.Tracer):
    ...     def is_leaf_module(self, m, module_qualified_name):
    ...         return False
    >>> [node.op for node in IntoLayers().trace(nn.Sequential(nn.ReLU())).nodes]
    ['placeholder', 'call_function', 'output']
    """

    def __init__(
        self,
        autowrap_modules: tuple[ModuleType, ...] = (math,),
        autowrap_functions: tuple[Callable[..., Any], ...] = (),
        param_shapes_constant: bool = False,
    ) -> None:
        self._autowrap_function_ids = {
            id(value)
            for module in autowrap_modules
            for name, value in vars(module).items()
            if not name.startswith("_") and callable(value)
        } | {id(function) for function in autowrap_functions}
        self._autowrap_search = list(autowrap_modules)
        self.param_shapes_constant = param_shapes_constant
        self.root: Any = None
        self.root_module_name = ""
        self.submodule_paths: dict[Module, str] | None = None
        self.tensor_attrs: dict[Any, str] = {}
        self.scope = Scope("", None)
        self.module_stack = OrderedDict()
        self.node_name_to_scope = {}
        self.num_calls: dict[str, int] = {}
        self._counts: dict[str, int] = {}

    # Modules

    def is_leaf_module(self, m: Module, module_qualified_name: str) -> bool:
        """Return True if each call of ``m`` is a single node: for flambeau's modules, except `Sequential`."""
        return own_module(type(m)).startswith("flambeau.nn") and not isinstance(m, Sequential)

    def path_of_module(self, mod: Module) -> str:
        """Return the path of a module below the root. Raises NameError if it is not a submodule."""
        if self.submodule_paths:
            path = self.submodule_paths.get(mod)
        else:
            path = next((name for name, module in self.root.named_modules() if module is mod), None)
        if path is None:
            raise NameError("module is not installed as a submodule")
        return path

    def call_module(self, m: Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Handle the call of a module: add a node for a leaf, else trace ``forward``."""
        path = self.path_of_module(m)
        with entered(self.scope, Scope(path, type(m))):
            calls = self.num_calls.get(path, 0)
            self.num_calls[path] = calls + 1
            key = f"{path}@{calls}" if calls else path
            self.module_stack[key] = (path, type(m))
            try:
                if self.is_leaf_module(m, path):
                    return self.create_proxy("call_module", path, args, kwargs)
                return forward(*args, **kwargs)
            finally:
                self.module_stack.popitem()

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Proxy]) -> Any:
        """Return the proxy or value that the program gets when it reads an attribute of a module."""
        if isinstance(attr_val, Parameter):
            proxy = self._attribute(attr_val, self.root.named_parameters(), parameter_proxy_cache)
        elif self.proxy_buffer_attributes and isinstance(attr_val, Tensor):
            proxy = self._attribute(attr_val, self.root.named_buffers(), parameter_proxy_cache)
        else:
            return attr_val
        return attr_val if proxy is None else proxy

    def _attribute(self, value: Any, named: Any, cache: dict[str, Proxy]) -> Proxy | None:
        """Return a cached proxy for ``value`` if it is one of the ``named`` tensors of the root, else None."""
        for name, tensor in named:
            if tensor is value:
                if name not in cache:
                    make: Any = None
                    if self.param_shapes_constant:

                        def make(node: Any, name: str = name) -> Proxy:
                            return ParameterProxy(self, node, name, value)

                    options = {"proxy_factory_fn": make} if make is not None else {}
                    cache[name] = self.create_proxy("get_attr", name, (), {}, **options)
                return cache[name]
        return None

    # Arguments

    def get_fresh_qualname(self, prefix: str) -> str:
        """Return an unused attribute name of the root: ``prefix`` and a number."""
        number = self._counts.get(prefix, 0) if hasattr(self.root, f"{prefix}0") else 0
        while hasattr(self.root, f"{prefix}{number}"):
            number += 1
        self._counts[prefix] = number + 1
        return f"{prefix}{number}"

    def create_arg(self, a: Any) -> Argument:
        """Convert an argument as `TracerBase.create_arg` does.

        Parameters, buffers and modules of the root become ``get_attr`` nodes, and so do other tensors, which are first
        added to the root as ``_tensor_constant0`` and so on.
        """
        if isinstance(a, Parameter):
            return self._read(a, self.root.named_parameters(), "parameter is not a member of this module")
        if isinstance(a, Tensor) and (node := self._read(a, self.root.named_buffers())) is not None:
            return node
        if isinstance(a, Module) and (node := self._read(a, self.root.named_modules())) is not None:
            return node
        if isinstance(a, tuple) and hasattr(a, "_fields"):
            return self.create_node("call_function", type(a), tuple(self.create_arg(item) for item in a), {})
        if isinstance(a, Tensor):
            name = self.tensor_attrs.get(a)
            if name is None:
                name = self.get_fresh_qualname("_tensor_constant")
                self.tensor_attrs[a] = name
                setattr(self.root, name, a)
            return self.create_node("get_attr", name, (), {})
        if type(a) in _proxyable_classes:
            name = self.get_fresh_qualname(f"_{type(a).__name__}_constant_")
            setattr(self.root, name, a)
            return self.create_node("get_attr", name, (), {})
        return super().create_arg(a)

    def _read(self, value: Any, named: Any, missing: str | None = None) -> Argument:
        """Return a ``get_attr`` node for ``value``. If it is not in ``named``, return None or raise ``missing``."""
        for name, member in named:
            if member is value:
                return self.create_node("get_attr", name, (), {})
        if missing is not None:
            raise NameError(missing)
        return None

    # Tracing

    def trace(self, root: Module | Callable[..., Any], concrete_args: dict[str, Any] | None = None) -> Graph:
        """Trace a module or a function and return its graph.

        Args:
            root: the module or function. For a function, ``self.root`` is a new module that holds constants.
            concrete_args: fixed values of parameters. `PH` in a nested value marks an input.
        """
        _tracing.depth = getattr(_tracing, "depth", 0) + 1
        try:
            function: Any = root
            if isinstance(root, Module):
                self.root, self.root_module_name = root, root._get_name()
                assert hasattr(type(root), self.traced_func_name), (
                    f"traced_func_name={self.traced_func_name} doesn't exist in {type(root).__name__}"
                )
                function = getattr(type(root), self.traced_func_name)
                self.submodule_paths = {module: name for name, module in root.named_modules()}
            else:
                self.root = Module()
            assert isinstance(function, FunctionType), f"Expected FunctionType, got {type(function)}"
            self.graph = Graph(tracer_cls=type(self))
            self.tensor_attrs = {}
            _collect_tensors(self.root, "", self.tensor_attrs)
            with _patches.tracing(self, function):
                called, args = self.create_args_for_root(function, isinstance(root, Module), concrete_args)
                returned = _annotation(inspect.unwrap(called), "return")
                self.create_node("output", "output", (self.create_arg(called(*args)),), {}, type_expr=returned)
            self.submodule_paths = None
        finally:
            _tracing.depth -= 1
        return self.graph

    def create_args_for_root(
        self, root_fn: Callable[..., Any], is_module: bool, concrete_args: Any = None
    ) -> tuple[Any, list[Any]]:
        """Create the inputs of the graph. Return the function to run and its arguments."""
        analysed: Any = inspect.unwrap(root_fn)
        code = analysed.__code__
        names = list(code.co_varnames)
        count = code.co_argcount + code.co_kwonlyargcount
        variable = code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS)
        args: list[Any] = []
        if is_module:
            if count == 0:
                raise RuntimeError("``self`` argument cannot be part of *args expansion!")
            args.append(self.root)
        wanted = names[len(args) : count]
        if isinstance(concrete_args, tuple):
            if concrete_args and variable and count == 1:
                inputs = [self._input(f"input_{i}", (), value) for i, value in enumerate(concrete_args)]
                return root_fn, args + inputs
            if len(wanted) != len(concrete_args):
                raise RuntimeError(
                    f"Tracing expected {len(wanted)} arguments but got {len(concrete_args)} concrete arguments"
                )
            concrete_args = dict(zip(wanted, concrete_args, strict=True))
        signature = inspect.signature(analysed)
        args += [self._parameter(name, concrete_args, signature, analysed) for name in wanted]
        if code.co_kwonlyargcount or variable:
            rest = iter(names[count:])
            if code.co_flags & inspect.CO_VARARGS:
                args.append(self._parameter(f"*{next(rest)}", concrete_args, signature, analysed))
            if code.co_flags & inspect.CO_VARKEYWORDS:
                args.append(self._parameter(f"**{next(rest)}", concrete_args, signature, analysed))
            root_fn = _with_positional_only(root_fn, len(args))
        leaves, spec = pytree.tree_flatten(tuple(args))
        if all(child.is_leaf() for child in spec.children):
            return root_fn, args
        return self._on_leaves(root_fn, names[:count], spec), leaves

    def _on_leaves(self, function: Callable[..., Any], names: list[str], spec: Any) -> Callable[..., Any]:
        """Return a function that takes the leaves of the arguments and returns the leaves of the result."""
        codegen = PyTreeCodeGen(names, spec)
        self.graph.set_codegen(codegen)

        def flat(*leaves: Any) -> list[Any]:
            result, codegen.out_spec = pytree.tree_flatten(function(*pytree.tree_unflatten(leaves, spec)))
            return result

        flat.__annotations__ = {}  # the annotations describe the containers
        return flat

    def _parameter(self, name: str, concrete: Any, signature: inspect.Signature, function: Any) -> Any:
        """Return the proxy of a parameter or, for a concrete argument, its value with proxies for placeholders."""
        default: tuple[Any, ...] = ()
        if not name.startswith("*"):
            declared = signature.parameters[name].default
            default = () if declared is inspect.Parameter.empty else (declared,)
        if concrete is None or name not in concrete:
            return self.create_proxy("placeholder", name, default, {}, type_expr=_annotation(function, name))
        count = 0

        def specialised(value: Any) -> Any:
            nonlocal count
            count += 1
            return self._specialize(f"{name}_{count}", name, default, value)

        return pytree.tree_map(specialised, concrete[name])

    def _input(self, node_name: str, default: tuple[Any, ...], value: Any) -> Proxy:
        """Create an input for a `PH` and copy the attributes of the `PH` to the node."""
        proxy = self.create_proxy("placeholder", node_name, default, {})
        if isinstance(value, PHBase) and value is not PH:
            for attribute, held in vars(value).items():
                setattr(proxy.node, attribute, held)
        return proxy

    def _specialize(self, node_name: str, name: str, default: tuple[Any, ...], value: Any) -> Any:
        """Return the fixed value of a parameter. The graph asserts that later calls pass the same value."""
        proxy = self._input(node_name, default, value)
        if isinstance(value, PHBase):
            return proxy
        text = f"{name} has been specialized to have value {value} but got another value"
        if value is None:
            self.create_proxy("call_function", _assert_is_none, (proxy, text), {})
        elif type(value) in base_types and not isinstance(value, Tensor):
            flambeau._assert(proxy == value, text)
        else:
            warnings.warn(
                f"Was not able to add assertion to guarantee correct input {name} to specialized function. It is up to "
                "the user to make sure that your inputs match the inputs you specialized the function with.",
                stacklevel=2,
            )
        return value


def _assert_is_none(value: Any, text: str) -> None:
    assert value is None, text


def _annotation(function: Any, name: str) -> Any:
    """Return the annotation of a parameter. If it is a string, evaluate it in the function's globals if possible."""
    annotation = function.__annotations__.get(name)
    if isinstance(annotation, str):
        try:
            return eval(annotation, function.__globals__)
        except Exception:  # for example a name that is imported only for type checkers
            return annotation
    return annotation


def _with_positional_only(function: Any, count: int) -> FunctionType:
    """Return the function with all parameters positional, including ``*args`` and ``**kwargs``."""
    code = function.__code__
    flags = code.co_flags & ~(inspect.CO_VARARGS | inspect.CO_VARKEYWORDS)
    code = code.replace(co_argcount=count, co_posonlyargcount=0, co_kwonlyargcount=0, co_flags=flags)
    changed = FunctionType(code, function.__globals__, function.__name__, function.__defaults__, function.__closure__)
    changed.__annotations__ = function.__annotations__
    return changed


def _collect_tensors(module: Module, prefix: str, paths: dict[Any, str]) -> None:
    """Collect the paths of tensors that are plain attributes of modules."""
    for name, value in vars(module).items():
        registered = name in module._parameters or name in module._buffers
        if isinstance(value, Tensor) and not registered:
            paths[value] = f"{prefix}{name}"
    for name, child in module.named_children():
        _collect_tensors(child, f"{prefix}{name}.", paths)


def symbolic_trace(
    root: Module | Callable[..., Any], concrete_args: dict[str, Any] | tuple[Any, ...] | None = None
) -> GraphModule:
    """Trace a module or a function and return an equivalent `GraphModule`.

    The program runs once with proxies for its inputs. Layers of flambeau and functions of tensors become nodes. Other
    decisions of the Python code, for example on ``training``, are fixed.

    Args:
        root: a module, or a function.
        concrete_args: see `Tracer.trace`.
    Raises: TraceError if the program branches on a symbolic value.

    >>> from flambeau import fx
    >>> print(fx.symbolic_trace(lambda x: fb.relu(x) + 1).code.strip())
    def forward(self, x):
        relu = flambeau.relu(x);  x = None
        add = relu + 1;  relu = None
        return add
    """
    tracer = Tracer()
    graph = tracer.trace(root, concrete_args)  # type: ignore[arg-type]
    name = root._get_name() if isinstance(root, Module) else root.__name__
    return GraphModule(tracer.root, graph, name)
