"""Flattening of arguments that must have the same structure as in the traced call."""

from __future__ import annotations

from typing import Any

from flambeau.utils import _pytree as pytree


def tree_flatten_spec(values: list[Any], spec: Any) -> list[Any]:
    """Return the leaves of the arguments. Raises ValueError if their structure differs from ``spec``."""
    leaves, found = pytree.tree_flatten(tuple(values))
    if found != spec:
        raise ValueError(f"the arguments are nested as {found}, but were traced as {spec}")
    return leaves
