"""Names of PyTorch's private ``torch._functorch.vmap`` that libraries import to map over their own containers.

flambeau's ``vmap`` is built otherwise. Replacing these functions changes nothing, and calling one raises
NotImplementedError.
"""

from flambeau import Tensor
from flambeau.torch._absent import Absent
from flambeau.utils._pytree import tree_flatten, tree_unflatten

__all__ = ["Tensor", "tree_flatten", "tree_unflatten"]

_PARTS = {
    *("_add_batch_dim", "_broadcast_to_and_flatten", "_create_batched_inputs", "_get_name", "_maybe_remove_batch_dim"),
    *("_process_batched_inputs", "_remove_batch_dim", "_unwrap_batched", "_validate_and_get_batch_size"),
}


def __getattr__(name: str) -> Absent:
    if name not in _PARTS:
        raise AttributeError(name)
    return Absent(f"torch._functorch.vmap.{name}")
