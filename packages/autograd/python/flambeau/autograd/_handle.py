"""Handles that take hooks off again."""

from collections import OrderedDict
from typing import Any

from flambeau.autograd import _engine
from flambeau.utils import hooks


class RemovableHandle(hooks.RemovableHandle):
    """Of a hook of a tensor or a node, which stands in the graph.

    It keeps neither the tensor nor the graph alive.
    """

    def __init__(self, identifier: int) -> None:
        self.id = identifier

    def remove(self) -> None:
        """Takes the hook off; a second call does nothing."""
        _engine.remove_hook(self.id)

    def __reduce__(self) -> tuple[Any, ...]:
        return hooks.RemovableHandle, (OrderedDict(),)  # copies of tensors have no hooks
