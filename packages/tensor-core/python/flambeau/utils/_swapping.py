"""`swap_tensors`, which exchanges two tensors and keeps the identities of their Python objects."""

from __future__ import annotations

import copyreg
import weakref
from typing import Any

from flambeau import Tensor, _extension_points

BACKWARD_AFTER_SWAP = (
    "Trying to execute AccumulateGrad node that was poisoned by swap_tensors; this can happen when you try to run "
    "backward on a tensor that was swapped. For a module m with "
    "`flambeau.__future__.set_swap_module_params_on_conversion(True)` you should not change the device or dtype of the "
    "module (e.g. `m.cpu()` or `m.half()`) between running forward and backward. To resolve this, please only change "
    "the device/dtype before running forward (or after both forward and backward)."
)


def swap_tensors(t1: Tensor, t2: Tensor) -> None:
    """Exchange the contents of two tensors: elements, geometry, class, attributes and gradient.

    Each Python object keeps its identity, so an optimizer or a list that holds ``t1`` sees the contents of ``t2``.

    Raises: RuntimeError if a tensor has weak references, if other tensors or graph nodes refer to it, or if the
        classes have different ``__slots__``. A graph that leads to a swapped leaf raises an error in ``backward()``.

    >>> a, b = fb.zeros(2), fb.ones(3)
    >>> fb.utils.swap_tensors(a, b)
    >>> a, b
    (tensor([1., 1., 1.]), tensor([0., 0.]))
    """
    for name, tensor in (("t1", t1), ("t2", t2)):
        if weakref.getweakrefs(tensor):
            raise RuntimeError(f"Cannot swap {name} because it has weakref associated with it")
    slots = set(copyreg._slotnames(type(t1)))  # type: ignore[attr-defined]
    if slots != set(copyreg._slotnames(type(t2))):  # type: ignore[attr-defined]
        raise RuntimeError("Cannot swap t1 and t2 if they have different slots")
    for name, tensor in (("t1", t1), ("t2", t2)):
        _check_references(name, tensor)
    for attribute in ("__class__", "__dict__", *slots):
        _swap_attribute(t1, t2, attribute)
    Tensor._swap_tensor_impl(t1, t2)


def _check_references(name: str, tensor: Tensor) -> None:
    """Raise an error if C++ code refers to the tensor, unless only the AccumulateGrad node of a leaf does."""
    count = tensor._use_count()
    if count == 2 and tensor.is_leaf and tensor.requires_grad:
        node = _extension_points.required("raise_in_backward")(tensor, BACKWARD_AFTER_SWAP)
        count -= tensor._use_count() == 2  # if the count has changed, the call has created the node
        del node
    if count > 1:
        raise RuntimeError(
            f"Expected use_count of {name} to be 1 or 2 with an AccumulateGrad node but got {count}; make sure you are "
            "not holding references to the tensor in other places."
        )


def _swap_attribute(t1: Any, t2: Any, name: str) -> None:
    missing = object()
    first, second = getattr(t1, name, missing), getattr(t2, name, missing)
    for tensor, value in ((t1, second), (t2, first)):
        if value is not missing:
            setattr(tensor, name, value)
        elif hasattr(tensor, name):
            delattr(tensor, name)
