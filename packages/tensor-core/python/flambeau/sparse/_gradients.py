"""Sparse tensors as the ``.grad`` of dense tensors.

Note [Held gradients]
A tensor's C++ object refers to the memory of its gradient, not to a Python object, but a sparse tensor is a Python
object. The table in this module keeps this object alive while it is the gradient: until another gradient is assigned,
the tensor is deleted, or `release` finds that the gradient was removed.
"""

from __future__ import annotations

import weakref
from typing import Any

from flambeau import _core, _extension_points
from flambeau._core import Tensor
from flambeau.sparse._tensor import SparseTensor, implements

_sparse_grads: dict[int, tuple[Any, SparseTensor]] = {}


def release(leaf: Tensor) -> None:
    """Drop the reference to an object that is no longer the gradient of ``leaf``."""
    held = _sparse_grads.get(id(leaf))
    if held is not None and leaf.grad is not held[1]:
        del _sparse_grads[id(leaf)]


@implements(".grad=")
def set_grad(leaf: Tensor, gradient: Any) -> None:
    """Assign a sparse gradient to a dense tensor. Raise RuntimeError if the size or dtype differs."""
    heeded = _core._overrides_heeded(False)
    try:
        vars(Tensor)["grad"].__set__(leaf, gradient)
    finally:
        _core._overrides_heeded(heeded)
    key = id(leaf)
    _sparse_grads[key] = weakref.ref(leaf, lambda _: _sparse_grads.pop(key, None)), gradient
    if leaf.requires_grad and _extension_points.expect_sparse_gradients is not None:
        _extension_points.expect_sparse_gradients(leaf)
