"""Messages about objects that are given instead of modules."""

from __future__ import annotations

import inspect
from typing import Any

from flambeau import nn, typename


def not_a_module(given: Any) -> str:
    """Return the message for an object that is no module, with the module to write instead.

    >>> not_a_module(nn.functional.relu)
    'flambeau.nn.functional.relu is not a Module subclass; write nn.ReLU()'
    """
    public = ".".join(part for part in typename(given).split(".") if not part.startswith("_"))
    return f"{public} is not a Module subclass{_hint(given)}"


def _hint(given: Any) -> str:
    """Hint: which module to write instead of a list, a class or a function."""
    if isinstance(given, list):
        return "; a list of modules is unpacked: Sequential(*modules)"
    if isinstance(given, type) and issubclass(given, nn.Module):
        return f"; write {_call(given)}"
    if not callable(given):
        return ""
    name = str(getattr(given, "__name__", "")).replace("_", "")
    layer = next((layer for layer in nn.__all__ if layer.lower() == name), None)
    if layer is None:
        return "; call it in the forward() of a Module"
    return f"; write {_call(getattr(nn, layer))}"


def _call(layer: type) -> str:
    """Return the expression that makes a layer: ``nn.ReLU()``, ``nn.Linear(...)``."""
    required = [
        parameter
        for parameter in inspect.signature(layer).parameters.values()
        if parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    prefix = "nn." if getattr(nn, layer.__name__, None) is layer else ""
    return f"{prefix}{layer.__name__}({'...' if required else ''})"
