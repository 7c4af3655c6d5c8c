"""What tensor-core's Tensor forwards here: the methods that need the engine."""

import sys
from collections.abc import Callable
from typing import TypeVar

from flambeau import Tensor
from flambeau.autograd import _engine
from flambeau.autograd._handle import RemovableHandle

Hook = TypeVar("Hook")

backward = _engine.backward


def register_hook(self: Tensor, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
    """Calls ``hook(grad)`` when the gradient is known; a tensor it returns replaces the gradient."""
    watch = sys.modules.get("flambeau.autograd._sparse_gradients")
    if watch is not None:
        hook = watch.watched(self, hook)
    return RemovableHandle(_engine.register_hook(self, _callable(hook)))


def register_post_accumulate_grad_hook(self: Tensor, hook: Callable[[Tensor], None]) -> RemovableHandle:
    """Calls ``hook(tensor)`` after ``.grad`` of this leaf was added to."""
    return RemovableHandle(_engine.register_post_accumulate_grad_hook(self, _callable(hook)))


def retain_grad(self: Tensor) -> None:
    """Keeps the gradient of a tensor that is not a leaf in ``.grad``."""
    _engine.retain_grad(self)


def detach_(self: Tensor) -> Tensor:
    """Takes the tensor out of its graph."""
    _engine.detach_(self)
    return self


def _callable(hook: Hook) -> Hook:
    if not callable(hook):
        raise TypeError(f"a hook must be callable, got {type(hook).__name__}")
    return hook
