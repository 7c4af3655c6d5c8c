"""A check of arguments that must be one tensor or an iterable of tensors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flambeau import Tensor, typename

from ..modules.module import Module


def listed(function: str, tensors: Tensor | Iterable[Tensor]) -> list[Tensor]:
    """Return one tensor or an iterable of tensors as a list.

    Raises: TypeError for other types. For a module and for pairs of name and parameter, the message shows the corrected
        call.
    """
    if isinstance(tensors, Tensor):
        return [tensors]
    if isinstance(tensors, Module):
        raise TypeError(f"{function}: expected tensors, got the module {typename(tensors)}; write model.parameters()")
    if not isinstance(tensors, Iterable):
        raise TypeError(f"{function}: expected a Tensor or an iterable of Tensors, got {typename(tensors)}")
    held: list[Any] = list(tensors)
    for position, tensor in enumerate(held):
        if not isinstance(tensor, Tensor):
            hint = "; write model.parameters(), not .named_parameters()" if isinstance(tensor, tuple) else ""
            raise TypeError(f"{function}: expected Tensors, but element {position} is {typename(tensor)}{hint}")
    return held
