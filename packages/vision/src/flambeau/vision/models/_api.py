"""Functions that find models and weights by name. The module has the same name in torchvision."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from flambeau import nn

from . import _registry
from ._registry import get_model, get_model_builder, get_model_weights, get_weight, list_models
from ._weights import Weights, WeightsEnum

__all__ = [
    "Weights",
    "WeightsEnum",
    "get_model",
    "get_model_builder",
    "get_model_weights",
    "get_weight",
    "list_models",
    "register_model",
]

M = TypeVar("M", bound=nn.Module)


def register_model(name: str | None = None) -> Callable[[Callable[..., M]], Callable[..., M]]:
    """Return a decorator that registers the builder of a custom model, by default under the builder's name.

    Raises: ValueError if the name already exists.
    """

    def register(builder: Callable[..., M]) -> Callable[..., M]:
        key = builder.__name__ if name is None else name
        if key in _registry._BUILDERS:
            raise ValueError(f"An entry is already registered under the name '{key}'.")
        _registry._BUILDERS[key] = builder
        return builder

    return register
