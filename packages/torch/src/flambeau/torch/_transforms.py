"""What programs ask PyTorch's private ``torch._C._functorch``: whether a tensor stands for a batch inside of vmap."""

import sys

from flambeau import Tensor

__all__ = ["is_batchedtensor", "is_legacy_batchedtensor"]


def is_batchedtensor(tensor: Tensor) -> bool:
    """Whether it is what a function sees inside of `vmap`."""
    placeholders = sys.modules.get("flambeau.func._placeholders")
    return placeholders is not None and isinstance(tensor, placeholders.BatchedTensor)


def is_legacy_batchedtensor(tensor: Tensor) -> bool:
    """False: `autograd.grad(is_grads_batched=True)` runs once for each gradient, with plain tensors."""
    return False
