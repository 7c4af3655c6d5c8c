"""Names of PyTorch's private ``torch._functorch.vmap`` and ``torch._vmap_internals``.

Libraries import them to support custom containers. flambeau's ``vmap`` does not use these functions: replacing one has
no effect, and calling one raises NotImplementedError.
"""

from collections.abc import Callable
from typing import Any

import flambeau
from flambeau import Tensor
from flambeau.torch._absent import Absent
from flambeau.utils._pytree import tree_flatten, tree_unflatten

__all__ = ["Tensor", "_vmap", "tree_flatten", "tree_unflatten", "vmap"]

_PARTS = {
    *("_add_batch_dim", "_broadcast_to_and_flatten", "_create_batched_inputs", "_get_name", "_maybe_remove_batch_dim"),
    *("_process_batched_inputs", "_remove_batch_dim", "_unwrap_batched", "_validate_and_get_batch_size"),
}


def vmap(func: Callable[..., Any], in_dims: Any = 0, out_dims: Any = 0) -> Callable[..., Any]:
    """Vectorise a function like ``flambeau.func.vmap``."""
    mapped: Callable[..., Any] = flambeau.func.vmap(func, in_dims, out_dims)
    return mapped


_vmap = vmap


def __getattr__(name: str) -> Absent:
    if name not in _PARTS:
        raise AttributeError(name)
    return Absent(f"torch._functorch.vmap.{name}")
