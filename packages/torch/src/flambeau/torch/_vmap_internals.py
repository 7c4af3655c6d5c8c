"""Module ``torch._vmap_internals``: PyTorch's older ``vmap``, which some libraries still import."""

from collections.abc import Callable
from typing import Any

import flambeau

__all__ = ["_vmap", "vmap"]


def vmap(func: Callable[..., Any], in_dims: Any = 0, out_dims: Any = 0) -> Callable[..., Any]:
    """Vectorise a function like `flambeau.func.vmap`."""
    mapped: Callable[..., Any] = flambeau.func.vmap(func, in_dims, out_dims)
    return mapped


_vmap = vmap
