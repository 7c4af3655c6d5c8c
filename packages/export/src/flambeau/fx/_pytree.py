"""Taking arguments apart as they were nested when a program was traced."""

from __future__ import annotations

from typing import Any

from flambeau.utils import _pytree as pytree


def tree_flatten_spec(values: list[Any], spec: Any) -> list[Any]:
    """The leaves of the arguments. Raises: ValueError where they are nested otherwise than ``spec`` says."""
    leaves, found = pytree.tree_flatten(tuple(values))
    if found != spec:
        raise ValueError(f"the arguments are nested as {found}, but were traced as {spec}")
    return leaves
