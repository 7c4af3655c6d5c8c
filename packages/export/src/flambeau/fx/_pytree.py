"""Flattening of arguments that must have the same structure as in the traced call."""

from __future__ import annotations

from typing import Any

from flambeau.utils import _pytree as pytree


def tree_flatten_spec(values: list[Any], spec: Any) -> list[Any]:
    """Return the leaves of the arguments. Raises ValueError if their structure differs from ``spec``."""
    leaves, flat_spec = pytree.tree_flatten(tuple(values))
    if flat_spec != spec:
        raise ValueError(f"the arguments are nested as {flat_spec}, but were traced as {spec}")
    return leaves
