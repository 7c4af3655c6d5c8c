"""Programs: what a function or model computes, noted once, to be saved and run without Python.

`trace` runs a model on an example and notes the operators that it calls; what it gives is a module with the same
parameters that runs them natively. `save` writes program and parameters into one file; `load` reads it here, and
`flambeau::Program::load` in a C++ program that links nothing but ``libflambeau`` (docs/deployment.md).

>>> import flambeau
>>> from flambeau import nn
>>> model = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
>>> traced = flambeau.jit.trace(model, flambeau.ones(1, 3))
>>> for line in traced.code.splitlines():
...     print(line.partition("  #")[0])
input %0 input
check_input(%0, 'input', 2)
%1 = linear(%0, @0.weight, @0.bias)
%2 = relu(%1)
return %2
>>> traced(flambeau.ones(5, 3)).shape
flambeau.Size([5, 2])
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import IO, Any, overload

import flambeau
from flambeau import Tensor, _extension_points, _public_names, _suggestions
from flambeau._tracing._numbers import TracerWarning, warn
from flambeau.nn import Module

from . import _indexing as _indexing
from . import _rules as _rules
from ._program import ScriptFunction, ScriptModule, TopLevelTracedModule, TracedModule, compiled, outputs_differ, read
from ._script import (
    Attribute,
    Final,
    Future,
    _copy_to_script_wrapper,
    _IgnoreContextManager,
    _overload,
    _overload_method,
    annotate,
    enable_onednn_fusion,
    export,
    fork,
    freeze,
    fuser,
    ignore,
    interface,
    is_scripting,
    optimize_for_inference,
    optimized_execution,
    script,
    script_if_tracing,
    script_method,
    set_fusion_strategy,
    unused,
    wait,
)

__all__ = [
    "Attribute",
    "Final",
    "Future",
    "ScriptFunction",
    "ScriptModule",
    "TopLevelTracedModule",
    "TracedModule",
    "TracerWarning",
    "_IgnoreContextManager",
    "_copy_to_script_wrapper",
    "_overload",
    "_overload_method",
    "annotate",
    "enable_onednn_fusion",
    "export",
    "fork",
    "freeze",
    "fuser",
    "ignore",
    "interface",
    "is_scripting",
    "is_tracing",
    "load",
    "optimize_for_inference",
    "optimized_execution",
    "save",
    "script",
    "script_if_tracing",
    "script_method",
    "set_fusion_strategy",
    "trace",
    "trace_module",
    "unused",
    "wait",
]

_tracing = 0


def __getattr__(name: str) -> Any:
    if name == "RecursiveScriptModule":
        from ._torchscript._objects import RecursiveScriptModule

        return RecursiveScriptModule
    if name == "isinstance":  # no variable: it would hide Python's in this module
        from ._container_types import has_type

        return has_type
    raise _suggestions.unknown_attribute(__name__, name)


@overload
def trace(
    func: Module,
    example_inputs: Any = None,
    optimize: Any = None,
    check_trace: bool = True,
    check_inputs: Any = None,
    check_tolerance: float = 1e-5,
    strict: bool = True,
    *,
    example_kwarg_inputs: Mapping[str, Any] | None = None,
    _prepare: Any = None,
    **options: Any,
) -> ScriptModule: ...


@overload
def trace(
    func: Callable[..., Any],
    example_inputs: Any = None,
    optimize: Any = None,
    check_trace: bool = True,
    check_inputs: Any = None,
    check_tolerance: float = 1e-5,
    strict: bool = True,
    *,
    example_kwarg_inputs: Mapping[str, Any] | None = None,
    _prepare: Any = None,
    **options: Any,
) -> ScriptModule | ScriptFunction: ...


def trace(
    func: Callable[..., Any],
    example_inputs: Any = None,
    optimize: Any = None,
    check_trace: bool = True,
    check_inputs: Any = None,
    check_tolerance: float = 1e-5,
    strict: bool = True,
    *,
    example_kwarg_inputs: Mapping[str, Any] | None = None,
    _prepare: Any = None,
    **options: Any,
) -> Any:
    """A function or module as a program, by running it once.

    Sizes may be others when the program runs, and what is computed from them follows. Where Python decides by a size
    or an element (``if x.shape[0] > 4``, ``for i in range(n)``), the program takes the way that the example took, and
    raises RuntimeError for inputs that would have taken another. Elements that Python takes for itself
    (``float(x)``, ``x.tolist()``) are constants, of which a `TracerWarning` tells the line. Changes in place, random
    numbers and gradients are those of the operators; ``no_grad`` blocks stay such blocks.

    Args:
        func: a function of tensors, or a module; the latter in the mode, training or evaluation, that it is in.
        example_inputs: a tensor or a tuple of arguments; tensors may be in tuples, lists and dictionaries.
        example_kwarg_inputs: arguments by name.
        check_trace: run function and program on the example once more, and warn where they differ; not done where
            random numbers are drawn or something is changed in place.
        check_inputs: a list of further arguments on which the program has to agree with ``func``.
        check_tolerance: relative and absolute, of these comparisons.
    Returns: a `ScriptModule` with the module's own parameters, or a `ScriptFunction`.
    Raises: NotImplementedError that lists the calls which programs cannot make, with their lines; TypeError for inputs
        and outputs of other kinds; RuntimeError where a check of ``check_inputs`` fails.
    """
    if isinstance(func, ScriptModule | ScriptFunction) and "_program" in vars(func):  # one of PyTorch's has none
        return func
    args = _arguments(example_inputs) if example_inputs is not None else ()
    kwargs = dict(example_kwarg_inputs or {})
    if not args and not kwargs:
        raise RuntimeError("flambeau.jit.trace needs an example: a tensor, or a tuple of the arguments")
    state = _state_of(func)
    modules = {id(m): n for n, m in func.named_modules()} if isinstance(func, Module) else {}
    global _tracing
    _tracing += 1
    try:
        program, constants, repeats = compiled(func, args, kwargs, state, modules, _prepare)
    finally:
        _tracing -= 1
    name = type(func).__name__ if isinstance(func, Module) else getattr(func, "__name__", type(func).__name__)
    made: ScriptModule | ScriptFunction = (
        ScriptModule(program, state, constants, name, func.training)
        if isinstance(func, Module)
        else ScriptFunction(program, constants, name)
    )
    _check(made, func, args, kwargs, check_trace and repeats, check_inputs, check_tolerance)
    return made


def _arguments(given: Any) -> tuple[Any, ...]:
    return tuple(given) if isinstance(given, tuple | list) else (given,)


def _state_of(func: Any) -> dict[str, Tensor]:
    if not isinstance(func, Module):
        return {}
    parameters = dict(func.named_parameters(remove_duplicate=False))
    return parameters | dict(func.named_buffers(remove_duplicate=False))


def _check(made: Any, func: Any, args: Any, kwargs: Any, again: bool, check_inputs: Any, tolerance: float) -> None:
    with flambeau.no_grad():
        if again and outputs_differ(made(*args, **kwargs), func(*args, **kwargs), tolerance):
            warn("the program gives something else than the function, called again: it does not always do the same")
        for inputs in check_inputs or ():
            if outputs_differ(made(*_arguments(inputs)), func(*_arguments(inputs)), tolerance):
                raise RuntimeError("the program gives something else than the function on one of check_inputs")


def trace_module(mod: Module, inputs: Mapping[str, Any], *args: Any, **options: Any) -> ScriptModule:
    """`trace` of a module's ``forward``, whose example is ``inputs["forward"]``.

    Raises: NotImplementedError for other methods: trace them as functions.
    """
    if set(inputs) != {"forward"}:
        raise NotImplementedError("flambeau.jit.trace_module traces forward; trace another method as a function")
    traced: ScriptModule = trace(mod, inputs["forward"], *args, **options)
    return traced


def is_tracing() -> bool:
    """Whether a function is traced."""
    return _tracing > 0


def save(m: Any, f: str | os.PathLike[str] | IO[bytes], _extra_files: Mapping[str, Any] | None = None) -> None:
    """Writes a traced module or function into a file that runs without Python; ``_extra_files``: texts beside it.

    The file is of the safetensors format: the parameters and buffers, and the program as text in its metadata.

    Raises: TypeError for what was not traced; NotImplementedError for complex128, which the format has not.
    """
    if not isinstance(m, ScriptModule | ScriptFunction):
        raise TypeError(
            f"flambeau.jit.save writes what flambeau.jit.trace has made, not a {type(m).__name__}: trace it on an "
            "example"
        )
    m.save(f, _extra_files)


def load(
    f: str | os.PathLike[str] | IO[bytes],
    map_location: Any = None,
    _extra_files: dict[str, Any] | None = None,
    _restore_shapes: bool = False,
) -> Any:
    """Load what `save` or PyTorch's ``torch.jit.save`` has written. Only operators of the file are run, no Python.

    Args:
        map_location: the device of the parameters.
        _extra_files: a dictionary whose keys are filled with the files of these names.
    Returns: a `ScriptModule` or a `ScriptFunction`; a `RecursiveScriptModule` of a file that PyTorch wrote.
    Raises: RuntimeError for damaged files, and for code that TorchScript does not write; pickle.UnpicklingError naming
        refused references. An operator that flambeau lacks raises NotImplementedError when it is called.
    """
    from ._archive import is_archive, opened  # on first use: they import zipfile

    with opened(f) as file:
        if is_archive(file):
            from ._torchscript._reader import read as read_torchscript

            return read_torchscript(file, map_location, _extra_files)
        return read(file, map_location, _extra_files)


_extension_points.load_script = load


def __dir__() -> list[str]:
    return _public_names.public_names(globals(), __all__)
