"""Handles that remove hooks."""

from collections import OrderedDict
from typing import Any

from flambeau.autograd import _engine
from flambeau.utils import hooks


class RemovableHandle(hooks.RemovableHandle):
    """Handle of a hook that is registered on a tensor or on a graph node.

    The handle keeps neither the tensor nor the graph alive.
    """

    def __init__(self, identifier: int) -> None:
        self.id = identifier

    def remove(self) -> None:
        """Remove the hook. A second call does nothing."""
        _engine.remove_hook(self.id)

    def __reduce__(self) -> tuple[Any, ...]:
        return hooks.RemovableHandle, (OrderedDict(),)  # a handle without a hook, because copied tensors have no hooks
