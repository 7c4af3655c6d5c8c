"""Compilation of functions and modules, with PyTorch's interface. Note [Compilation] in `flambeau._compile`."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar, cast, overload

from flambeau import Tensor, is_grad_enabled, set_grad_enabled
from flambeau._compile import CompiledFunction, CompiledModule, reset as reset
from flambeau._compile._capture_trace import current
from flambeau._compile._function import Programs, _Leaves
from flambeau._compile._optimized_module import OptimizedModule
from flambeau._compile._other_backend import other_backend
from flambeau._compile._program import CapturedProgram
from flambeau._compile._stance import set_stance as set_stance
from flambeau.nn import Module

F = TypeVar("F")

# Backend names of PyTorch; all of them select flambeau's compiler.
_BACKENDS = ("inductor", "cudagraphs", "aot_eager")
_MODES = ("default", "lite", "reduce-overhead", "max-autotune-no-cudagraphs", "max-autotune")


@overload
def compile(
    model: None = None,
    *,
    fullgraph: bool = False,
    dynamic: bool | None = None,
    backend: str | Callable[..., Any] | None = None,
    mode: str | None = None,
    options: dict[str, Any] | None = None,
    name: str | None = None,
    disable: bool = False,
    recompile_limit: int | None = None,
    isolate_recompiles: bool = False,
    shapes_spec: Any = None,
) -> Callable[[F], F]: ...


@overload
def compile(
    model: F,
    *,
    fullgraph: bool = False,
    dynamic: bool | None = None,
    backend: str | Callable[..., Any] | None = None,
    mode: str | None = None,
    options: dict[str, Any] | None = None,
    name: str | None = None,
    disable: bool = False,
    recompile_limit: int | None = None,
    isolate_recompiles: bool = False,
    shapes_spec: Any = None,
) -> F: ...


def compile(
    model: Any = None,
    *,
    fullgraph: bool = False,
    dynamic: bool | None = None,
    backend: str | Callable[..., Any] | None = None,
    mode: str | None = None,
    options: dict[str, Any] | None = None,
    name: str | None = None,
    disable: bool = False,
    recompile_limit: int | None = None,
    isolate_recompiles: bool = False,
    shapes_spec: Any = None,
) -> Any:
    """Compile a function or module. Can be used as a decorator.

    The first call runs the function and records its operators as a program. Later calls run the program, whose
    pointwise operators are fused, if everything that the function depended on is unchanged: dtypes, layouts and
    ``requires_grad`` of the tensors, other arguments, attributes, globals, closures, grad mode and autocast.
    Otherwise the call records another program, up to eight. Sizes may change without another program. Results, random
    numbers, in-place changes and gradients are the same as without compilation.

    The program is divided where Python reads an element of a tensor or calls ``print`` or a function that is disabled
    for compilation. A function that changes Python objects runs uncompiled, and the modules that it calls are compiled
    one by one. `explain` gives the reasons.

    Args:
        fullgraph: if True, raise RuntimeError with the reason and the line if no single program can represent the
            function.
        dynamic: if False, capture a program for each combination of sizes. Otherwise a program serves all sizes, but
            sizes are constants of the first program for a custom backend unless ``dynamic`` is True.
        mode, options, name, recompile_limit, isolate_recompiles, shapes_spec: accepted without effect.
        backend: None, "inductor", "cudagraphs" and "aot_eager" select this compiler. "eager" does not compile the
            model.
            A backend that is a function is called with the graph of each program or part of a divided program, a
            `flambeau.fx.GraphModule`, and with example tensors. It returns a function of the same tensors that returns
            a tuple or list of results, and that runs in place of the program.
        disable: if True, return ``model`` unchanged.
    Raises: RuntimeError if both ``mode`` and ``options`` are given, and for other backends and modes.

    >>> import flambeau
    >>> @flambeau.compile
    ... def f(x):
    ...     return (x * 2).tanh()
    >>> f(flambeau.zeros(3))
    tensor([0., 0., 0.])
    """
    if mode is not None and options is not None:
        raise RuntimeError("Either mode or options can be specified, but both can't be specified at the same time.")
    if mode is not None and mode not in _MODES:
        raise RuntimeError(f"Unrecognized mode={mode}, should be one of: {', '.join(_MODES)}")
    backend = "inductor" if backend is None else backend
    if isinstance(backend, str) and backend not in (*_BACKENDS, "eager"):
        raise RuntimeError(f"Invalid backend: {backend!r}, see `compiler.list_backends()` for available backends.")
    if model is None:
        return partial(
            compile, fullgraph=fullgraph, dynamic=dynamic, backend=backend, mode=mode, options=options, disable=disable
        )
    if disable or isinstance(model, CompiledFunction | OptimizedModule):
        return model
    all_sizes, custom = dynamic is not False, None
    if callable(backend):
        from flambeau._compile._custom_backend import CustomBackend  # imported on first use

        custom = CustomBackend(backend, dynamic)
    if isinstance(model, Module):
        if backend == "eager":
            return OptimizedModule(model)
        return CompiledModule(model, fullgraph, all_sizes, custom)
    if not callable(model):
        raise TypeError(f"flambeau.compile expects a function or a module, got {type(model).__name__}")
    if backend == "eager":
        return _uncompiled(model)
    return CompiledFunction(model, fullgraph, all_sizes, custom)


def _uncompiled(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with other_backend:
            return function(*args, **kwargs)

    call._torchdynamo_orig_callable = function  # type: ignore[attr-defined]
    return call


@dataclass
class Explanation:
    """Description of how a function is compiled. `save` writes it as a page for a browser.

    Attributes:
        name: the name of the function.
        graphs: the programs of the function, as text.
        plans: execution plan of each program as text, in order; operators on one line are fused.
        break_reasons: why calls ran without a program.
        guards: paths of the Python objects that are compared before each call, for each program.
    """

    graphs: list[str] = field(default_factory=list)
    plans: list[str] = field(default_factory=list)
    break_reasons: list[str] = field(default_factory=list)
    guards: list[list[str]] = field(default_factory=list)
    name: str = ""
    _captured: list[CapturedProgram] = field(default_factory=list, repr=False, compare=False)
    _tensors: list[Tensor] = field(default_factory=list, repr=False, compare=False)
    _grad_mode: bool = field(default_factory=is_grad_enabled, repr=False, compare=False)

    @property
    def graph_count(self) -> int:
        """The number of programs."""
        return len(self.graphs)

    @property
    def graph_break_count(self) -> int:
        """The number of graph breaks: reasons for which programs are divided or calls ran without a program."""
        return len(self.break_reasons)

    @property
    def ops_per_graph(self) -> list[list[str]]:
        """The names of the operators of each program."""
        return [_operators(text) for text in self.graphs]

    @property
    def op_count(self) -> int:
        """The number of operators of all programs."""
        return sum(map(len, self.ops_per_graph))

    def __str__(self) -> str:
        lines = [f"Graph Count: {self.graph_count}", f"Graph Break Count: {self.graph_break_count}"]
        lines.append(f"Op Count: {self.op_count}")
        lines += [f"Break Reason: {reason}" for reason in self.break_reasons]
        for i, plan in enumerate(self.plans):
            lines += [f"Graph {i}:", *(f"  {line}" for line in plan.splitlines())]
        return "\n".join(lines)

    def to_html(self) -> str:
        """Run each program several times and return an HTML page about it.

        The page shows the source lines with their operators and kernels; the shape, dtype, bytes and time of each
        operator and kernel; the memory of intermediate results; and why neighbouring operators are not fused. It loads
        no external files.

        Programs run on copies of their tensors. Parts of a divided program that follow a call with effects, such as
        ``print``, are not measured, because the call is not repeated.
        """
        from flambeau._compile._page import page  # imported on first use
        from flambeau._compile._profile import measured

        with set_grad_enabled(self._grad_mode):
            profiles = [profile for program in self._captured for profile in measured(program, self._tensors)]
        files = {line: path for program in self._captured for line, path in program.files.items()}
        return page(self.name, profiles, files, self.break_reasons, self.guards)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `to_html` to a file.

        >>> import flambeau, os, tempfile
        >>> explanation = flambeau.compiler.explain(lambda x: (x * 2).tanh())(flambeau.ones(3))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     explanation.save(os.path.join(folder, "page.html"))
        """
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.to_html())


def _operators(program: str) -> list[str]:
    calls = [line.partition(" = ")[2] or line for line in program.splitlines()]
    names = [call.partition("(")[0] for call in calls if "(" in call]
    return [name for name in names if not name.startswith(("check_input", "require_", "return "))]


def explain(fn: Callable[..., Any]) -> Callable[..., Explanation]:
    """Return a function that calls ``fn`` and returns an `Explanation` of how it is compiled."""
    from flambeau import _core

    original = getattr(fn, "_orig_mod", getattr(fn, "__wrapped__", fn))

    @functools.wraps(original if callable(original) and not isinstance(original, Module) else explain)
    def explained(*args: Any, **kwargs: Any) -> Explanation:
        programs = Programs(original, False, getattr(original, "__name__", type(original).__name__))
        programs(*args, **kwargs)
        captured = programs.captured
        graphs = [graph for program in captured for graph in program.graphs]
        return Explanation(
            [text for text, _ in graphs],
            [_core._program_plan(native) for _, native in graphs],
            [*(reason for program in captured for reason in program.reasons), *programs.failures],
            [list(program.snapshot.paths) for program in captured],
            getattr(original, "__qualname__", type(original).__name__),
            captured,
            _Leaves(args, kwargs).tensors,
        )

    return explained


@overload
def disable(fn: None = None, recursive: bool = True, *, reason: str | None = None) -> Callable[[F], F]: ...


@overload
def disable(fn: F, recursive: bool = True, *, reason: str | None = None) -> F: ...


def disable(fn: Any = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """Return a version of ``fn`` that is never compiled. The program of a compiled caller is divided at the call.

    Can be used as a decorator, with or without arguments. A module is changed in place and returned.
    """
    if fn is None:
        return partial(disable, recursive=recursive, reason=reason)
    if isinstance(fn, Module):
        fn.forward = disable(fn.forward, recursive, reason=reason)  # type: ignore[method-assign]
        return fn
    if isinstance(fn, CompiledFunction):
        return cast(Any, fn).__wrapped__

    @functools.wraps(fn)
    def disabled(*args: Any, **kwargs: Any) -> Any:
        if (trace := current()) is not None and (trace.open or trace.earlier_calls):
            return trace.pause(fn, args, kwargs, f"{name} is disabled for compilation{why}", has_effects=True)
        return fn(*args, **kwargs)

    name, why = getattr(fn, "__qualname__", fn), f": {reason}" if reason else ""
    disabled.is_not_guarded = True  # type: ignore[attr-defined]
    return disabled


def allow_in_graph(fn: F) -> F:
    """Return ``fn`` unchanged. A capture records the operators of every function, so no registration is needed."""
    return fn


def assume_constant_result(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Return a version of ``fn`` whose result is a constant in compiled callers.

    Programs contain the result that ``fn`` returned during the capture. Later changes of the objects that ``fn`` reads
    have no effect on the programs.
    """

    @functools.wraps(fn)
    def constant(*args: Any, **kwargs: Any) -> Any:
        if (trace := current()) is not None and trace.open:
            return trace.constant_result(fn, args, kwargs)
        return fn(*args, **kwargs)

    constant.is_not_guarded = True  # type: ignore[attr-defined]
    return constant


def is_compiling() -> bool:
    """Return True while a function is being recorded, or while the backend "eager" calls it."""
    return other_backend.is_calling() or current() is not None


is_dynamo_compiling = is_compiling


def is_exporting() -> bool:
    """Return False. `flambeau.export` traces functions without compiling them."""
    return False


def cudagraph_mark_step_begin() -> None:
    """Do nothing. This call is not needed, because programs never reuse the memory of earlier results."""


def list_backends(exclude_tags: tuple[str, ...] = ("debug", "experimental")) -> list[str]:
    """Return the names of the available backends."""
    return ["cudagraphs", "inductor"]


def substitute_in_graph(original_fn: Callable[..., Any], **options: Any) -> Callable[[F], F]:
    """Return a decorator without effect: captures call ``original_fn`` itself."""
    return lambda fn: fn


@overload
def nested_compile_region(fn: None = None, **options: Any) -> Callable[[F], F]: ...


@overload
def nested_compile_region(fn: F, **options: Any) -> F: ...


def nested_compile_region(fn: Any = None, **options: Any) -> Any:
    """Return ``fn`` unchanged: its operators become part of the caller's program. Can be used as a decorator."""
    return (lambda function: function) if fn is None else fn
