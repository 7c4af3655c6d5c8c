"""Methods of Tensor that need the autograd engine. tensor-core forwards them to this module."""

import sys
from collections.abc import Callable
from typing import TypeVar

from flambeau import Tensor
from flambeau.autograd import _engine
from flambeau.autograd._handle import RemovableHandle

Hook = TypeVar("Hook")

backward = _engine.backward


def register_hook(self: Tensor, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
    """Call ``hook(grad)`` when the gradient of this tensor is computed. A returned tensor replaces the gradient."""
    watch = sys.modules.get("flambeau.autograd._sparse_gradients")
    if watch is not None:
        hook = watch.with_observed_result(self, hook)
    return RemovableHandle(_engine.register_hook(self, _callable(hook)))


def register_post_accumulate_grad_hook(self: Tensor, hook: Callable[[Tensor], None]) -> RemovableHandle:
    """Call ``hook(tensor)`` after a gradient was accumulated into ``.grad`` of this leaf."""
    return RemovableHandle(_engine.register_post_accumulate_grad_hook(self, _callable(hook)))


def retain_grad(self: Tensor) -> None:
    """Keep the gradient of a non-leaf tensor in ``.grad``."""
    _engine.retain_grad(self)


def detach_(self: Tensor) -> Tensor:
    """Detach the tensor from its graph in place."""
    _engine.detach_(self)
    return self


def _callable(hook: Hook) -> Hook:
    if not callable(hook):
        raise TypeError(f"a hook must be callable, got {type(hook).__name__}")
    return hook
