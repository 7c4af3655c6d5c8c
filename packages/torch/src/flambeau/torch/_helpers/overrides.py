"""Functions of ``torch.overrides`` that list the functions whose calls ``__torch_function__`` can handle."""

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from typing import Any

import flambeau
from flambeau import Tensor, _overridable
from flambeau.torch._variable_functions import installed_names

# Methods of Tensor that Python calls to create and change objects.
_OF_OBJECTS = {
    *("__delattr__", "__dir__", "__getattribute__", "__hash__", "__init__", "__init_subclass__", "__iter__", "__new__"),
    *("__setattr__", "__subclasshook__"),
}


def _namespaces() -> list[Any]:
    layers = []
    with contextlib.suppress(ModuleNotFoundError):  # the package flambeau-nn may not be installed
        layers = [flambeau.nn.functional, flambeau.nn.init]
    return [flambeau, *layers, Tensor, flambeau.linalg, flambeau.fft, flambeau.special]


def _functions(namespace: Any) -> Iterator[Callable[..., Any]]:
    """Yield the public functions of a module, or the methods and getters of Tensor."""
    for name, value in installed_names(namespace):
        if inspect.isclass(value) or value is getattr(object, name, None):
            continue
        if callable(value):
            if namespace is Tensor or name[0].islower():
                yield value
        elif namespace is Tensor and hasattr(value, "__get__"):
            yield value.__get__


def _is_overridable(function: Any) -> bool:
    """Return True if ``__torch_function__`` of an operand can handle the calls of a public function."""
    if inspect.isfunction(function):
        return function in _overridable._functions
    if inspect.isbuiltin(function):
        return False
    parameters = tuple(inspect.signature(function).parameters)  # an operator or a function that handlers intercept
    return "device" not in parameters or parameters[0] == "input"  # other operators create tensors of numbers


@functools.cache
def _classified() -> tuple[dict[Any, list[Callable[..., Any]]], set[Callable[..., Any]]]:
    """Return the overridable functions by namespace, and all other functions."""
    functions: dict[Any, list[Callable[..., Any]]] = {}
    ignored: set[Callable[..., Any]] = set()
    for namespace in _namespaces():
        for function in _functions(namespace):
            of_object = getattr(function, "__name__", "") in _OF_OBJECTS
            if not of_object and (namespace is Tensor or _is_overridable(function)):
                functions.setdefault(namespace, []).append(function)
            else:
                ignored.add(function)
    return functions, ignored


def get_overridable_functions() -> dict[Any, list[Callable[..., Any]]]:
    """Return lists of the functions whose calls ``__torch_function__`` can handle, by module or class.

    >>> import flambeau
    >>> flambeau.exp in get_overridable_functions()[flambeau]
    True
    """
    by_namespace = {namespace: list(functions) for namespace, functions in _classified()[0].items()}
    return {sys.modules.get("torch", flambeau): by_namespace.pop(flambeau), **by_namespace}


def get_ignored_functions() -> set[Callable[..., Any]]:
    """Return the public functions whose calls ``__torch_function__`` cannot handle, such as those without operands.

    >>> import flambeau
    >>> flambeau.manual_seed in get_ignored_functions()
    True
    """
    return set(_classified()[1])


def get_testing_overrides() -> dict[Callable[..., Any], Callable[..., int]]:
    """Return functions with the parameters of the overridable functions, which return -1.

    >>> import flambeau
    >>> get_testing_overrides()[flambeau.exp](flambeau.ones(2))
    -1
    """
    return {each: _constant(each) for functions in _classified()[0].values() for each in functions}


def _constant(function: Callable[..., Any]) -> Callable[..., int]:
    def constant(*args: Any, **kwargs: Any) -> int:
        return -1

    with contextlib.suppress(ValueError):  # getters have no signature
        constant.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return constant
