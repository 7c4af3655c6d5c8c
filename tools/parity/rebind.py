"""Conversion of PyTorch's callables to flambeau's.

A function of PyTorch's interface is looked up by its path. A function that PyTorch's table defines, such as a lambda
with several calls, is created again from its code, with ``torch`` replaced by flambeau.
"""

from __future__ import annotations

import contextlib
import functools
import types
from collections.abc import Iterator
from typing import Any

import torch

import flambeau as fb

_MODULES = {
    "": torch,
    "nn.functional": torch.nn.functional,
    "linalg": torch.linalg,
    "fft": torch.fft,
    "special": torch.special,
    "signal.windows": torch.signal.windows,
    "Tensor": torch.Tensor,
}


class MissingError(AttributeError):
    """Error for a name that flambeau does not have."""


def find(path: str) -> Any:
    """Return the attribute of flambeau at a dotted path."""
    value: Any = fb
    for part in path.split("."):
        try:
            value = getattr(value, part)
        except (AttributeError, ModuleNotFoundError):
            raise MissingError(f"flambeau.{path} is missing") from None
    return value


def _paths() -> Iterator[tuple[Any, str]]:
    """Yield PyTorch's objects with their paths, public names first."""
    for private in (False, True):
        for prefix, module in _MODULES.items():
            for name in dir(module):
                if name.startswith("_") == private and (prefix == "Tensor" or not name.startswith("__")):
                    yield getattr(module, name, None), f"{prefix}.{name}".strip(".")


_NAMED = list(_paths())  # the list keeps the objects alive, so that their ids stay unique
_PATH_OF = {id(value): path for value, path in reversed(_NAMED)}


def rebind(value: Any, name: str | None = None) -> Any:
    """Return flambeau's counterpart of a callable. ``name`` is its path, for callables that do not determine it."""
    if id(value) in _PATH_OF and callable(value):
        return find(_PATH_OF[id(value)])
    if isinstance(value, types.FunctionType) and "torch" in (value.__module__ or ""):
        return _copy_function(value)
    if isinstance(value, torch.nn.PairwiseDistance):  # the distance function of a loss
        return fb.nn.functional.pairwise_distance
    if name is not None and name.startswith("Tensor.nn.functional."):  # PyTorch's own in-place forms are private
        return functools.partial(find(name.removeprefix("Tensor.").removesuffix("_")), inplace=True)
    return value if name is None else find(name)


def unseeded(function: Any) -> Any:
    """Return a function of PyTorch's table ``op_db`` without the calls that seed PyTorch's generator."""
    code = getattr(function, "__code__", None)
    if code is None or "wrapper_set_seed" not in code.co_names:
        return function
    scope = {**function.__globals__, "wrapper_set_seed": lambda call, *args, **kwargs: call(*args, **kwargs)}
    return types.FunctionType(code, scope, function.__name__, function.__defaults__, function.__closure__)


_COPIES: dict[types.FunctionType, types.FunctionType] = {}  # copies by original function


def _copy_function(function: types.FunctionType) -> types.FunctionType:
    if function in _COPIES:
        return _COPIES[function]
    scope: dict[str, Any] = {"__builtins__": function.__globals__["__builtins__"]}
    cells = tuple(types.CellType() for _ in function.__closure__ or ())
    copied = types.FunctionType(function.__code__, scope, function.__name__, function.__defaults__, cells)
    copied.__kwdefaults__ = function.__kwdefaults__
    _COPIES[function] = copied  # stored before its contents are converted, because functions can call each other
    for used in _names(function.__code__):
        if used in function.__globals__:
            scope[used] = _inner(function.__globals__[used])
    for cell, original in zip(cells, function.__closure__ or (), strict=True):
        cell.cell_contents = _inner(original.cell_contents)
    return copied


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _inner(value: Any) -> Any:
    if value is torch:
        return fb
    if value is torch.nn.functional:
        return fb.nn.functional
    if isinstance(value, torch.dtype):
        return getattr(fb, str(value).removeprefix("torch."))
    if getattr(value, "__name__", "") == "freeze_rng_state":  # PyTorch's generators are not used
        return contextlib.nullcontext
    if callable(value) and not isinstance(value, type):
        return rebind(value)
    return value
