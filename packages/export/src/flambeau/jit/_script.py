"""TorchScript's names. flambeau does not compile Python: `script` traces a model if possible, or returns it unchanged.

Decorators that mark methods for the compiler do nothing.
"""

from __future__ import annotations

import contextlib
import itertools
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import (
    Any,
    Final as Final,  # re-exported for annotations in scripts
    Generic,
    NamedTuple,
    TypeVar,
    overload,
)

from flambeau._settings import warn_once
from flambeau._tracing._modes import in_mode
from flambeau._tracing._numbers import TracerWarning
from flambeau.nn import Module
from flambeau.nn.parameter import is_lazy

from ._program import ScriptFunction, ScriptModule

F = TypeVar("F")
T = TypeVar("T")

_AS_IT_IS = (
    "flambeau has no TorchScript: jit.script returns functions and models as they are, and they run as Python. "
    "jit.trace, or jit.script with example_inputs, makes programs that run without it."
)


@overload
def script(obj: F, optimize: Any = None, _frames_up: int = 0, _rcb: Any = None, example_inputs: None = None) -> F: ...


@overload
def script(
    obj: Any,
    optimize: Any = None,
    _frames_up: int = 0,
    _rcb: Any = None,
    example_inputs: Sequence[Any] | Mapping[Any, Sequence[Any]] = (),
) -> Any: ...


def script(obj: Any, optimize: Any = None, _frames_up: int = 0, _rcb: Any = None, example_inputs: Any = None) -> Any:
    """Return a model or function as a program if it can be traced on the example inputs, otherwise unchanged.

    Code can be traced if it does not branch on elements or sizes of tensors. The program is then valid for all inputs
    with the same numbers of dimensions. A model in training mode must call the same operators in evaluation mode. The
    program of a model in evaluation mode stays in that mode. If an object is returned unchanged, a warning is issued
    once. Each `Attribute` of a model is replaced by its value.

    Args:
        obj: a module, function or class. A program is returned unchanged.
        example_inputs: a list of argument tuples, or a dictionary with such a list for ``obj``. The program must agree
            with ``obj`` on all of them.

    >>> @fb.jit.script_if_tracing
    ... def scaled(x):
    ...     return 2 * x.relu()
    >>> program = fb.jit.script(scaled, example_inputs=[(fb.ones(2),), (-fb.ones(3),)])
    >>> program
    <flambeau.jit.ScriptFunction scaled>
    >>> program(fb.tensor([-1.0, 1.0, 3.0]))
    tensor([0., 2., 6.])
    """
    if isinstance(obj, ScriptModule | ScriptFunction):
        return obj
    if isinstance(obj, Module):
        _require_shapes(obj)
        _unwrap_attributes(obj)
    inputs = example_inputs.get(obj) if isinstance(example_inputs, Mapping) else example_inputs
    if not inputs:
        warn_once(_AS_IT_IS)
        return obj
    try:
        return _trace_checked(obj, inputs)
    except (NotImplementedError, RuntimeError, TypeError, TracerWarning) as error:
        name = type(obj).__name__ if isinstance(obj, Module) else getattr(obj, "__name__", type(obj).__name__)
        warn_once(f"jit.script returns {name} unchanged, because it cannot be traced: {error}")
        return obj


def _require_shapes(module: Module) -> None:
    """Raise RuntimeError for a lazy module that has not run yet, because its parameters have no shapes."""
    tensors = itertools.chain(module.named_parameters(), module.named_buffers())
    names = [name for name, tensor in tensors if is_lazy(tensor)]
    if names:
        kind = type(module).__name__
        raise RuntimeError(f"{kind!r} has uninitialized parameters {names}. Did you forget to run a forward pass?")


def _trace_checked(obj: Any, inputs: Sequence[Any]) -> ScriptModule | ScriptFunction:
    """Return the traced program of an object. Raises an error if the program is not valid for all inputs."""
    from . import trace  # defined after this module is imported

    with warnings.catch_warnings():
        warnings.simplefilter("error", TracerWarning)
        traced: ScriptModule | ScriptFunction = trace(obj, inputs[0], check_inputs=inputs[1:])
    if isinstance(obj, Module) and obj.training:
        with in_mode(obj, training=False):
            same = trace(obj, inputs[0], check_trace=False).code == traced.code
        if not same:
            raise RuntimeError("its program depends on the training mode; call .eval() first")
    condition = next((line.strip() for line in traced.code.splitlines() if line.startswith("require_")), None)
    if condition is not None:
        raise RuntimeError(f"its program is valid only for some inputs, because of {condition}")
    return traced


def _unwrap_attributes(model: Module) -> None:
    for module in model.modules():
        for name, value in list(vars(module).items()):
            if isinstance(value, Attribute):
                setattr(module, name, value.value)


def script_method(fn: F) -> F:
    """Return the method. In PyTorch, this marks a method of a class derived from `ScriptModule`."""
    warn_once(_AS_IT_IS)
    return fn


def script_if_tracing(fn: F) -> F:
    """Return the function unchanged."""
    return fn


@overload
def ignore(drop: bool = False, **kwargs: Any) -> Callable[[F], F]: ...


@overload
def ignore(drop: F, **kwargs: Any) -> F: ...


def ignore(drop: Any = False, **kwargs: Any) -> Any:
    """Return the method. In PyTorch, this marks a method that runs in Python. Can be used with arguments."""
    return drop if callable(drop) else lambda function: function


def unused(fn: F) -> F:
    """Return the method. In PyTorch, this excludes a method from compilation."""
    return fn


def export(fn: F) -> F:
    """Return the method. In PyTorch, this includes a method in compilation."""
    return fn


def interface(obj: F) -> F:
    """Return the class. In PyTorch, this marks an interface."""
    return obj


def _overload(func: F) -> F:
    """Return the function unchanged. In PyTorch, this marks an overload."""
    return func


_overload_method = _overload


def freeze(mod: F, preserved_attrs: list[str] | None = None, optimize_numerics: bool = True) -> F:
    """Return a model in evaluation mode unchanged.

    Raises: RuntimeError if it is in training mode.

    >>> fb.jit.freeze(nn.Dropout().eval())
    Dropout(p=0.5, inplace=False)
    """
    if getattr(mod, "training", False):
        raise RuntimeError(
            "Freezing is currently only implemented for modules in eval mode. Please call .eval() on your module "
            "before freezing."
        )
    return mod


def optimize_for_inference(mod: F, other_methods: list[str] | None = None) -> F:
    """Switch the model to evaluation mode and return it.

    >>> fb.jit.optimize_for_inference(nn.Dropout()).training
    False
    """
    return mod.eval() if isinstance(mod, Module) else mod


def is_scripting() -> bool:
    """Return False, because no code is compiled as TorchScript.

    >>> fb.jit.is_scripting()
    False
    """
    return False


def annotate(the_type: Any, the_value: T) -> T:
    """Return the value; the type is ignored.

    >>> from typing import List
    >>> fb.jit.annotate(List[int], [])
    []
    """
    return the_value


class Attribute(NamedTuple, Generic[T]):
    """Value and type of an attribute in a script. `script` replaces it with the value.

    >>> fb.jit.Attribute([], list[int]).value
    []
    """

    value: T
    type: Any


def _copy_to_script_wrapper(fn: F) -> F:
    """Return the method unchanged."""
    return fn


class _IgnoreContextManager:
    """Context manager without effect. In PyTorch, its statements run in Python."""

    def __init__(self, **kwargs: str) -> None:
        pass

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        pass


class Future(Generic[T]):
    """Result of `fork`, which is always complete. See `fork`."""

    def __init__(self, value: T) -> None:
        self._value = value

    def wait(self) -> T:
        """Return the result."""
        return self._value

    value = wait

    def done(self) -> bool:
        """Return True: the result is complete."""
        return True


def fork(func: Callable[..., T], *args: Any, **kwargs: Any) -> Future[T]:
    """Run the function immediately; `wait` returns its result.

    >>> futures = [fb.jit.fork(fb.add, i, fb.ones(2)) for i in range(3)]
    >>> sum(fb.jit.wait(future) for future in futures)
    tensor([6., 6.])
    """
    return Future(func(*args, **kwargs))


def wait(future: Future[T]) -> T:
    """Return the result of a future. See `fork`."""
    return future.wait()


@contextlib.contextmanager
def optimized_execution(should_optimize: bool) -> Iterator[None]:
    """Do nothing in this context: there are no scripts to optimize."""
    yield


@contextlib.contextmanager
def fuser(name: str) -> Iterator[None]:
    """Do nothing in this context: there are no scripts to fuse."""
    yield


def enable_onednn_fusion(enabled: bool) -> None:
    """Do nothing: there are no scripts to fuse."""


def set_fusion_strategy(strategy: list[tuple[str, int]]) -> None:
    """Do nothing: there are no scripts to fuse."""
