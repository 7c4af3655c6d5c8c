"""Sparse tensors as the ``.grad`` of dense ones.

Note [Held gradients]
A tensor's memory knows the memory of its gradient, not the Python object that a sparse tensor is. So that object is
held here for as long as it is the gradient: until another is assigned, the tensor is gone, or the gradient was dropped
and somebody looks (`release`).
"""

from __future__ import annotations

import weakref
from typing import Any

from flambeau import _core, _extension_points
from flambeau._core import Tensor
from flambeau.sparse._tensor import SparseTensor, answers

_held: dict[int, tuple[Any, SparseTensor]] = {}


def release(leaf: Tensor) -> None:
    """Forgets a gradient that is no longer one."""
    held = _held.get(id(leaf))
    if held is not None and leaf.grad is not held[1]:
        del _held[id(leaf)]


@answers(".grad=")
def set_grad(leaf: Tensor, gradient: Any) -> None:
    """Assigns a sparse gradient to a dense tensor; RuntimeError where size or dtype differ."""
    heeded = _core._overrides_heeded(False)
    try:
        vars(Tensor)["grad"].__set__(leaf, gradient)
    finally:
        _core._overrides_heeded(heeded)
    key = id(leaf)
    _held[key] = weakref.ref(leaf, lambda _: _held.pop(key, None)), gradient
    if leaf.requires_grad and _extension_points.expect_sparse_gradients is not None:
        _extension_points.expect_sparse_gradients(leaf)
