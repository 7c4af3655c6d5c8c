"""Decorator by which libraries state how stable a function is."""

from collections.abc import Callable
from typing import TypeVar

Definition = TypeVar("Definition")


def compatibility(is_backward_compatible: bool) -> Callable[[Definition], Definition]:
    """Return a decorator that returns its argument: flambeau does not record which functions are stable."""
    return lambda definition: definition
