"""Decorator with which libraries state if a function is backward compatible."""

from collections.abc import Callable
from typing import TypeVar

Definition = TypeVar("Definition")


def compatibility(is_backward_compatible: bool) -> Callable[[Definition], Definition]:
    """Return a decorator that returns its argument: flambeau does not record compatibility."""
    return lambda definition: definition
