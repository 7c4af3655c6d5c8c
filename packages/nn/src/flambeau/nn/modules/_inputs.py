"""A check for input tensors that are passed to a layer's constructor by mistake."""

from __future__ import annotations

from typing import Any

from flambeau import Tensor


def check_no_input(layer: object, **options: Any) -> None:
    """Raise TypeError for the first option that is a tensor of several elements, and suggest the correct call.

    Tensors of one element count as numbers, as in PyTorch.
    """
    for name, value in options.items():
        if isinstance(value, Tensor) and value.numel() != 1:
            layer_name, shape = type(layer).__name__, list(value.shape)
            raise TypeError(f"{layer_name}: {name} cannot be a Tensor of shape {shape}{call_hint(layer)}")


def call_hint(layer: object) -> str:
    """Return a hint to create the layer before calling it."""
    from ._hints import layer_expression

    return f"; create the layer first, then call it: {layer_expression(type(layer))}(input)"
