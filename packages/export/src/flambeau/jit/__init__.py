"""Programs: recorded operator calls of a function or model, which can be saved and run without Python.

`trace` runs a model on an example and records the operators that it calls. It returns a module with the same parameters
that runs these operators natively. `save` writes the program and its parameters to one file. `load` reads it in Python,
and `flambeau::Program::load` reads it in a C++ program that links only ``libflambeau`` (docs/deployment.md).

>>> import flambeau
>>> from flambeau import nn
>>> model = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
>>> traced = flambeau.jit.trace(model, flambeau.ones(1, 3))
>>> for line in traced.code.splitlines():
...     print(line.partition("  #")[0])
input %0 input
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

from . import _indexing as _indexing, _rules as _rules
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
    "Error",
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

_fork, _wait = fork, wait  # former names in PyTorch
_tracing = 0


class Error(RuntimeError):
    """Error that PyTorch's TorchScript interpreter raises. flambeau raises the errors of the operators instead.

    >>> issubclass(fb.jit.Error, RuntimeError)
    True
    """


def __getattr__(name: str) -> Any:
    if name == "RecursiveScriptModule":
        from ._torchscript._objects import RecursiveScriptModule

        return RecursiveScriptModule
    if name == "isinstance":  # a global of this name would hide the built-in in this module
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
    """Convert a function or module to a program by one traced run.

    Sizes may differ when the program runs, and values computed from them are recomputed. If Python branches or loops on
    a size (``if x.shape[0] > 4``, ``for i in range(n)``) or on an element, the program takes the branch of the
    example. It raises RuntimeError for inputs that would take another branch. Elements that Python reads
    (``float(x)``, ``x.tolist()``) are constants; a `TracerWarning` names the line. In-place operators, random numbers
    and gradients work as they do when the function itself runs. ``no_grad`` blocks are preserved.

    Args:
        func: a function of tensors, or a module, which keeps its training or evaluation mode.
        example_inputs: a tensor or a tuple of arguments; tensors may be nested in tuples, lists and dictionaries.
        example_kwarg_inputs: keyword arguments.
        check_trace: if True, run the function and the program on the example again, and warn if the results differ.
            The check is skipped if the function draws random numbers or changes a tensor in place.
        check_inputs: a list of further arguments for which the program and ``func`` must agree.
        check_tolerance: relative and absolute tolerance of these comparisons.
    Returns: a `ScriptModule` that shares the module's parameters, or a `ScriptFunction`.
    Raises: NotImplementedError for calls that programs do not support; the message lists them with their lines.
        TypeError for inputs and outputs of other types. RuntimeError if the comparison on ``check_inputs`` fails.

    >>> def scaled(x, factor):
    ...     return x * factor if x.ndim == 2 else x
    >>> traced = fb.jit.trace(scaled, (fb.ones(2, 3), fb.tensor(2.0)))
    >>> traced(fb.ones(1, 2), fb.tensor(5.0))
    tensor([[5., 5.]])
    """
    if isinstance(func, ScriptModule | ScriptFunction) and "_program" in vars(func):  # not from PyTorch's files
        return func
    args = _arguments(example_inputs) if example_inputs is not None else ()
    kwargs = dict(example_kwarg_inputs or {})
    if not args and not kwargs:
        raise RuntimeError("flambeau.jit.trace needs example_inputs: a tensor, or a tuple of the arguments")
    state = _state_of(func)
    modules = {id(m): n for n, m in func.named_modules()} if isinstance(func, Module) else {}
    global _tracing
    _tracing += 1
    try:
        program, constants, repeats = compiled(func, args, kwargs, state, modules, _prepare)
    finally:
        _tracing -= 1
    name = type(func).__name__ if isinstance(func, Module) else getattr(func, "__name__", type(func).__name__)
    traced: ScriptModule | ScriptFunction = (
        ScriptModule(program, state, constants, name, func.training)
        if isinstance(func, Module)
        else ScriptFunction(program, constants, name)
    )
    _check(traced, func, args, kwargs, check_trace and repeats, check_inputs, check_tolerance)
    return traced


def _arguments(inputs: Any) -> tuple[Any, ...]:
    return tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,)


def _state_of(func: Any) -> dict[str, Tensor]:
    if not isinstance(func, Module):
        return {}
    parameters = dict(func.named_parameters(remove_duplicate=False))
    return parameters | dict(func.named_buffers(remove_duplicate=False))


def _check(traced: Any, func: Any, args: Any, kwargs: Any, again: bool, check_inputs: Any, tolerance: float) -> None:
    with flambeau.no_grad():
        if again and outputs_differ(traced(*args, **kwargs), func(*args, **kwargs), tolerance):
            warn(
                "the program and a second call of the function return different results: the function is not "
                "deterministic"
            )
        for i, inputs in enumerate(check_inputs or ()):
            if outputs_differ(traced(*_arguments(inputs)), func(*_arguments(inputs)), tolerance):
                raise RuntimeError(f"the program and the function return different results for check_inputs[{i}]")


def trace_module(mod: Module, inputs: Mapping[str, Any], *args: Any, **options: Any) -> ScriptModule:
    """Trace the ``forward`` method of a module; the example is ``inputs["forward"]``.

    Raises: NotImplementedError for other methods: trace them as functions.

    >>> traced = fb.jit.trace_module(nn.ReLU(), {"forward": fb.ones(2)})
    >>> traced(fb.tensor([-1.0, 1.0]))
    tensor([0., 1.])
    """
    if set(inputs) != {"forward"}:
        raise NotImplementedError(
            f"flambeau.jit.trace_module traces only 'forward', got inputs for {list(inputs)}: trace another method as "
            "a function"
        )
    if options.get("check_inputs"):
        options["check_inputs"] = [checked["forward"] for checked in options["check_inputs"]]
    traced: ScriptModule = trace(mod, inputs["forward"], *args, **options)
    return traced


def is_tracing() -> bool:
    """Return True while a function is being traced.

    >>> traced = fb.jit.trace(lambda x: x + 1 if fb.jit.is_tracing() else x, fb.ones(2), check_trace=False)
    >>> traced(fb.ones(2))
    tensor([2., 2.])
    """
    return _tracing > 0


def save(m: Any, f: str | os.PathLike[str] | IO[bytes], _extra_files: Mapping[str, Any] | None = None) -> None:
    """Write a traced module or function to a file that runs without Python.

    ``_extra_files`` maps names to texts that are stored in the same file. The format is safetensors: parameters and
    buffers, and the program as text in the metadata.

    Raises: TypeError if ``m`` was not traced; NotImplementedError for complex128, which safetensors does not support.

    >>> import io
    >>> file, names = io.BytesIO(), {"classes.txt": ""}
    >>> fb.jit.save(fb.jit.trace(nn.ReLU(), fb.ones(2)), file, _extra_files={"classes.txt": "cat, dog"})
    >>> _ = file.seek(0)
    >>> fb.jit.load(file, _extra_files=names)(fb.tensor([-1.0, 1.0])), names["classes.txt"]
    (tensor([0., 1.]), b'cat, dog')
    """
    if not isinstance(m, ScriptModule | ScriptFunction):
        raise TypeError(
            f"flambeau.jit.save expects a traced module or function, got {type(m).__name__}: call flambeau.jit.trace "
            "first"
        )
    m.save(f, _extra_files)


def load(
    f: str | os.PathLike[str] | IO[bytes],
    map_location: Any = None,
    _extra_files: dict[str, Any] | None = None,
    _restore_shapes: bool = False,
) -> Any:
    """Load a file that `save` or PyTorch's ``torch.jit.save`` wrote. No Python code from the file is run. See `save`.

    Args:
        f: path, or a file opened for reading bytes.
        map_location: the device of the parameters.
        _extra_files: a dictionary of file names; its values are replaced with the contents of these files.
    Returns: a `ScriptModule` or a `ScriptFunction`; for a file from PyTorch, a `RecursiveScriptModule`.
    Raises: RuntimeError for damaged files, and for code that TorchScript cannot generate; pickle.UnpicklingError for
        references that are not allowed. A call of an operator that flambeau lacks raises NotImplementedError.
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
