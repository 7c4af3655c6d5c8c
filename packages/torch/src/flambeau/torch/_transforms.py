"""Functions of ``torch._C._functorch``, PyTorch's private module, about batched tensors inside vmap."""

import sys
from typing import Any

from flambeau import Tensor

__all__ = [
    "get_unwrapped",
    "is_batchedtensor",
    "is_legacy_batchedtensor",
    "maybe_current_level",
    "maybe_get_bdim",
    "maybe_get_level",
]


def is_batchedtensor(tensor: Tensor) -> bool:
    """Return True if the tensor is batched inside `vmap`."""
    placeholders = sys.modules.get("flambeau.func._placeholders")
    return placeholders is not None and isinstance(tensor, placeholders.BatchedTensor)


def is_legacy_batchedtensor(tensor: Tensor) -> bool:
    """Return False: only PyTorch's `autograd.grad(is_grads_batched=True)` uses such tensors."""
    return False


def get_unwrapped(tensor: Tensor) -> Tensor:
    """Return the values of a batched tensor, with the batch in the first dimension."""
    if not is_batchedtensor(tensor):
        raise RuntimeError("get_unwrapped expects a tensor that is batched inside vmap")
    values: Tensor = tensor.value  # type: ignore[attr-defined]
    return values


def maybe_current_level() -> int | None:
    """Return the number of vmaps that run inside each other, or None if none runs."""
    placeholders = sys.modules.get("flambeau.func._placeholders")
    return len(placeholders.maps.running) or None if placeholders else None


def maybe_get_level(tensor: Tensor) -> int:
    """Return the level of the vmap that batches the tensor, or -1 if the tensor is not batched."""
    return tensor.level if is_batchedtensor(tensor) else -1  # type: ignore[attr-defined]


def maybe_get_bdim(tensor: Tensor) -> int:
    """Return the batch dimension of `get_unwrapped`'s result, which is 0, or -1 for other tensors."""
    return 0 if is_batchedtensor(tensor) else -1


def __getattr__(name: str) -> Any:
    if name not in ("_add_batch_dim", "_remove_batch_dim"):
        raise AttributeError(name)
    from flambeau.func import _vmap

    return getattr(_vmap, name)
