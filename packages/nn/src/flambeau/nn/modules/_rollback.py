"""Restoration of a module's state after a failed load."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING

from flambeau import Tensor, no_grad

from ..parameter import is_lazy

if TYPE_CHECKING:
    from .module import Module


def snapshot(root: Module) -> Callable[[], None]:
    """Return a function that restores the current parameters, buffers and extra state of ``root`` and submodules."""
    actions: list[Callable[[], None]] = []
    copied: set[int] = set()  # a tensor may have several names
    for module in root.modules():
        for name, tensor in module._own_state():
            actions.append(_tensor_restorer(module, name, tensor))
            if id(tensor) not in copied:
                copied.add(id(tensor))
                actions.append(_restore_values(tensor))
        if module._saves_extra_state():
            actions.append(_restore_extra_state(module))

    def restore() -> None:
        with no_grad():
            for action in actions:
                action()

    return restore


def _tensor_restorer(module: Module, name: str, tensor: Tensor) -> Callable[[], None]:
    def action() -> None:
        if getattr(module, name) is not tensor:
            setattr(module, name, tensor)

    return action


def _restore_values(tensor: Tensor) -> Callable[[], None]:
    """Return a function that restores the current values of a tensor."""
    if is_lazy(tensor):
        kind, nothing = type(tensor), tensor.data

        def forget() -> None:
            if is_lazy(tensor):
                return
            tensor.__class__, tensor.data = kind, nothing
            tensor._add()  # type: ignore[attr-defined]

        return forget
    values = tensor.detach().clone()

    def copy_back() -> None:
        tensor.copy_(values)

    return copy_back


def _restore_extra_state(module: Module) -> Callable[[], None]:
    state = copy.deepcopy(module.get_extra_state())
    return lambda: module.set_extra_state(state)
