"""Functions of ``torch._C`` for tensors and graph nodes, and of ``torch._C._autograd`` for saved tensors."""

import weakref

from flambeau import Tensor
from flambeau.autograd import _engine
from flambeau.autograd._engine import (
    SavedTensor,
    current_run as _current_graph_task_id,
    pop_saved_hooks as _pop_saved_tensors_default_hooks,
    push_saved_hooks as _push_saved_tensors_default_hooks,
    reject_saved_hooks as _saved_tensors_hooks_disable,
)
from flambeau.autograd.forward_ad import _is_fwd_grad_enabled, _set_fwd_grad_enabled

__all__ = [
    "SavedTensor",
    "_WeakTensorRef",
    "_current_graph_task_id",
    "_is_fwd_grad_enabled",
    "_pop_saved_tensors_default_hooks",
    "_push_saved_tensors_default_hooks",
    "_saved_tensors_hooks_disable",
    "_saved_tensors_hooks_enable",
    "_saved_tensors_hooks_is_enabled",
    "_set_fwd_grad_enabled",
    "_will_engine_execute_node",
]


class _WeakTensorRef:
    """Weak reference to the Python object of a tensor."""

    def __init__(self, tensor: Tensor) -> None:
        self._reference = weakref.ref(tensor)

    def expired(self) -> bool:
        """Return True if the object no longer exists."""
        return self._reference() is None


def _saved_tensors_hooks_enable() -> None:
    """Allow hooks for saved tensors in this thread."""
    _engine.reject_saved_hooks(None)


def _saved_tensors_hooks_is_enabled() -> bool:
    """Return True if hooks for saved tensors are allowed in this thread."""
    return not _engine.saved_hooks_rejected()


def _will_engine_execute_node(node: _engine.Node) -> bool:
    """Return True if the backward pass that runs in this thread executes a node."""
    if not isinstance(node, _engine.Node):
        raise RuntimeError(f"_will_engine_execute_node expects an grad_fn, but got {type(node).__name__}")
    if _engine.current_run() < 0:
        raise RuntimeError("_will_engine_execute_node should only be called during the backward pass")
    if not node.next_functions and _engine.run_captures(node):
        raise RuntimeError(
            "A leaf node was passed to _will_engine_execute_node but we are currently running autograd.grad(). This "
            "is currently not supported."
        )
    return _engine.run_reaches(node)
