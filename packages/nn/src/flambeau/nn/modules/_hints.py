"""Error messages for objects that are given in place of modules."""

from __future__ import annotations

import inspect
from typing import Any

from flambeau import Tensor, nn, typename


def not_a_module(value: Any) -> str:
    """Return the error message for an object that is not a module, with a suggestion.

    >>> not_a_module(nn.functional.relu)
    'flambeau.nn.functional.relu is not a Module subclass; write nn.ReLU()'
    """
    public = ".".join(part for part in typename(value).split(".") if not part.startswith("_"))
    return f"{public} is not a Module subclass{_hint(value)}"


def _hint(value: Any) -> str:
    """Return advice on what to pass instead of a list, a tensor, a class or a function."""
    if isinstance(value, list):
        return "; unpack the list, as in Sequential(*modules)"
    if isinstance(value, Tensor):
        return "; pass the tensor when the module is called, or store a parameter in nn.ParameterList"
    if isinstance(value, type) and issubclass(value, nn.Module):
        return f"; write {layer_expression(value)}"
    if not callable(value):
        return ""
    name = str(getattr(value, "__name__", "")).replace("_", "")
    layer = next((layer for layer in nn.__all__ if layer.lower() == name), None)
    if layer is None:
        return "; call it in the forward() of a Module"
    return f"; write {layer_expression(getattr(nn, layer))}"


def layer_expression(layer: type) -> str:
    """Return the expression that creates a layer, such as ``nn.ReLU()`` or ``nn.Linear(...)``."""
    parameters = inspect.signature(layer).parameters
    arguments = "..." if any(map(_is_required, parameters.values())) else ""
    if "dim" in parameters and parameters["dim"].default is None:  # without it, softmax warns
        arguments = "dim=..."
    prefix = "nn." if getattr(nn, layer.__name__, None) is layer else ""
    return f"{prefix}{layer.__name__}({arguments})"


def _is_required(parameter: inspect.Parameter) -> bool:
    return parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
