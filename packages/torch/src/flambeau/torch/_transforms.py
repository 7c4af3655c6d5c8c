"""Functions of ``torch._C._functorch``, PyTorch's private module, that detect batched tensors inside vmap."""

import sys

from flambeau import Tensor

__all__ = ["is_batchedtensor", "is_legacy_batchedtensor"]


def is_batchedtensor(tensor: Tensor) -> bool:
    """Return True if the tensor is batched inside `vmap`."""
    placeholders = sys.modules.get("flambeau.func._placeholders")
    return placeholders is not None and isinstance(tensor, placeholders.BatchedTensor)


def is_legacy_batchedtensor(tensor: Tensor) -> bool:
    """Return False: only PyTorch's `autograd.grad(is_grads_batched=True)` uses such tensors."""
    return False
