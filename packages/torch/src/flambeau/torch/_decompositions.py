"""Function of ``torch._inductor.decomposition``, PyTorch's private module."""

from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["register_decomposition"]

Function = TypeVar("Function", bound=Callable[..., Any])


def register_decomposition(ops: Any) -> Callable[[Function], Function]:
    """Return a decorator that returns its argument: flambeau's compiler does not decompose the operators."""
    return lambda function: function
