"""The graph as objects."""

from collections.abc import Callable
from typing import Any

from flambeau import Tensor
from flambeau.autograd import _engine
from flambeau.autograd._engine import Node
from flambeau.autograd._handle import RemovableHandle

__all__ = ["Node", "increment_version"]


def increment_version(tensor: Tensor) -> None:
    """Counts an in-place change that was made behind the library's back."""
    _engine.bump_version(tensor)


def _register_hook(self: Node, fn: Callable[..., Any]) -> RemovableHandle:
    """Calls ``fn(grad_inputs, grad_outputs)`` after the node has run; a tuple it returns replaces ``grad_inputs``."""
    return RemovableHandle(Node._remove_hook, self, self._register_hook(fn))


def _register_prehook(self: Node, fn: Callable[..., Any]) -> RemovableHandle:
    """Calls ``fn(grad_outputs)`` before the node runs; a tuple it returns replaces ``grad_outputs``."""
    return RemovableHandle(Node._remove_hook, self, self._register_prehook(fn))


Node.register_hook = _register_hook
Node.register_prehook = _register_prehook
