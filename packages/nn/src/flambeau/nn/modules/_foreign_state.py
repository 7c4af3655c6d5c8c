"""Conversion of the attributes of a module that was pickled by PyTorch."""

from __future__ import annotations

from typing import Any

_REGISTRIES = ("_parameters", "_buffers", "_modules")
_HOOK_TABLES = (
    *("_backward_pre_hooks", "_backward_hooks", "_forward_hooks", "_forward_pre_hooks", "_state_dict_hooks"),
    *("_state_dict_pre_hooks", "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks"),
)
_OF_HOOKS = (
    *("_forward_hooks_with_kwargs", "_forward_hooks_always_called", "_forward_pre_hooks_with_kwargs"),
    "_is_full_backward_hook",
)

HAS_HOOKS = (
    "{kind}: the module was saved by PyTorch with hooks ('{table}'), which cannot be loaded; remove the hooks before "
    "saving it, or save its state_dict()"
)


def is_foreign(state: dict[str, Any]) -> bool:
    """Return True if the attributes belong to a module of PyTorch."""
    return "_parameters" in state and "_backward_hooks" in state


def translated(module: Any, state: dict[str, Any]) -> dict[str, Any]:
    """Convert the attributes of a PyTorch module to the attributes of a flambeau module.

    In a flambeau module, registered values are also plain attributes.

    Raises: RuntimeError if the module has hooks, which cannot be converted.
    """
    for table in _HOOK_TABLES:
        if state.get(table):
            raise RuntimeError(HAS_HOOKS.format(kind=type(module).__name__, table=table))
    attributes = {name: value for name, value in state.items() if name not in (*_HOOK_TABLES, *_OF_HOOKS)}
    for registry in _REGISTRIES:
        attributes[registry] = dict(attributes[registry])
        attributes.update(attributes[registry])
    attributes["_non_persistent_buffers_set"] = set(attributes.get("_non_persistent_buffers_set", ()))
    return attributes
